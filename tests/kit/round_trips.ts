/** Sends a byte back and forth over a socket, to count how often the event loop reads while it has other work. */
export async function roundTrips(): Promise<{ readonly count: number } & AsyncDisposable> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [client, server] = await Promise.all([
    Deno.connect({ port: (listener.addr as Deno.NetAddr).port }),
    listener.accept(),
  ]);
  let count = 0;
  const echo = server.readable.pipeTo(server.writable).catch(() => {});
  const counting = (async () => {
    const byte = new Uint8Array(1);
    for (;;) {
      await client.write(byte);
      if (await client.read(byte) === null) return;
      count++;
    }
  })().catch(() => {});
  return {
    get count() {
      return count;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await Promise.all([counting, echo]);
    },
  };
}
