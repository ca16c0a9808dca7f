/** A server that writes 1,000 rows one after the other at a steady rate on request. */

import process from "node:process";
import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { liveQueries } from "../../../../plugins/live_queries.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { presence } from "../../../../plugins/presence.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { metricsRegistry, stats } from "../../../../plugins/stats.ts";
import { announce } from "../../contenders/announce.ts";
import { ROWS, stampAt, WRITES_PER_SECOND, WRITES_PER_TRANSACTION } from "./stamps.ts";

const folder = Deno.makeTempDirSync();
const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
const metrics = metricsRegistry();
const store = server.use(persistence({ path: `${folder}/a.db`, metrics }));
const bus = server.use(channels());
server.use(stats({ channels: bus, metrics }));
const queries = server.use(liveQueries({ store, channels: bus, metrics }));
server.use(centrifuge({ channels: bus, presence: server.use(presence({ channels: bus })) }));
server.use({
  name: "writer",
  routes: (app) =>
    void app.get("/write", async (c) => {
      const seconds = Number(c.req.query("seconds"));
      const before = cpuMicros();
      await write(seconds * WRITES_PER_SECOND);
      return c.json({ cpuMicros: cpuMicros() - before });
    }),
});
await server.start();
await store.exec(
  "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, at TEXT NOT NULL);",
);
await store.exec("CREATE INDEX orders_by_customer ON orders (customer)");
await store.write((tx) => {
  for (let id = 0; id < ROWS; id++) tx.run("INSERT INTO orders VALUES (?, ?, '')", [id, id]);
});
queries.define("ordersOf", {
  sql: "SELECT id, at FROM orders WHERE customer = :customer ORDER BY id",
  params: { customer: "integer" },
});
announce(server.address.port);

async function write(total: number): Promise<void> {
  const began = performance.now();
  const writes: Promise<unknown>[] = [];
  for (let n = 0; n < total; n += WRITES_PER_TRANSACTION) {
    const due = began + n * 1_000 / WRITES_PER_SECOND;
    while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 1));
    const at = stampAt();
    writes.push(store.write((tx) => {
      for (let i = n; i < n + WRITES_PER_TRANSACTION; i++) {
        tx.run("UPDATE orders SET at = ? WHERE id = ?", [at, i % ROWS]);
      }
    }));
  }
  await Promise.all(writes);
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
