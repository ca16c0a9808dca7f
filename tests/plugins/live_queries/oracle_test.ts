/** The rule that tests live queries: after any writes, what a subscriber holds equals a fresh run of the query. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { channels } from "../../../plugins/channels.ts";
import { liveQueries, type Params, type QueryDefinition } from "../../../plugins/live_queries.ts";
import { type LiveMessage, liveRows } from "../../../plugins/live_queries/live_rows.ts";
import { persistence, type Transaction } from "../../../plugins/persistence.ts";
import { serve, until } from "../../kit/mod.ts";

const VIEW = "CREATE VIEW pending AS SELECT id, customer FROM orders WHERE status = 'pending';";

const SCHEMA = `
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, status TEXT COLLATE NOCASE, total REAL, note TEXT);
  CREATE TABLE items (order_id INTEGER REFERENCES orders(id) ON DELETE CASCADE ON UPDATE CASCADE, n INTEGER,
    product TEXT, PRIMARY KEY (order_id, n));
  CREATE TABLE totals (customer TEXT PRIMARY KEY, orders INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE loose (a INTEGER, b TEXT);
  ${VIEW}
  CREATE TRIGGER counted AFTER INSERT ON orders WHEN new.customer IS NOT NULL BEGIN
    INSERT INTO totals VALUES (new.customer, 1) ON CONFLICT (customer) DO UPDATE SET orders = orders + 1;
  END;
`;

/** Queries of growing kind, with the parameters they may be asked with. */
const QUERIES: (QueryDefinition & { with?: Params[] })[] = [
  { sql: "SELECT * FROM orders" },
  {
    sql: "SELECT id, total FROM orders WHERE status = :status",
    params: { status: "string" },
    with: statuses("status"),
  },
  {
    sql:
      "SELECT id, customer FROM orders WHERE status = :status AND customer IN (:a, :b) ORDER BY total DESC, id LIMIT 3",
    params: { status: "string", a: "string", b: "string" },
    with: [{ status: "pending", a: "ann", b: "bob" }, { status: "DONE", a: "bob", b: "bob" }],
  },
  {
    sql: "SELECT count(*) AS n FROM orders WHERE customer = :customer",
    params: { customer: "string" },
    with: customers(),
  },
  {
    sql:
      "SELECT customer, sum(total) AS sum FROM orders GROUP BY customer HAVING sum(total) > 2 ORDER BY customer",
  },
  {
    sql:
      "SELECT o.id, i.n, i.product FROM orders o JOIN items i ON i.order_id = o.id WHERE o.customer = :customer ORDER BY 1, 2",
    params: { customer: "string" },
    with: customers(),
  },
  {
    sql:
      "SELECT o.id, count(i.n) AS n FROM orders o LEFT JOIN items i ON i.order_id = o.id AND i.product = :p GROUP BY o.id ORDER BY o.id",
    params: { p: "string" },
    with: [{ p: "x" }, { p: "y" }],
  },
  { sql: "SELECT * FROM pending ORDER BY id" },
  { sql: "SELECT id FROM orders WHERE total > (SELECT avg(total) FROM orders) ORDER BY id" },
  {
    sql:
      "SELECT id, rank() OVER (PARTITION BY status ORDER BY total, id) AS r FROM orders WHERE status = :s ORDER BY id",
    params: { s: "string" },
    with: statuses("s"),
  },
  {
    sql:
      "WITH big AS (SELECT * FROM orders WHERE total > 3) SELECT id, customer FROM big WHERE customer = :c ORDER BY id",
    params: { c: "string" },
    with: customers("c"),
  },
  {
    sql:
      "SELECT status FROM orders WHERE id = :id UNION SELECT product FROM items WHERE order_id = :id ORDER BY 1",
    params: { id: "integer" },
    with: [{ id: 1 }, { id: 2 }],
  },
  {
    sql: "SELECT id FROM orders WHERE customer = :c AND total >= (SELECT avg(total) FROM orders) ORDER BY id",
    params: { c: "string" },
    with: customers("c"),
  },
  {
    sql:
      "SELECT a.id, b.id AS other FROM orders a JOIN orders b ON b.id > a.id WHERE a.customer = :c ORDER BY 1, 2",
    params: { c: "string" },
    with: customers("c"),
  },
  {
    sql: "SELECT id FROM orders WHERE customer = :c OR status = :c ORDER BY id",
    params: { c: "string" },
    with: [{ c: "ann" }, { c: "done" }],
  },
  { sql: "SELECT * FROM totals ORDER BY customer" },
  {
    sql: "SELECT a, b FROM loose WHERE a = :a ORDER BY b",
    params: { a: "integer" },
    with: [{ a: 1 }, { a: 2 }],
  },
  {
    sql: "SELECT exists(SELECT 1 FROM items WHERE product = :p) AS found",
    params: { p: "string" },
    with: [{ p: "x" }],
  },
  {
    sql: "SELECT id FROM orders WHERE customer IS :c ORDER BY id",
    params: { c: "string" },
    with: customers("c"),
  },
  {
    sql: "SELECT id, note FROM orders WHERE id = :id",
    params: { id: "number" },
    with: [{ id: 1 }, { id: 3 }],
  },
];

