/** Opens many WebSocket connections. */

/** Maximum concurrent connects. */
const AT_ONCE = 50;

/** Connects to each path and stays connected until `close`. Throws if one is refused. */
export async function connectAll(
  port: number,
  paths: readonly string[],
): Promise<{ sockets: readonly Deno.TcpConn[]; seconds: number; close(): void }> {
  const sockets: Deno.TcpConn[] = [];
  const began = performance.now();
  let next = 0;
  const one = async () => {
    while (next < paths.length) sockets.push(await upgrade(port, paths[next++]!));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return {
    sockets,
    seconds: (performance.now() - began) / 1000,
    close: () => sockets.forEach((socket) => socket.close()),
  };
}

async function upgrade(port: number, path: string): Promise<Deno.TcpConn> {
  const socket = await Deno.connect({ hostname: "127.0.0.1", port });
  const head =
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  await socket.write(new TextEncoder().encode(head));
  const buffer = new Uint8Array(1_024);
  const size = await socket.read(buffer);
  const answer = new TextDecoder().decode(buffer.subarray(0, size ?? 0));
  if (!answer.startsWith("HTTP/1.1 101")) throw new Error(`Refused: ${answer.split("\r\n")[0]}`);
  return socket;
}
