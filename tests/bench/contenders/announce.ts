/** Prints the port of a contender for the bench. */
export function announce(port: number): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`listening on ${port}\n`));
}
