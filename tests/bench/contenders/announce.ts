/** Tells the bench where a contender listens. */
export function announce(port: number): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`listening on ${port}\n`));
}
