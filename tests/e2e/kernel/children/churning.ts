/** Connects and disconnects in rounds; prints the connections and the heap after each. */

import { Server } from "../../../../core/mod.ts";
import { echo } from "../../../../plugins/protocols/echo.ts";

const ROUNDS = 5;
const CONNECTIONS = 5_000;
const AT_ONCE = 500;

const server = new Server({ port: 0, maxConnectionsPerIp: CONNECTIONS });
server.use(echo());
await server.start();
const url = `${server.address.url.replace("http", "ws")}/echo`;

function visit(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send("hello");
    socket.onmessage = () => socket.close();
    socket.onclose = () => resolve();
    socket.onerror = (event) => reject((event as ErrorEvent).error);
  });
}

const heaps: number[] = [];
const left: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  for (let i = 0; i < CONNECTIONS; i += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, visit));
  while (server.connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  (globalThis as unknown as { gc(): void }).gc();
  heaps.push(Deno.memoryUsage().heapUsed);
  left.push(server.connections.size);
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ heaps, left })));
Deno.exit();
