import assert from "node:assert/strict";
import { Server } from "../../core/mod.ts";
import { persistence, type Transaction } from "../../plugins/persistence.ts";
import { metricsRegistry } from "../../plugins/shared/metrics.ts";
import { serve } from "../kit/mod.ts";
import { folder, opened, value } from "./persistence/kit.ts";

const TABLE = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER, data BLOB)";

Deno.test("an invalid option is refused by name", () => {
  const bad = (options: object, message: RegExp) => assert.throws(() => persistence(options), { message });
  bad({ path: "" }, /Cannot start persistence: "path" must be a non-empty string/);
  bad({ durability: "always" }, /"durability" must be one of full, normal, off, got "always"/);
  bad({ maxBytes: -1 }, /"maxBytes"/);
  bad({ maxQueuedWrites: 0 }, /"maxQueuedWrites" must be a positive integer, got 0/);
});

Deno.test("the constructor opens nothing, and use before the start or after the stop is an error", async () => {
  using dir = folder();
  const server = new Server({ port: false });
  const store = server.use(persistence({ path: dir.file("sub/a.db") }));
  assert.deepEqual([...Deno.readDirSync(dir.path)], []);
  assert.throws(() => store.all("SELECT 1"), { code: "not_started" });
  await assert.rejects(store.run("SELECT 1"), { code: "not_started" });
  await server.start();
  assert.equal(value(store, "SELECT 1"), 1);
  await server.stop();
  assert.throws(() => store.get("SELECT 1"), { code: "stopped" });
  await assert.rejects(store.write(() => {}), { code: "stopped" });
});

for (const durability of ["full", "normal", "off"] as const) {
  Deno.test(`writes survive a restart, durability ${durability}`, async () => {
    using dir = folder();
    const options = { path: dir.file("a.db"), durability };
    {
      await using first = await opened(options);
      await first.store.exec(TABLE);
      await first.store.run("INSERT INTO items (name) VALUES (?)", ["kept"]);
      first.store.run("INSERT INTO items (name) VALUES (?)", ["not awaited, but stop flushes"]).catch(
        assert.fail,
      );
    }
    assert.deepEqual([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["a.db"], "closed cleanly");
    await using second = await opened(options);
    assert.equal(value(second.store, "SELECT count(*) FROM items"), 2);
  });
}

Deno.test("parameters are positional or named, and values are returned unchanged", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec("CREATE TABLE v (id INTEGER PRIMARY KEY, x)");
  const values = [
    null,
    1.5,
    -7,
    "",
    "text \u{1F600}",
    "\uFEFFmark",
    2n ** 60n,
    -(2n ** 63n),
    new Uint8Array([0, 1, 255]),
  ];
  for (const x of values) await store.run("INSERT INTO v (x) VALUES (?)", [x]);
  assert.deepEqual(store.all<{ x: unknown }>("SELECT x FROM v ORDER BY id").map(({ x }) => x), values);
  await store.run("INSERT INTO v (x) VALUES (:x)", { x: "bare" });
  await store.run("INSERT INTO v (x) VALUES (:x)", { ":x": "with sign" });
  assert.equal(value(store, "SELECT count(*) FROM v WHERE x IN ('bare', 'with sign')"), 2);
});

Deno.test("a large integer in any row neither ends a limited read nor is rounded", async () => {
  await using db = await opened();
  const { store } = db;
  const values = [1, 2n ** 53n, -(2n ** 63n), 2n ** 63n - 1n, -(2n ** 53n) - 1n, 2 ** 53 - 1, -5];
  await store.exec("CREATE TABLE n (id INTEGER PRIMARY KEY, x INTEGER, r REAL)");
  for (const x of values) await store.run("INSERT INTO n (x, r) VALUES (?, -9223372036854775808.0)", [x]);
  for (const limits of [{}, { maxRows: 7 }, { maxRows: 7, atOnce: true }]) {
    const rows = store.all<{ x: number | bigint; r: number }>("SELECT x, r FROM n ORDER BY id", [], limits);
    assert.deepEqual(rows.map(({ x }) => x), values);
    assert.deepEqual(new Set(rows.map(({ r }) => r)), new Set([-(2 ** 63)]));
  }
  for (const atOnce of [false, true]) {
    const read = () => store.all("SELECT x FROM n", [], { maxRows: 6, atOnce });
    assert.throws(read, { code: "too_many_rows" });
  }
  const [first] = store.all("SELECT id, x, r FROM n ORDER BY id", [], { bigints: true });
  assert.deepEqual({ ...first }, { id: 1n, x: 1n, r: -(2 ** 63) });
  assert.equal(store.get<{ x: bigint }>("SELECT min(x) AS x FROM n")!.x, -(2n ** 63n));
});

