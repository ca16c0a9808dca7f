/**
 * Ports for programs that need a while until they listen. The system gives connections and `port: 0` numbers from 32768 on,
 * so another test takes none of these meanwhile.
 */
const FIRST = 16_000;
const LAST = 32_000;

const given = new Set<number>();

/** Returns a free port, each once. Several runs side by side choose by chance. */
export function freePort(): number {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (given.has(port) || !isFree(port)) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ port, hostname: "127.0.0.1" }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
