/** Measures a query with events and prints the figures as JSON. */

import assert from "node:assert/strict";
import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { type RunIn, sqlEvents } from "../../../../plugins/sql_events.ts";
import { children } from "../../../plugins/persistence/isolated/children.ts";
import { cpuSeconds } from "../../os.ts";

const ROWS = 300_000;
const ROUNDS = 16;
const SQL = "SELECT id, name, price FROM items";

const folder = await Deno.makeTempDir();
const path = `${folder}/probe.db`;
const server = new Server({ port: false });
const store = server.use(persistence({ path }));
const bus = server.use(channels());
const events = server.use(sqlEvents({ channels: bus, store, runIn: Deno.args[0] as RunIn, maxRows: 1 }));
await server.start();
await store.exec(`
  CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL);
  WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ${ROWS})
  INSERT INTO items SELECT x, 'name ' || x, x * 1.5 FROM c;
`);

let progress = 0;
bus.subscribe("queries", (_data, { tags }) => {
  if (tags?.["type"] === "query:progress") progress++;
});

const worker = new Worker(new URL("./bare_worker.ts", import.meta.url), { type: "module" });

/** Runs the query in a bare worker. */
async function bare(): Promise<number> {
  const answer = new Promise<MessageEvent>((resolve) => worker.onmessage = resolve);
  worker.postMessage({ path, sql: SQL });
  return (await answer).data.rowCount;
}

/** Runs the query with events. */
const withEvents = async () => (await events.run(SQL)).rowCount;

/** Returns the CPU seconds of `query` in this process and its children. */
async function cost(query: () => Promise<number>): Promise<number> {
  const used = () => [Deno.pid, ...children()].reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = used();
  assert.equal(await query(), ROWS);
  return used() - before;
}

await bare();
await withEvents();
let [bareSeconds, eventSeconds] = [0, 0];
for (let round = 0; round < ROUNDS; round++) {
  if (round % 2 === 0) bareSeconds += await cost(bare);
  eventSeconds += await cost(withEvents);
  if (round % 2 === 1) bareSeconds += await cost(bare);
}
assert(progress > 0, "no progress was published");
worker.terminate();
await server.stop();
await Deno.remove(folder, { recursive: true });

const figures = { times: eventSeconds / bareSeconds, cpuMicros: eventSeconds * 1e6 / (ROUNDS * ROWS) };
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(figures)));
