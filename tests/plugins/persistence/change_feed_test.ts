import assert from "node:assert/strict";
import { follow, ORDERS, rows } from "./changes.ts";
import { opened } from "./kit.ts";

Deno.test("a commit reports the rows it inserted, updated and deleted, with all columns", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`${ORDERS}; INSERT INTO orders VALUES (1, 'new', 5), (2, 'new', 6)`);
  const events = follow(store, ["ORDERS"]);
  await store.write((tx) => {
    tx.run("UPDATE orders SET status = 'paid' WHERE id = 1");
    tx.run("DELETE FROM orders WHERE id = 2");
    tx.run("INSERT INTO orders VALUES (3, 'new', 9007199254740993)");
  });
  assert.equal(events.length, 1);
  const { schema, outside, tables } = events[0]!;
  assert.deepEqual([schema, outside, [...tables.keys()]], [false, false, ["orders"]]);
  const { table, columns, primaryKey } = tables.get("orders")!;
  assert.deepEqual([table, columns, primaryKey], ["Orders", ["id", "Status", "total"], ["id"]]);
  assert.deepEqual(rows(events[0], "orders"), [
    { type: "delete", old: { id: 2, Status: "new", total: 6 } },
    { type: "insert", new: { id: 3, Status: "new", total: 9007199254740992 } },
    {
      type: "update",
      old: { id: 1, Status: "new", total: 5 },
      new: { id: 1, Status: "paid", total: 5 },
      changed: ["Status"],
    },
  ]);
});

Deno.test("changes that are undone or cancel out are not reported", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`${ORDERS}; INSERT INTO orders VALUES (1, 'new', 5)`);
  const events = follow(store, ["orders"]);
  await Promise.allSettled([
    store.write((tx) => {
      tx.run("DELETE FROM orders");
      throw new Error("undo");
    }),
    store.write((tx) => {
      tx.run("UPDATE orders SET total = 6");
      tx.run("UPDATE orders SET total = 5");
    }),
    store.write((tx) => {
      tx.run("INSERT INTO orders VALUES (2, 'x', 1)");
      tx.run("DELETE FROM orders WHERE id = 2");
    }),
    store.run("UPDATE orders SET total = 7 WHERE id = 99"),
  ]);
  assert.deepEqual(events, []);
});

Deno.test("a write and its changes have the same commit, even after a failed attempt", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ORDERS);
  const events = follow(store, ["orders"]);
  const commits: object[] = [];
  const insert = (id: number) =>
    store.write((tx) => {
      tx.run("INSERT INTO orders (id) VALUES (?)", [id]);
      commits[id] = tx.commit;
    });
  await Promise.allSettled([insert(1), insert(1), insert(2)]); // the second fails, so the group runs again
  await insert(3);
  assert.deepEqual(events.map(({ commit }) => commit === commits[1]), [true, false]);
  assert.deepEqual([commits[2] === commits[1], events[1]!.commit === commits[3]], [true, true]);
});

Deno.test("a listener reads the state right after the change, before the write resolves", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ORDERS);
  const order: string[] = [];
  store.watch(() => void order.push(`read ${store.all("SELECT id FROM orders").length}`), ["orders"]);
  const writes = [1, 2].map(async (id) => {
    await store.run("INSERT INTO orders (id) VALUES (?)", [id]);
    order.push(`wrote ${id}`);
  });
  await Promise.all(writes);
  assert.deepEqual(order, ["read 2", "wrote 1", "wrote 2"]);
});

Deno.test("changes by cascades, triggers and REPLACE are reported", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
    CREATE TABLE children (id INTEGER PRIMARY KEY, parent REFERENCES parents ON DELETE CASCADE);
    CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT);
    CREATE TRIGGER gone AFTER DELETE ON children BEGIN INSERT INTO log (what) VALUES ('gone ' || old.id); END;
    INSERT INTO parents VALUES (1, 'a'), (2, 'b');
    INSERT INTO children VALUES (10, 1), (20, 2);
  `);
  const events = follow(store, ["children", "log", "parents"]);
  await store.run("INSERT OR REPLACE INTO parents VALUES (1, 'b')");
  assert.deepEqual(rows(events[0], "parents"), [
    { type: "delete", old: { id: 2, name: "b" } },
    { type: "update", old: { id: 1, name: "a" }, new: { id: 1, name: "b" }, changed: ["name"] },
  ]);
  assert.deepEqual(rows(events[0], "children"), [
    { type: "delete", old: { id: 10, parent: 1 } },
    { type: "delete", old: { id: 20, parent: 2 } },
  ]);
  assert.equal(rows(events[0], "log")?.length, 2);
});

Deno.test("a changed primary key is a deletion and an insertion", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`${ORDERS}; INSERT INTO orders VALUES (1, 'new', 5)`);
  const events = follow(store, ["orders"]);
  await store.run("UPDATE orders SET id = 7");
  assert.deepEqual(rows(events[0], "orders"), [
    { type: "delete", old: { id: 1, Status: "new", total: 5 } },
    { type: "insert", new: { id: 7, Status: "new", total: 5 } },
  ]);
});

// SQLite clears a table at once, without reporting rows, if the statement was prepared while there was no session.
Deno.test("a DELETE without WHERE is reported row by row, even if it was prepared before the first watch", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    ${ORDERS};
    CREATE TABLE buttons (id INTEGER PRIMARY KEY);
    CREATE TRIGGER wipe AFTER INSERT ON buttons BEGIN DELETE FROM orders; END;
  `);
  const fill = () => store.run("INSERT INTO orders (id) VALUES (1), (2)");
  const wipes = ["DELETE FROM orders", "INSERT INTO buttons DEFAULT VALUES"];
  for (const wipe of wipes) {
    await fill();
    await store.run(wipe);
  }
  const events = follow(store, ["orders"]);
  for (const wipe of wipes) {
    await fill();
    await store.run(wipe);
    assert.deepEqual(rows(events.at(-1), "orders")!.map(({ type }) => type), ["delete", "delete"], wipe);
  }
});