function statuses(name: string): Params[] {
  return ["pending", "Pending", "done"].map((value) => ({ [name]: value }));
}

function customers(name = "customer"): Params[] {
  return ["ann", "bob", "5"].map((value) => ({ [name]: value }));
}

const id = fc.integer({ min: 1, max: 4 });
const customer = fc.constantFrom("ann", "bob", "5", null);
const status = fc.constantFrom("pending", "PENDING", "done", null);
const total = fc.constantFrom(1, 2.5, 5);
const product = fc.constantFrom("x", "y");

/** One statement, as a function of the transaction. */
const statement: fc.Arbitrary<(tx: Transaction) => void> = fc.oneof(
  fc.tuple(id, customer, status, total).map((row) => (tx: Transaction) =>
    void tx.run("INSERT OR REPLACE INTO orders (id, customer, status, total) VALUES (?, ?, ?, ?)", row)
  ),
  fc.tuple(customer, status, total).map((row) => (tx: Transaction) =>
    void tx.run("INSERT INTO orders (customer, status, total) VALUES (?, ?, ?)", row)
  ),
  fc.tuple(status, id).map((row) => (tx: Transaction) =>
    void tx.run("UPDATE orders SET status = ? WHERE id = ?", row)
  ),
  fc.tuple(customer, id).map((row) => (tx: Transaction) =>
    void tx.run("UPDATE orders SET customer = ? WHERE id >= ?", row)
  ),
  fc.tuple(total, id).map((row) => (tx: Transaction) =>
    void tx.run("UPDATE orders SET total = ?, note = 'n' WHERE id = ?", row)
  ),
  fc.tuple(id, id).map((row) => (tx: Transaction) =>
    void tx.run("UPDATE OR IGNORE orders SET id = ? WHERE id = ?", row)
  ),
  id.map((row) => (tx: Transaction) => void tx.run("DELETE FROM orders WHERE id = ?", [row])),
  fc.constant((tx: Transaction) => void tx.run("DELETE FROM orders")),
  fc.tuple(id, id, product).map((row) => (tx: Transaction) =>
    void tx.run(
      "INSERT OR IGNORE INTO items SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM orders WHERE id = ?1)",
      row,
    )
  ),
  fc.tuple(product, id).map((row) => (tx: Transaction) =>
    void tx.run("UPDATE items SET product = ? WHERE n = ?", row)
  ),
  fc.tuple(id, product).map((row) => (tx: Transaction) =>
    void tx.run("INSERT INTO loose VALUES (?, ?)", row)
  ),
  id.map((row) => (tx: Transaction) => void tx.run("DELETE FROM loose WHERE a = ?", [row])),
);

/** A transaction: some statements, committed, rolled back, or with a part undone. */
const transaction = fc.record({
  statements: fc.array(statement, { minLength: 1, maxLength: 4 }),
  end: fc.constantFrom("commit", "commit", "commit", "rollback", "savepoint"),
}, { noNullPrototype: true });

const step = fc.oneof(
  { weight: 12, arbitrary: transaction.map((value) => ({ type: "write" as const, value })) },
  { weight: 3, arbitrary: fc.nat().map((value) => ({ type: "subscribe" as const, value })) },
  { weight: 1, arbitrary: fc.nat().map((value) => ({ type: "unsubscribe" as const, value })) },
  { weight: 2, arbitrary: fc.constant({ type: "turn" as const, value: 0 }) },
  { weight: 1, arbitrary: fc.constant({ type: "settle" as const, value: 0 }) },
  { weight: 2, arbitrary: fc.constant({ type: "check" as const, value: 0 }) },
  { weight: 1, arbitrary: fc.nat({ max: 1 }).map((value) => ({ type: "schema" as const, value })) },
);

