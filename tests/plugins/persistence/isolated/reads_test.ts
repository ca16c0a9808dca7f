import assert from "node:assert/strict";
import { codeOf, ENDLESS_AGGREGATE, ENDLESS_ROWS, NUMBERS, serveSql } from "../../sql_events/kit.ts";
import { FakeClock, turn } from "../../../kit/mod.ts";
import { attack } from "./attacked.ts";

const LIMITS = { maxRows: 10, maxMs: 60_000 };
const failsWith = (code: string) => (error: { code: string }) => error.code === code;

for (const runIn of ["process", "worker"] as const) {
  Deno.test(`in a ${runIn}, an isolated read inspects, reads, and publishes no event`, async () => {
    await using server = await serveSql();
    await server.store.exec(`${NUMBERS} CREATE VIEW few AS SELECT n, upper(name) AS up FROM numbers LIMIT 2`);
    const isolated = server.store.isolated({ runIn });
    await using client = await server.join("queries");
    const sql = "SELECT f.n AS id, (SELECT max(n) FROM numbers) AS top FROM few f WHERE n <> :n";
    const { columns, reads, viaView, functions, recursive } = await isolated.inspect(sql, LIMITS);
    assert.deepEqual(columns, [{ name: "id", table: "numbers", column: "n" }, {
      name: "top",
      table: null,
      column: null,
    }]);
    assert.deepEqual(reads, new Map([["numbers", new Set(["n", "name"])]]));
    assert.deepEqual([viaView.has("numbers"), functions.has("upper"), recursive], [true, true, false]);
    assert.deepEqual(await isolated.read(sql, { n: 1 }, LIMITS), [{ id: 2, top: 20_000 }]);
    await server.store.run("DELETE FROM numbers WHERE n > 5");
    assert.deepEqual(await isolated.read("SELECT n FROM numbers WHERE n > ?", [3], LIMITS), [{ n: 4 }, {
      n: 5,
    }]);
    server.events.notifyQueryStarted({ queryId: "after", query: "", timestamp: 0 });
    assert.equal((await client.nextJson()).data.queryId, "after");
  });
}

Deno.test("isolated reads that write, return too many rows, or take too long are refused or stopped", async () => {
  await using server = await serveSql();
  await server.store.exec(NUMBERS);
  const isolated = server.store.isolated();
  const read = async (sql: string, maxMs = 60_000) => {
    await isolated.inspect(sql, { maxMs });
    await isolated.read(sql, [], { maxRows: 10, maxMs });
  };
  const cases: [string, string, number?][] = [
    ["", "bad_sql"],
    [" -- nothing", "bad_sql"],
    ["SELECT 1; SELECT 2", "bad_sql"],
    ["SELEC", "bad_sql"],
    ["DELETE FROM numbers", "not_a_read"],
    ["ATTACH 'x' AS x", "not_a_read"],
    ["SELECT load_extension('x')", "refused_sql"],
    ["SELECT n FROM numbers", "too_many_rows"],
    ["SELECT hex(zeroblob(5000000))", "too_many_rows"],
    [ENDLESS_AGGREGATE, "timeout", 300],
    [ENDLESS_ROWS, "too_many_rows"],
    [
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
      "timeout",
      300,
    ],
    // Preparing it would take years: each part doubles the work of the one before.
    [
      `WITH a0 AS (SELECT 1)${
        Array.from({ length: 40 }, (_, i) => `, a${i + 1} AS (SELECT 1 FROM a${i}, a${i})`).join("")
      } SELECT * FROM a40`,
      "timeout",
      300,
    ],
  ];
  for (const [sql, code, maxMs] of cases) {
    await assert.rejects(read(sql, maxMs), failsWith(code), sql);
  }
  assert.deepEqual(
    await isolated.read("SELECT 1 AS one", [], LIMITS),
    [{ one: 1 }],
    "the next one works",
  );
});

Deno.test("isolated reads wait for a place, and too many are refused", async () => {
  const clock = new FakeClock();
  await using server = await serveSql({}, { clock });
  await server.store.exec(NUMBERS);
  const isolated = server.store.isolated();
  const slow = Array.from(
    { length: 2 },
    () => isolated.read(ENDLESS_AGGREGATE, [], { maxRows: 1, maxMs: 500 }),
  );
  const ended = Promise.allSettled(slow);
  const waiting = Array.from({ length: 1_001 }, () => isolated.read("SELECT 1", [], LIMITS));
  const results = Promise.allSettled(waiting);
  await turn();
  clock.advance(500);
  await ended;
  const refused = (await results).filter(({ status }) => status === "rejected");
  assert.equal(refused.length, 1);
});

Deno.test("two queries that never end hold up others only for their time, which includes waiting", async () => {
  const clock = new FakeClock();
  await using server = await serveSql({}, { clock });
  await server.store.exec(NUMBERS);
  const isolated = server.store.isolated();
  const limits = { maxRows: 1, maxMs: 1_500 };
  const endless = [1, 2, 3].map(() => isolated.read(ENDLESS_AGGREGATE, [], { ...limits, user: "mallory" }));
  const codes = Promise.all(endless.map(codeOf));
  const hurried = codeOf(isolated.read("SELECT 1", [], { maxRows: 1, maxMs: 100, user: "ann" }));
  const later = isolated.read("SELECT 1 AS one", [], { ...LIMITS, user: "ann" });
  const patient = isolated.read("SELECT 2 AS two", [], { ...LIMITS, maxMs: 1_400, patient: true });
  await turn();
  clock.advance(100);
  assert.equal(await hurried, "overloaded", "it gives up waiting, and is not called slow");
  clock.advance(1_400);
  assert.deepEqual(await codes, ["timeout", "timeout", "overloaded"]);
  assert.deepEqual(await later, [{ one: 1 }]);
  assert.deepEqual(await patient, [{ two: 2 }], "its time begins with its place");
});

Deno.test("SQL that wants gigabytes is stopped in bounded memory, and leaves no files", async () => {
  const doubling = Array.from(
    { length: 8 },
    (_, i) => `, a${i + 1} AS (SELECT 1 FROM a${i}, a${i}, a${i}, a${i})`,
  );
  const temporary = () =>
    [...Deno.readDirSync("/var/tmp")].map(({ name }) => name).filter((n) => /etilqs/.test(n));
  const before = temporary();
  const codes = await attack([
    [`WITH a0 AS (SELECT 1)${doubling.join("")} SELECT * FROM a8`],
    ["WITH RECURSIVE c(n) AS (SELECT 1 UNION SELECT n + 1 FROM c) SELECT count(*) FROM c"],
    ["WITH RECURSIVE c(n) AS (SELECT randomblob(1000000) UNION SELECT randomblob(1000000) FROM c) SELECT 1 FROM c"],
    ["SELECT a.name || b.name AS x FROM numbers a, numbers b ORDER BY x"],
    [`SELECT ${Array(400).fill("hex(randomblob(8000000))")}`],
    [`SELECT ${"1 + ".repeat(300)} 1`],
    [Array(200).fill("SELECT 1").join(" UNION ALL ")],
  ], "process");
  assert.deepEqual(temporary(), before);
  assert.deepEqual(codes.slice(-2), ["bad_sql", "bad_sql"]);
  for (const code of codes.slice(0, -2)) {
    assert.match(code, /^(timeout|out_of_memory|too_many_rows|query_failed)$/);
  }
});

Deno.test("a database in memory has no isolated reads", async () => {
  await using server = await serveSql({ memory: true });
  await assert.rejects(server.store.isolated().read("SELECT 1", [], LIMITS), failsWith("not_available"));
});