const UNKNOWN_ROWS: Record<string, { setup: string; change: string }> = {
  "without a primary key": { setup: "CREATE TABLE t (x)", change: "INSERT INTO t VALUES (1)" },
  "with a NULL in its key": {
    setup: "CREATE TABLE t (k TEXT PRIMARY KEY, x)",
    change: "INSERT INTO t VALUES (NULL, 1)",
  },
  "with a NULL removed from its key": {
    setup: "CREATE TABLE t (k TEXT PRIMARY KEY, x); INSERT INTO t VALUES (NULL, 1)",
    change: "UPDATE t SET k = 'a'",
  },
  "with NULL possible in the second column of its key": {
    setup: "CREATE TABLE t (a TEXT NOT NULL, b TEXT, PRIMARY KEY (a, b))",
    change: "INSERT INTO t VALUES ('a', 'b')",
  },
  "whose key ignores case": {
    setup: "CREATE TABLE t (k TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, x); INSERT INTO t VALUES ('a', 1)",
    change: "UPDATE t SET k = 'A'",
  },
  "that is virtual": {
    setup: "CREATE VIRTUAL TABLE t USING fts5 (x)",
    change: "INSERT INTO t VALUES ('word')",
  },
  "that gets a new column in the same transaction": {
    setup: "CREATE TABLE t (k INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 1)",
    change: "UPDATE t SET x = 2; ALTER TABLE t ADD COLUMN y; UPDATE t SET y = 3",
  },
  "that is dropped": {
    setup: "CREATE TABLE t (k INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 1)",
    change: "UPDATE t SET x = 2; DROP TABLE t",
  },
};
for (const [what, { setup, change }] of Object.entries(UNKNOWN_ROWS)) {
  Deno.test(`a change of a table ${what} is reported without its rows`, async () => {
    await using db = await opened();
    await db.store.exec(setup);
    const events = follow(db.store, ["t"]);
    await db.store.exec(change);
    assert.equal(events.length, 1);
    assert.deepEqual([...events[0]!.tables.keys()], ["t"]);
    assert.equal(events[0]!.tables.get("t")!.rows, undefined);
  });
}

Deno.test("rows with text keys are reported as long as no key is NULL", async () => {
  await using db = await opened();
  await db.store.exec("CREATE TABLE t (k TEXT PRIMARY KEY, x)");
  const events = follow(db.store, ["t"]);
  await db.store.run("INSERT INTO t VALUES ('a', 1)");
  assert.deepEqual(rows(events[0], "t"), [{ type: "insert", new: { k: "a", x: 1 } }]);
});

Deno.test("rows do not contain generated columns", async () => {
  await using db = await opened();
  await db.store.exec(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, twice AS (x * 2), x, thrice AS (x * 3) STORED)",
  );
  const events = follow(db.store, ["t"]);
  await db.store.run("INSERT INTO t (id, x) VALUES (1, 5)");
  await db.store.run("UPDATE t SET x = 6");
  assert.deepEqual(events[0]!.tables.get("t")!.columns, ["id", "x"]);
  assert.deepEqual(rows(events[0], "t"), [{ type: "insert", new: { id: 1, x: 5 } }]);
  assert.deepEqual(rows(events[1], "t"), [
    { type: "update", old: { id: 1, x: 5 }, new: { id: 1, x: 6 }, changed: ["x"] },
  ]);
});

Deno.test("an update lists the changed columns, also for a change from 1 to 1.0", async () => {
  await using db = await opened();
  await db.store.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, x, y); INSERT INTO t VALUES (1, 1, 1)");
  const events = follow(db.store, ["t"]);
  await db.store.run("UPDATE t SET x = 1.0, y = 1");
  assert.deepEqual(rows(events[0], "t"), [
    { type: "update", old: { id: 1, x: 1, y: 1 }, new: { id: 1, x: 1, y: 1 }, changed: ["x"] },
  ]);
});