class Undo extends Error {}

function perform(
  tx: Transaction,
  { statements, end }: { statements: ((tx: Transaction) => void)[]; end: string },
) {
  const all = () => statements.forEach((each) => each(tx));
  if (end === "savepoint") {
    statements[0]!(tx);
    try {
      tx.savepoint(() => {
        all();
        throw new Undo();
      });
    } catch (error) {
      if (!(error instanceof Undo)) throw error;
    }
    return;
  }
  all();
  if (end === "rollback") throw new Undo();
}

Deno.test("S05 B07 after any writes, what a subscriber holds equals a fresh run, and was a committed state all the time", async () => {
  const database = persistence({ path: ":memory:" });
  const store = database.api;
  const bus = channels();
  const queries = liveQueries({ store, channels: bus.api, lingerMs: 1 });
  await using _server = await serve({}, database, bus, queries);
  await store.exec(SCHEMA);
  QUERIES.forEach(({ with: _, ...definition }, i) => queries.api.define(`q${i}`, definition));

  const fresh = (i: number, params: Params) => JSON.parse(JSON.stringify(store.all(QUERIES[i]!.sql, params)));
  let columns = 0;

  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(step, { maxLength: 40, size: "max" }), async (first, steps) => {
      const subscribers: Subscriber[] = [];
      const pending: Promise<unknown>[] = [];
      const uncommitted: string[] = [];
      const watch = store.watch(() => {
        for (const each of subscribers) each.committed.add(JSON.stringify(fresh(each.query, each.params)));
      }, "all");

      function subscribe(query: number, choice: number): void {
        const choices = QUERIES[query]!.with ?? [{}];
        const params = choices[choice % choices.length]!;
        const rows = liveRows();
        const committed = new Set<string>();
        const { snapshot, stop } = queries.api.watch(`q${query}`, params, (diff) => {
          rows.apply(diff as LiveMessage<Record<string, unknown>>);
          if (!committed.has(JSON.stringify(rows.rows))) uncommitted.push(JSON.stringify(rows.rows));
        });
        rows.apply(snapshot);
        committed.add(JSON.stringify(rows.rows));
        subscribers.push({ query, params, rows, committed, stop });
      }

      async function check(): Promise<void> {
        await Promise.all(pending.splice(0));
        queries.api.settle();
        for (const { query, params, rows } of subscribers) {
          const expected = JSON.stringify(fresh(query, params));
          const what = `${QUERIES[query]!.sql} with ${JSON.stringify(params)}`;
          await until(what, () => JSON.stringify(rows.rows) === expected, 2_000);
        }
        assert.deepEqual(uncommitted, [], "states that were never committed");
      }

      try {
        QUERIES.forEach((_, query) => subscribe(query, first));
        for (const { type, value } of steps) {
          if (type === "write") {
            pending.push(
              store.write((tx) => perform(tx, value)).catch((error) => {
                if (!(error instanceof Undo)) throw error;
              }),
            );
          } else if (type === "subscribe") subscribe(value % QUERIES.length, value);
          else if (type === "unsubscribe") {
            subscribers.splice(value % Math.max(1, subscribers.length), 1)[0]?.stop();
          } else if (type === "turn") await new Promise((resolve) => setTimeout(resolve, 0));
          else if (type === "settle") queries.api.settle();
          else if (type === "check") await check();
          else if (value === 0) {
            pending.push(store.exec(`ALTER TABLE orders ADD COLUMN extra${columns++} TEXT`));
          } else pending.push(store.exec(`DROP VIEW pending; ${VIEW}`));
        }
        await check();
      } finally {
        for (const { stop } of subscribers) stop();
        watch.stop();
        await store.exec("DELETE FROM orders; DELETE FROM items; DELETE FROM totals; DELETE FROM loose");
        queries.api.settle();
      }
    }),
    { numRuns: Number(Deno.env.get("ORACLE_RUNS") ?? 300) },
  );
});

/** Somebody who follows a query. */
interface Subscriber {
  readonly query: number;
  readonly params: Params;
  readonly rows: ReturnType<typeof liveRows>;
  /** Every result that a committed state had since the subscription. */
  readonly committed: Set<string>;
  stop(): void;
}
