/** Sends the same request over several persistent connections, each after the answer to the one before. */

import { API_KEY } from "../../api_key.ts";

const decoder = new TextDecoder("latin1");

/** Resolves to the number of answers per second. */
export async function requestsPerSecond(
  port: number,
  { path, body, connections, seconds }: { path: string; body: string; connections: number; seconds: number },
): Promise<number> {
  const request = new TextEncoder().encode(
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nx-api-key: ${API_KEY}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  let answers = 0;
  const began = performance.now();
  const end = began + seconds * 1_000;
  await Promise.all(Array.from({ length: connections }, async () => {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port });
    socket.setNoDelay(true);
    const buffer = new Uint8Array(65_536);
    while (performance.now() < end) {
      await socket.write(request);
      await readAnswer(socket, buffer);
      answers++;
    }
    socket.close();
  }));
  return answers / (performance.now() - began) * 1_000;
}

async function readAnswer(socket: Deno.TcpConn, buffer: Uint8Array): Promise<void> {
  let text = "";
  for (;;) {
    const size = await socket.read(buffer);
    if (size === null) throw new Error(`The connection ended after ${text}`);
    text += decoder.decode(buffer.subarray(0, size));
    const head = text.indexOf("\r\n\r\n");
    if (head === -1) continue;
    if (!text.startsWith("HTTP/1.1 200")) throw new Error(`The answer was ${text}`);
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1]);
    if (text.length >= head + 4 + length) return;
  }
}
