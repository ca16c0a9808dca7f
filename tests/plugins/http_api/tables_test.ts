import assert from "node:assert/strict";
import { longestHold, slowdown, until } from "../../kit/mod.ts";
import { type ApiServer, apiServer } from "./kit.ts";

const READER = "r".repeat(32);

/** Reads all pages; fails if they do not end. */
async function all(server: ApiServer, name: string, limit: number) {
  const rows: unknown[][] = [];
  const keys: unknown[] = [];
  let after: unknown;
  for (let page = 0; page < 100; page++) {
    const read = await server.result("table", { name, limit, ...(after !== undefined && { after }) });
    rows.push(...read.rows);
    keys.push(...read.keys);
    if (read.next === undefined) return { rows, keys };
    after = read.next;
  }
  throw new Error("the pages do not end");
}

Deno.test("B14 every row is read once, whatever its key is", async () => {
  await using server = await apiServer();
  await server.store.exec(`
    CREATE TABLE nulls (a TEXT, b INTEGER, PRIMARY KEY (a, b));
    INSERT INTO nulls VALUES (NULL, NULL), (NULL, NULL), (NULL, 1), ('x', NULL), ('x', NULL), ('x', 2), ('y', NULL);
    CREATE TABLE nuls (a TEXT PRIMARY KEY);
    INSERT INTO nuls VALUES ('a' || char(0) || 'b'), ('a' || char(0) || 'c'), ('a'), (CAST(x'ff' AS TEXT)), ('b');
    CREATE TABLE hidden (rowid TEXT, n INTEGER);
    INSERT INTO hidden VALUES ('same', 1), ('same', 2), ('same', 3), (NULL, 4);
    CREATE TABLE "a, typeof(b)" ("c, CASE WHEN", "c0", PRIMARY KEY ("c, CASE WHEN")) WITHOUT ROWID;
    INSERT INTO "a, typeof(b)" VALUES (1, 1), ('1', 2), (x'31', 3), (9e999, 4);
    CREATE TABLE long (k TEXT PRIMARY KEY, n);
    INSERT INTO long SELECT printf('%.*c', 5000, 'k') || value, value FROM json_each('[1,2,3]');
  `);
  for (const limit of [1, 2, 200]) {
    assert.equal((await all(server, "nulls", limit)).rows.length, 7);
    assert.equal((await all(server, "nuls", limit)).rows.length, 5);
    assert.deepEqual((await all(server, "hidden", limit)).rows.map(([, n]) => n), [1, 2, 3, 4]);
    const odd = (await all(server, "a, typeof(b)", limit)).rows.map(([, n]) => n);
    assert.deepEqual(odd, [1, 4, 2, 3]);
    const long = await all(server, "long", limit);
    assert.deepEqual(long.rows.map(([, n]) => n), [1, 2, 3]);
    assert.deepEqual(long.keys, [null, null, null]);
  }
});

Deno.test("B14 a page of large texts does not hold the event loop", async () => {
  await using server = await apiServer();
  await server.store.exec("CREATE TABLE big (id INTEGER PRIMARY KEY, body TEXT)");
  for (let i = 0; i < 100; i++) {
    await server.store.run("INSERT INTO big (body) VALUES (?)", ["x".repeat(i === 0 ? 200_000 : 1_000_000)]);
  }
  let rows: unknown[][] = [];
  const bound = 20 * slowdown();
  const held = await longestHold(bound, async () => {
    ({ rows } = await server.result("table", { name: "big", limit: 200 }));
  });
  assert.ok(held < bound, `held for ${held} ms`);
  assert.deepEqual(rows[0], [1, { begins: "x".repeat(1_000), bytes: 200_000 }]);
  assert.deepEqual(rows[99], [100, { begins: "", bytes: 1_000_000 }]);
});