Deno.test("large integers are returned as bigint by reads and writes", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec("CREATE TABLE n (id INTEGER PRIMARY KEY, x INTEGER)");
  const row = await store.write((tx) =>
    tx.get("INSERT INTO n (x) VALUES (9007199254740993) RETURNING id, x")
  );
  assert.deepEqual({ ...row }, { id: 1, x: 9007199254740993n });
  assert.deepEqual({ ...store.get("SELECT id, x FROM n") }, { id: 1, x: 9007199254740993n });
  assert.equal(value(store, "SELECT id FROM n"), 1);
  const { lastId, changes } = await store.run("INSERT INTO n (id) VALUES (9007199254740995)");
  assert.deepEqual([lastId, changes], [9007199254740995n, 1]);
});

Deno.test("a parameter that cannot be stored unchanged is refused", async () => {
  await using db = await opened();
  const read = (...params: unknown[]) => () => db.store.get("SELECT ?", params as never);
  assert.throws(read("a\0b"), { code: "bad_parameter", message: /NUL/ });
  assert.throws(read("\ud800"), { code: "bad_parameter", message: /surrogate/ });
  assert.throws(read(undefined), { code: "bad_parameter" });
  assert.throws(read(true), { code: "bad_parameter" });
  assert.throws(read(2n ** 70n), { code: "bad_parameter" });
  assert.throws(read(1, 2), { code: "bad_parameter" });
  assert.throws(() => db.store.get("SELECT :a", { b: 1 }), { code: "bad_parameter" });
});

Deno.test("wrong SQL is an error with a code, and the store still works", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(TABLE);
  const fails = (sql: string, code: string) => assert.throws(() => store.all(sql), { code }, sql);
  fails("SELEC 1", "bad_sql");
  fails("SELECT * FROM missing", "bad_sql");
  for (const nothing of ["", "  ", ";;", "-- only a comment", "/* open", "\uFEFF"]) fails(nothing, "bad_sql");
  fails("SELECT 1; SELECT 2", "bad_sql");
  fails("SELECT 1\0; DROP TABLE items", "bad_sql");
  fails("?", "bad_sql");
  assert.equal(value(store, " ; /* one */ SELECT 1 ; -- two"), 1);
});

Deno.test("a read cannot write, and statements cannot change transactions or settings", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(TABLE);
  for (
    const sql of [
      "DELETE FROM items",
      "INSERT INTO items (name) VALUES ('x') RETURNING id",
      "CREATE TABLE t (x)",
      "DROP TABLE items",
      "VACUUM",
      "REINDEX",
      "ANALYZE",
      "PRAGMA defer_foreign_keys = ON",
    ]
  ) assert.throws(() => store.all(sql), { code: "not_a_read" }, sql);
  for (
    const sql of [
      "BEGIN",
      "COMMIT",
      "ROLLBACK",
      "SAVEPOINT x",
      "RELEASE x",
      "ATTACH ':memory:' AS other",
      "PRAGMA journal_mode = DELETE",
      "PRAGMA writable_schema = ON",
      "PRAGMA wal_checkpoint",
      "SELECT FTS3_tokenizer('simple')",
      "SELECT load_extension('x')",
    ]
  ) {
    assert.throws(() => store.all(sql), { code: "refused_sql" }, sql);
    await assert.rejects(store.run(sql), { code: "refused_sql" }, sql);
    await assert.rejects(
      store.exec(`INSERT INTO items (name) VALUES ('x'); ${sql}`),
      { code: "refused_sql" },
      sql,
    );
  }
  assert.equal(value(store, "SELECT count(*) FROM items"), 0);
  assert.equal(store.all("PRAGMA table_info(items)").length, 4);
});

Deno.test("a read with too many rows ends early", async () => {
  await using db = await opened();
  const numbers =
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000000) SELECT x FROM n";
  assert.throws(() => db.store.all(numbers, [], { maxRows: 10 }), {
    code: "too_many_rows",
    message: /more than 10 rows/,
  });
  assert.equal(db.store.all(`${numbers} LIMIT 10`, [], { maxRows: 10 }).length, 10);
});

