/**
 * Measures live queries and prints the figures as JSON.
 *
 * - `touch`: a write that touches one of 10,000 instances, against one of 10
 * - `unwatched`: a write to a table without live queries, against the same without the plugin
 * - `memory`: an instance without its rows
 */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { type LiveQueries, liveQueries } from "../../../../plugins/live_queries.ts";
import { persistence, type Store } from "../../../../plugins/persistence.ts";

const WRITES = 1_000;
const ROUNDS = 7;
const MANY = 10_000;

interface Database extends AsyncDisposable {
  readonly store: Store;
  readonly queries: LiveQueries | undefined;
  /** Subscribes to these instances. */
  listen(from: number, to: number): void;
}

async function database(live: boolean): Promise<Database> {
  const server = new Server({ port: false });
  const store = server.use(persistence({ path: ":memory:" }));
  const bus = server.use(channels());
  const queries = live ? server.use(liveQueries({ store, channels: bus })) : undefined;
  await server.start();
  await store.exec(`
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total REAL);
    CREATE INDEX orders_by_customer ON orders (customer);
    CREATE TABLE unwatched (id INTEGER PRIMARY KEY, total REAL);
    INSERT INTO unwatched VALUES (5, 1);
  `);
  await store.write((tx) => {
    for (let id = 0; id < MANY; id++) tx.run("INSERT INTO orders VALUES (?, ?, ?)", [id, id, 1]);
  });
  queries?.define("ordersOf", {
    sql: "SELECT id, total FROM orders WHERE customer = :customer ORDER BY id",
    params: { customer: "integer" },
  });
  return {
    store,
    queries,
    listen(from, to) {
      for (let customer = from; customer < to; customer++) queries!.watch("ordersOf", { customer }, () => {});
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

/** Returns the microseconds per write, including the queries it wakes. */
async function costOf({ store, queries }: Database, table: string): Promise<number> {
  const begun = performance.now();
  for (let i = 0; i < WRITES; i++) {
    await store.run(`UPDATE ${table} SET total = total + 1 WHERE id = 5`);
    queries?.settle();
  }
  return (performance.now() - begun) * 1_000 / WRITES;
}

/** Compares the medians of alternating rounds, since a disturbance affects both. */
async function compare(one: () => Promise<number>, other: () => Promise<number>) {
  const pairs: [number, number][] = [];
  for (let round = 0; round <= ROUNDS; round++) pairs.push([await one(), await other()]);
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
  const counted = pairs.slice(1); // the first one warms up
  return { cpuMicros: median(counted.map(([a]) => a)), times: median(counted.map(([a, b]) => a / b)) };
}

async function touch() {
  await using few = await database(true);
  await using many = await database(true);
  few.listen(0, 10);
  many.listen(0, MANY);
  return await compare(() => costOf(many, "orders"), () => costOf(few, "orders"));
}

async function unwatched() {
  await using live = await database(true);
  await using bare = await database(false);
  live.listen(0, 10);
  return await compare(() => costOf(live, "unwatched"), () => costOf(bare, "unwatched"));
}

async function memory() {
  await using live = await database(true);
  const used = () => {
    (globalThis as unknown as { gc(): void }).gc();
    return Deno.memoryUsage().heapUsed;
  };
  live.listen(0, 1_000);
  const before = used();
  live.listen(1_000, MANY);
  return { kilobytes: (used() - before) / 1024 / (MANY - 1_000) };
}

const measures: Record<string, () => Promise<object>> = { touch, unwatched, memory };
const figures = await measures[Deno.args[0]!]!();
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(figures)));
Deno.exit();