Deno.test("B14 rows are inserted, changed and deleted one at a time, and live queries see it", async () => {
  await using server = await apiServer({
    apiKeys: [{ name: "reader", key: READER, permissions: ["admin:database"] }],
  });
  await server.store.exec(`
    CREATE TABLE "it""ems" (id INTEGER PRIMARY KEY, "na me" TEXT DEFAULT 'none', n INTEGER CHECK (n < 100),
      twice GENERATED ALWAYS AS (n * 2));
    CREATE TABLE loose (a, b);
    INSERT INTO loose VALUES (NULL, 1), (NULL, 1);
  `);
  server.queries.define("items", { sql: 'SELECT id, "na me" AS name, n FROM "it""ems"', allow: () => true });
  await using user = await server.user("ada");
  const changes: unknown[] = [];
  const live = user.sdk.newSubscription("live:items");
  live.on("publication", ({ data }: { data: unknown }) => void changes.push(data));
  live.subscribe();
  await live.ready(30_000);

  const name = 'it"ems';
  const insert = (values: object) => server.result("table/insert", { name, values });
  await insert({ "na me": "'); DROP TABLE loose; --", n: 1 });
  await insert({});
  const { rows, keys } = await all(server, name, 10);
  assert.deepEqual(rows, [[1, "'); DROP TABLE loose; --", 1, 2], [2, "none", null, null]]);
  await server.result("table/update", { name, key: keys[1], values: { n: 7, "na me": null } });
  await server.result("table/delete", { name, key: keys[0] });
  assert.deepEqual((await all(server, name, 10)).rows, [[2, null, 7, 14]]);
  await until("the diff", () => JSON.stringify(changes).includes('{"id":2,"name":null,"n":7}'));

  // Of two equal rows, one.
  const [first] = (await all(server, "loose", 10)).keys;
  await server.result("table/delete", { name: "loose", key: first });
  assert.equal((await all(server, "loose", 10)).rows.length, 1);

  const gone = await server.call("table/delete", { name: "loose", key: first });
  assert.equal(gone.status, 404);
  for (
    const values of [{ nothing: 1 }, { twice: 1 }, { n: true }, { n: { sql: "1" } }, { n: [1] }, {
      n: { integer: "99999999999999999999" },
    }]
  ) {
    const refused = await server.call("table/update", { name, key: [2], values });
    assert.equal(refused.status, 400, JSON.stringify(values));
  }
  assert.notEqual((await server.call("table/update", { name, key: [2], values: { n: 100 } })).status, 200);
  for (const key of [[], [2, 3], ["2' OR 1"], [{}]]) {
    assert.notEqual((await server.call("table/delete", { name, key })).status, 200, JSON.stringify(key));
  }
  await server.store.exec("CREATE TABLE tinybase_parts (part TEXT)");
  for (const own of ["plugboard_migrations", "sqlite_schema", "tinybase_parts", "tinybase_parts\0"]) {
    assert.equal((await server.call("table", { name: own })).status, 404);
    assert.equal((await server.call("table/insert", { name: own, values: {} })).status, 404);
  }
  for (
    const [method, params] of [["insert", { values: {} }], ["update", { key: [2], values: { n: 1 } }], [
      "delete",
      { key: [2] },
    ]] as const
  ) {
    const refused = await server.call(`table/${method}`, { name, ...params }, { "x-api-key": READER });
    assert.equal(refused.status, 403);
  }
  assert.equal((await server.call("table", { name }, { "x-api-key": READER })).status, 200);
  assert.deepEqual((await all(server, name, 10)).rows, [[2, null, 7, 14]]);
});

Deno.test("B14 a row that breaks a rule of its table is refused with a sentence", async () => {
  await using server = await apiServer();
  await server.store.exec(`
    CREATE TABLE teams (id INTEGER PRIMARY KEY);
    CREATE TABLE people (
      id INTEGER PRIMARY KEY, team REFERENCES teams, name TEXT NOT NULL, "e mail" TEXT, age INTEGER CHECK (age < 200),
      UNIQUE (name, "e mail")
    );
    CREATE TABLE strict (n INTEGER) STRICT;
    CREATE TRIGGER adults BEFORE INSERT ON people WHEN new.age < 18 BEGIN SELECT raise(ABORT, 'Adults only'); END;
    INSERT INTO people VALUES (1, NULL, 'Ada', 'a@b', 36);
  `);
  const refused: [table: string, values: object, sentence: string][] = [
    ["people", { name: "Ada", "e mail": "a@b" }, "Another row has the same name and e mail"],
    ["people", { age: 40 }, "name must have a value"],
    ["people", { name: "x", age: 900 }, "The row breaks a rule of the table: age < 200"],
    [
      "people",
      { name: "x", team: 7 },
      "The row refers to a row that does not exist, or another one refers to it",
    ],
    ["people", { name: "x", id: "one" }, "The number of the row must be an integer"],
    ["people", { name: "x", age: 7 }, "Adults only"],
    ["strict", { n: "one" }, "The value has the wrong type for the INTEGER column strict.n"],
  ];
  for (const [name, values, sentence] of refused) {
    const { status, body } = await server.call("table/insert", { name, values });
    assert.deepEqual([status, body.error], [409, { code: "constraint", message: sentence }]);
  }
  assert.equal((await all(server, "people", 10)).rows.length, 1);
});

Deno.test("B14 only callers with the permission are told which columns they may set", async () => {
  await using server = await apiServer({
    apiKeys: [{ name: "reader", key: READER, permissions: ["admin:database"] }],
  });
  await server.store.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b, c AS (b * 2))");
  assert.deepEqual((await server.result("table", { name: "t" })).writable, ["a", "b"]);
  const { body } = await server.call("table", { name: "t" }, { "x-api-key": READER });
  assert.equal(body.result.writable, undefined);
});

Deno.test("B14 a number is stored as it was given", async () => {
  await using server = await apiServer();
  await server.store.exec("CREATE TABLE typed (id INTEGER PRIMARY KEY, t TEXT, a, r REAL)");
  const name = "typed";
  await server.result("table/insert", { name, values: { t: 5, a: 5, r: 5 } });
  await server.result("table/insert", { name, values: { t: 1.5, a: 1e300, r: -2 } });
  const types = server.store.all("SELECT t, typeof(a) AS a, typeof(r) AS r FROM typed");
  assert.deepEqual(types.map((row) => ({ ...row })), [
    { t: "5", a: "integer", r: "real" },
    { t: "1.5", a: "real", r: "real" },
  ]);
});

Deno.test("B14 a text with a NUL is not cut", async () => {
  await using server = await apiServer();
  await server.store.exec(`
    CREATE TABLE nul (id INTEGER PRIMARY KEY, t TEXT);
    INSERT INTO nul VALUES (1, 'a' || char(0) || 'b'), (2, '');
  `);
  const text = new TextEncoder().encode("a\0b").toBase64();
  assert.deepEqual((await all(server, "nul", 10)).rows, [[1, { text }], [2, ""]]);
});
