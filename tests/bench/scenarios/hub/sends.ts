/** Sends messages of a backend at a steady rate, each to one of many users, and measures the latency. */

/** Number of backends with a persistent connection each. */
const BACKENDS = 8;

/** Resolves to the sorted latencies in microseconds. `sockets` are those of users `u0`, `u1` … */
export async function sendsTo(
  port: number,
  sockets: readonly Deno.TcpConn[],
  perSecond: number,
  seconds: number,
): Promise<{ latencies: readonly number[]; lost: number }> {
  const latencies: number[] = [];
  const sentAt = new Map<number, number>();
  const decoder = new TextDecoder();
  let reading = true;

  async function listen(socket: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(1_024);
    try {
      for (let size = await socket.read(buffer); size !== null; size = await socket.read(buffer)) {
        const now = performance.now();
        for (const [, n] of decoder.decode(buffer.subarray(0, size)).matchAll(/"n":(\d+)/g)) {
          latencies.push((now - sentAt.get(Number(n))!) * 1_000);
          sentAt.delete(Number(n));
        }
      }
    } catch (error) {
      if (reading) throw error; // otherwise closed at the end
    }
  }

  const backends = await Promise.all(Array.from({ length: BACKENDS }, () => backend(port)));
  const listening = sockets.map(listen);
  const began = performance.now();
  const total = perSecond * seconds;
  for (let n = 0; n < total; n++) {
    const due = began + n * 1_000 / perSecond;
    while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 1));
    const user = `u${Math.floor(Math.random() * sockets.length)}`;
    const body = `{"targetUserId":"${user}","message":{"type":"n","payload":{"n":${n}}}}`;
    sentAt.set(n, performance.now());
    await backends[n % BACKENDS]!.post("/api/send", body);
  }
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  reading = false;
  for (const each of backends) each.close();
  for (const socket of sockets) socket.close();
  await Promise.all(listening);
  return { latencies: latencies.sort((a, b) => a - b), lost: sentAt.size };
}

/** Opens a persistent connection and discards the responses. */
async function backend(
  port: number,
): Promise<{ post(path: string, body: string): Promise<void>; close(): void }> {
  const socket = await Deno.connect({ hostname: "127.0.0.1", port });
  socket.setNoDelay(true);
  const encoder = new TextEncoder();
  (async () => {
    const buffer = new Uint8Array(4_096);
    while (await socket.read(buffer) !== null);
  })().catch(() => {}); // closed at the end
  return {
    async post(path, body) {
      const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: bench\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
      await socket.write(encoder.encode(head + body));
    },
    close: () => socket.close(),
  };
}
