const given = new Set<number>();

/** Returns a free port, each once: what gets it may need a while to listen. */
export function freePort(): number {
  for (;;) {
    using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const { port } = listener.addr;
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}
