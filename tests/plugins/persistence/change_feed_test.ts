import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Changes, RowChange, Store, Watch } from "../../../plugins/persistence.ts";
import { FakeClock } from "../../kit/mod.ts";
import { folder, opened } from "./kit.ts";

/** The changes of a store's tables, each event as one entry. */
function follow(store: Store, tables: Iterable<string> | "all" = "all"): Changes[] {
  const events: Changes[] = [];
  store.watch((changes) => void events.push(changes), tables);
  return events;
}

/** One event's rows of a table, in an order that does not depend on SQLite's hash table. */
function rows(changes: Changes | undefined, table: string): RowChange[] | undefined {
  const found = changes?.tables.get(table)?.rows;
  return found && [...found].sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
}

const ORDERS = "CREATE TABLE Orders (id INTEGER PRIMARY KEY, Status TEXT, total REAL)";

Deno.test("a commit tells the rows it inserted, updated and deleted, whole", async () => {
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

Deno.test("what is undone, or comes to nothing, is not told", async () => {
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

Deno.test("a write and the changes it leads to name the same commit, even after a failed attempt", async () => {
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
  const story: string[] = [];
  store.watch(() => void story.push(`told ${store.all("SELECT id FROM orders").length}`), ["orders"]);
  const writes = [1, 2].map(async (id) => {
    await store.run("INSERT INTO orders (id) VALUES (?)", [id]);
    story.push(`wrote ${id}`);
  });
  await Promise.all(writes);
  assert.deepEqual(story, ["told 2", "wrote 1", "wrote 2"]);
});

Deno.test("cascades, triggers and replaced rows are told like any other", async () => {
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

// SQLite empties a table at a stroke, unseen by sessions, if the statement was prepared while there was none.
Deno.test("a DELETE without WHERE is told row by row, even if it was prepared before anybody watched", async () => {
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

Deno.test("a watch hears its own tables only, and may change its mind", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec("CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY)");
  const heard: string[] = [];
  const watch = store.watch(({ tables }) => void heard.push([...tables.keys()].join()), ["a"]);
  const write = () =>
    store.write((tx) => {
      for (const table of ["a", "b"]) tx.run(`INSERT INTO ${table} DEFAULT VALUES`);
    });
  await write();
  watch.add("B");
  await write();
  watch.delete("A");
  await write();
  watch.stop();
  watch.add("a");
  await write();
  assert.deepEqual(heard, ["a", "a,b", "b"]);
});

Deno.test("a listener may end another's watch and begin one of its own", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ORDERS);
  const heard: string[] = [];
  const first = store.watch(() => {
    heard.push("first");
    first.stop();
    second.stop();
    store.watch(() => void heard.push("third"), ["orders"]);
  }, ["orders"]);
  const second: Watch = store.watch(() => void heard.push("second"), ["orders"]);
  await store.run("INSERT INTO orders (id) VALUES (1)");
  await store.run("INSERT INTO orders (id) VALUES (2)");
  assert.deepEqual(heard, ["first", "third"]);
});

Deno.test("a listener that throws is logged and bothers nobody", async () => {
  await using db = await opened();
  const { store, log } = db;
  await store.exec(ORDERS);
  store.watch(() => {
    throw new Error("broken listener");
  }, ["orders"]);
  const events = follow(store, ["orders"]);
  await store.run("INSERT INTO orders (id) VALUES (1)");
  assert.equal(events.length, 1);
  assert.match(String(log.find(({ level }) => level === "error")?.fields.error), /broken listener/);
});

Deno.test("a watch that begins within a transaction learns that rows may have changed", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ORDERS);
  const events: Changes[] = [];
  await store.write((tx) => {
    tx.run("INSERT INTO orders (id) VALUES (1)");
    store.watch((changes) => void events.push(changes), ["orders"]);
    tx.run("INSERT INTO orders (id) VALUES (2)");
  });
  assert.equal(events.length, 1);
  assert.equal(events[0]!.tables.get("orders")!.rows, undefined);
});

const UNTOLD: Record<string, { setup: string; change: string }> = {
  "without a primary key": { setup: "CREATE TABLE t (x)", change: "INSERT INTO t VALUES (1)" },
  "with a NULL in its key": {
    setup: "CREATE TABLE t (k TEXT PRIMARY KEY, x)",
    change: "INSERT INTO t VALUES (NULL, 1)",
  },
  "with a NULL that leaves its key": {
    setup: "CREATE TABLE t (k TEXT PRIMARY KEY, x); INSERT INTO t VALUES (NULL, 1)",
    change: "UPDATE t SET k = 'a'",
  },
  "with NULL possible late in its key": {
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
for (const [what, { setup, change }] of Object.entries(UNTOLD)) {
  Deno.test(`a change of a table ${what} is told without its rows`, async () => {
    await using db = await opened();
    await db.store.exec(setup);
    const events = follow(db.store, ["t"]);
    await db.store.exec(change);
    assert.equal(events.length, 1);
    assert.deepEqual([...events[0]!.tables.keys()], ["t"]);
    assert.equal(events[0]!.tables.get("t")!.rows, undefined);
  });
}

Deno.test("keys of text are told although they could be NULL, as long as none is", async () => {
  await using db = await opened();
  await db.store.exec("CREATE TABLE t (k TEXT PRIMARY KEY, x)");
  const events = follow(db.store, ["t"]);
  await db.store.run("INSERT INTO t VALUES ('a', 1)");
  assert.deepEqual(rows(events[0], "t"), [{ type: "insert", new: { k: "a", x: 1 } }]);
});

Deno.test("generated columns are left out of the rows", async () => {
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

Deno.test("an update tells which columns changed, be it from 1 to 1.0", async () => {
  await using db = await opened();
  await db.store.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, x, y); INSERT INTO t VALUES (1, 1, 1)");
  const events = follow(db.store, ["t"]);
  await db.store.run("UPDATE t SET x = 1.0, y = 1");
  assert.deepEqual(rows(events[0], "t"), [
    { type: "update", old: { id: 1, x: 1, y: 1 }, new: { id: 1, x: 1, y: 1 }, changed: ["x"] },
  ]);
});

Deno.test("a change of the schema is told, and triggers made since are seen", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`${ORDERS}; CREATE TABLE log (id INTEGER PRIMARY KEY, order_id INTEGER)`);
  const insert = "INSERT INTO orders (total) VALUES (1)";
  const events = follow(store, ["log"]);
  await store.run(insert);
  assert.equal(events.length, 0);
  await store.exec(
    "CREATE TRIGGER t AFTER INSERT ON orders BEGIN INSERT INTO log (order_id) VALUES (new.id); END",
  );
  assert.deepEqual([events.length, events[0]!.schema, events[0]!.tables.size], [1, true, 0]);
  await store.run(insert);
  assert.deepEqual(rows(events[1], "log"), [{ type: "insert", new: { id: 1, order_id: 2 } }]);
});

Deno.test("a schema change that is undone leaves no trace in what is known of statements", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    ${ORDERS};
    CREATE TABLE log (id INTEGER PRIMARY KEY);
    CREATE TRIGGER t AFTER INSERT ON orders BEGIN INSERT INTO log VALUES (NULL); END;
  `);
  const insert = "INSERT INTO orders (total) VALUES (1)";
  const events = follow(store, ["log"]);
  const failing = store.write((tx) => {
    tx.exec("DROP TRIGGER t");
    tx.run(insert);
    throw new Error("undo");
  });
  const [, second] = await Promise.allSettled([failing, store.run(insert)]);
  assert.equal(second!.status, "fulfilled");
  assert.equal(events.at(-1)!.tables.get("log") !== undefined, true);
  await store.run(insert);
  assert.equal(rows(events.at(-1), "log")?.length, 1);
});

Deno.test("another process's writes are noticed, and only those", async () => {
  using dir = folder();
  const clock = new FakeClock();
  await using db = await opened({ path: dir.file("a.db"), pollMs: 250 }, clock);
  const { store } = db;
  await store.exec(`${ORDERS}; CREATE TABLE log (id INTEGER PRIMARY KEY)`);
  using other = new DatabaseSync(dir.file("a.db"));
  other.exec("INSERT INTO orders (id) VALUES (1)");
  const events = follow(store, ["orders"]);
  clock.advance(1_000);
  assert.equal(events.length, 0, "what was written before is old");
  other.exec("INSERT INTO log (id) VALUES (1)");
  clock.advance(250);
  assert.deepEqual([events.length, events[0]!.outside, events[0]!.schema], [1, true, false]);
  await store.run("INSERT INTO orders (id) VALUES (2)");
  clock.advance(1_000);
  assert.deepEqual(events.map(({ outside }) => outside), [true, false]);

  other.exec("CREATE TRIGGER t AFTER INSERT ON log BEGIN UPDATE orders SET total = 1; END");
  await store.run("INSERT INTO log DEFAULT VALUES"); // prepared before or not, it must know the trigger
  assert.equal(events.length, 3);
  assert.deepEqual([events[2]!.outside, events[2]!.schema], [true, true]);
  assert.ok(events[2]!.tables.has("orders"));
});

Deno.test("a trigger that another process made while nobody watched is known", async () => {
  using dir = folder();
  await using db = await opened({ path: dir.file("a.db") });
  const { store } = db;
  await store.exec(`${ORDERS}; CREATE TABLE log (id INTEGER PRIMARY KEY)`);
  const insert = "INSERT INTO log (id) VALUES (NULL)";
  await store.run(insert);
  using other = new DatabaseSync(dir.file("a.db"));
  other.exec("CREATE TRIGGER t AFTER INSERT ON log BEGIN INSERT INTO orders (total) VALUES (1); END");
  const events = follow(store, ["orders"]);
  await store.run(insert);
  assert.equal(rows(events[0], "orders")?.length, 1);
});

Deno.test("the maintenance worker is not another process", async () => {
  using dir = folder();
  const clock = new FakeClock();
  await using db = await opened({ path: dir.file("a.db") }, clock);
  const { store } = db;
  await store.exec(ORDERS);
  const events = follow(store);
  await store.backup(dir.file("b.db"));
  clock.advance(1_000);
  assert.deepEqual(events, []);
});