Deno.test("a script runs completely or not at all", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    -- a comment; with a semicolon
    CREATE TABLE a (x); /* and ; another */
    CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.x); SELECT 1; END;
    CREATE TABLE b (x);
    INSERT INTO a VALUES ('; not the end');
  `);
  assert.equal(value(store, "SELECT x FROM b"), "; not the end");
  await assert.rejects(
    store.exec("CREATE TABLE c (x); INSERT INTO a VALUES (2); INSERT INTO nowhere VALUES (1)"),
    {
      code: "bad_sql",
    },
  );
  assert.equal(store.table("c"), undefined);
  assert.equal(value(store, "SELECT count(*) FROM a"), 1);
});

Deno.test("inspect returns what a query reads, also through views, subqueries and expressions", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    CREATE TABLE Orders (id INTEGER PRIMARY KEY, Status TEXT, customer INTEGER, total REAL);
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
    CREATE VIEW open_orders AS SELECT id, total FROM orders WHERE status = 'open';
  `);
  const { columns, reads, viaView, functions, recursive } = store.inspect(`
    SELECT o.id, upper(name) AS shout, (SELECT max(total) FROM open_orders) AS most
    FROM orders o JOIN customers c ON c.id = o.customer WHERE o.id > :id
  `);
  assert.deepEqual(columns, [
    { name: "id", table: "Orders", column: "id" },
    { name: "shout", table: null, column: null },
    { name: "most", table: null, column: null },
  ]);
  assert.deepEqual(
    new Map([...reads].map(([table, names]) => [table, [...names].sort()])),
    new Map([["orders", ["customer", "id", "status", "total"]], ["customers", ["id", "name"]]]),
  );
  assert.deepEqual([...viaView], ["orders"]);
  assert.deepEqual([...functions].sort(), ["max", "upper"]);
  assert.equal(recursive, false);
  assert.deepEqual([...store.inspect("SELECT count(*) FROM orders").reads], [["orders", new Set()]]);
  assert.ok(
    store.inspect("WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT * FROM n")
      .recursive,
  );
  assert.throws(() => store.inspect("DELETE FROM orders"), { code: "not_a_read" });
});

Deno.test("a common table expression does not hide a table of its name", async () => {
  await using db = await opened();
  await db.store.exec("CREATE TABLE t (x)");
  const { reads } = db.store.inspect("SELECT * FROM (WITH t AS (SELECT 1 AS y) SELECT y FROM t), main.t");
  assert.deepEqual([...reads], [["t", new Set(["x"])]]);
});

Deno.test("table returns columns and primary key as they were declared", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    CREATE TABLE Pairs (b TEXT, a INTEGER, c AS (a + 1), PRIMARY KEY (a, b));
    CREATE VIEW seen AS SELECT a FROM pairs;
  `);
  assert.deepEqual(store.table("PAIRS"), {
    name: "Pairs",
    virtual: false,
    module: null,
    shadow: false,
    columns: ["b", "a", "c"],
    stored: ["b", "a"],
    primaryKey: ["a", "b"],
  });
  assert.equal(store.table("seen"), undefined);
  assert.equal(store.table("missing"), undefined);
  assert.equal(store.table("pairs\0"), undefined);
  await store.exec("ALTER TABLE pairs ADD COLUMN d");
  assert.deepEqual(store.table("pairs")?.columns, ["b", "a", "c", "d"]);
});

Deno.test("the types refuse an async write", async () => {
  await using db = await opened();
  const { store } = db;
  const nothing = async (_: Transaction) => {};
  // @ts-expect-error a promise is not a value of a transaction
  await assert.rejects(store.write(nothing), { code: "async_write" });
  const number: number = await store.write(() => 5);
  assert.equal(number, 5);
});

Deno.test("commits are counted with their writes and their duration", async () => {
  const metrics = metricsRegistry();
  const plugin = persistence({ path: ":memory:", metrics });
  await using _server = await serve({}, plugin);
  const store = plugin.api;
  await store.exec("CREATE TABLE counted (id INTEGER PRIMARY KEY)");
  const before = metrics.totals();
  await Promise.all(Array.from({ length: 200 }, () => store.run("INSERT INTO counted DEFAULT VALUES")));
  const after = metrics.totals();
  const grown = (name: string) => after[name]! - before[name]!;
  assert.equal(grown("plugboard_commit_writes_total"), 200);
  const commits = grown("plugboard_commit_seconds_count");
  assert.ok(commits >= 1 && commits < 50, `the writes of one turn share commits: ${commits}`);
});
