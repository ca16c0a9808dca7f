import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Changes, Watch } from "../../../plugins/persistence.ts";
import { FakeClock } from "../../kit/mod.ts";
import { follow, ORDERS, rows } from "./changes.ts";
import { folder, opened } from "./kit.ts";

Deno.test("a watch gets changes of its own tables only, and can add and delete tables", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec("CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY)");
  const seen: string[] = [];
  const watch = store.watch(({ tables }) => void seen.push([...tables.keys()].join()), ["a"]);
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
  assert.deepEqual(seen, ["a", "a,b", "b"]);
});

Deno.test("a listener can end another watch and add one", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ORDERS);
  const seen: string[] = [];
  const first = store.watch(() => {
    seen.push("first");
    first.stop();
    second.stop();
    store.watch(() => void seen.push("third"), ["orders"]);
  }, ["orders"]);
  const second: Watch = store.watch(() => void seen.push("second"), ["orders"]);
  await store.run("INSERT INTO orders (id) VALUES (1)");
  await store.run("INSERT INTO orders (id) VALUES (2)");
  assert.deepEqual(seen, ["first", "third"]);
});

Deno.test("an error of a listener is logged and does not affect others", async () => {
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

Deno.test("a watch added within a transaction learns that rows may have changed", async () => {
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

Deno.test("a change of the schema is reported, and changes by new triggers are too", async () => {
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

Deno.test("after an undone schema change, cached statements have the old facts again", async () => {
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

Deno.test("writes of another process are reported once", async () => {
  using dir = folder();
  const clock = new FakeClock();
  await using db = await opened({ path: dir.file("a.db"), pollMs: 250 }, clock);
  const { store } = db;
  await store.exec(`${ORDERS}; CREATE TABLE log (id INTEGER PRIMARY KEY)`);
  using other = new DatabaseSync(dir.file("a.db"));
  other.exec("INSERT INTO orders (id) VALUES (1)");
  const events = follow(store, ["orders"]);
  clock.advance(1_000);
  assert.equal(events.length, 0, "earlier writes are not reported");
  other.exec("INSERT INTO log (id) VALUES (1)");
  clock.advance(250);
  assert.deepEqual([events.length, events[0]!.outside, events[0]!.schema], [1, true, false]);
  await store.run("INSERT INTO orders (id) VALUES (2)");
  clock.advance(1_000);
  assert.deepEqual(events.map(({ outside }) => outside), [true, false]);

  other.exec("CREATE TRIGGER t AFTER INSERT ON log BEGIN UPDATE orders SET total = 1; END");
  await store.run("INSERT INTO log DEFAULT VALUES"); // the trigger must be known even if this was prepared before
  assert.equal(events.length, 3);
  assert.deepEqual([events[2]!.outside, events[2]!.schema], [true, true]);
  assert.ok(events[2]!.tables.has("orders"));
});

Deno.test("a trigger that another process created before the first watch is known", async () => {
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

Deno.test("writes of the maintenance worker do not count as another process", async () => {
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
