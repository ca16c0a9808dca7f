// deno-lint-ignore-file no-console -- the test reads the output
import { type Connection, Server } from "../../../core/mod.ts";
import { RawClient, turn, until } from "../../kit/mod.ts";

const readers = 40;
const queuedBytes = 1_048_576;
const gc = () => (globalThis as unknown as { gc(): void }).gc();
const used = () => Deno.memoryUsage().heapUsed + Deno.memoryUsage().external;

const server = new Server({ port: 0, maxQueuedBytes: queuedBytes });
server.use({
  name: "feed",
  endpoints: [{ name: "feed", path: "/feed", open: () => ({ message() {} }) }],
});
await server.start();
const clients: RawClient[] = [];
for (let i = 0; i < readers; i++) clients.push(await RawClient.upgrade(server.address.port, "/feed"));
await until("all readers", () => server.connections.size === readers);
gc();
const before = used();
/** Each reader has its own strings, so that backlogs share no memory. */
const fill = (conn: Connection, i: number) => conn.send(`${i}`.padEnd(65_000, conn.id));
for (let i = 0; server.connections.size > 0; i++) {
  for (const conn of server.connections) fill(conn, i);
  await turn();
}
await turn();
gc();
console.log(JSON.stringify({ readers, queuedBytes, before, after: used() }));
Deno.exit(0);
