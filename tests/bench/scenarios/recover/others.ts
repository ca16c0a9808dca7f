/** Measures how long clients wait for their own publications while many others connect. */

const CLIENTS = 10;
const EVERY_MS = 10;

/** Resolves to the sorted waits in microseconds, until `work` has ended. */
export async function waitsWhile(
  work: Promise<unknown>,
  port: number,
  path: string,
): Promise<readonly number[]> {
  const waits: number[] = [];
  let ended = false;
  work.catch(() => {}).finally(() => ended = true);
  const clients = Array.from(
    { length: CLIENTS },
    (_, i) => converse(port, path, `others ${i}`, waits, () => ended),
  );
  await Promise.all(clients);
  return waits.sort((a, b) => a - b);
}

async function converse(
  port: number,
  path: string,
  channel: string,
  waits: number[],
  ended: () => boolean,
): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  const frames = messagesOf(socket);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("A client beside those that come back was refused"));
  });
  socket.send(`{"connect":{},"id":1}\n${JSON.stringify({ subscribe: { channel }, id: 2 })}`);
  await frames.until('"id":2');
  for (let id = 3; !ended(); id++) {
    const sent = performance.now();
    const delivered = frames.until('"push"');
    socket.send(JSON.stringify({ publish: { channel, data: id }, id }));
    await delivered;
    waits.push((performance.now() - sent) * 1_000);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  socket.onmessage = null;
  socket.close();
}

/** Answers pings, and resolves when a frame with a text arrives. */
function messagesOf(socket: WebSocket): { until(text: string): Promise<void> } {
  let wanted = "";
  let found = () => {};
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    if (data === "{}") socket.send("{}");
    else if (wanted !== "" && data.includes(wanted)) {
      wanted = "";
      found();
    }
  };
  return {
    until: (text) =>
      new Promise((resolve) => {
        wanted = text;
        found = resolve;
      }),
  };
}
