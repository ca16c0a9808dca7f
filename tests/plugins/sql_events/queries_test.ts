import assert from "node:assert/strict";
import { until, within } from "../../kit/mod.ts";
import { children } from "../persistence/isolated/children.ts";
import { codeOf, ENDLESS_ROWS, EVERYWHERE, nextEvent, NUMBERS, serveSql } from "./kit.ts";

for (const runIn of EVERYWHERE) {
  Deno.test(`Q10 a query in a ${runIn} announces its start and row count, and returns its rows`, async () => {
    await using server = await serveSql({ runIn, maxRows: 3 });
    await using client = await server.join("queries");
    await server.store.exec(NUMBERS);
    const sql = "SELECT n, name FROM numbers WHERE n > :least";
    const result = await server.events.run(sql, { least: 10 }, { user: "ann", queryId: "q1" });
    const { durationMs, ...rest } = result;
    assert.deepEqual(rest, {
      columns: ["n", "name"],
      rows: [[11, "number 11"], [12, "number 12"], [13, "number 13"]],
      rowCount: 19_990,
      truncated: true,
    });
    const [started, { timestamp, ...start }] = await nextEvent(client);
    assert.equal(typeof timestamp, "number");
    assert.deepEqual([started, start], ["query:started", { queryId: "q1", query: sql, userId: "ann" }]);
    const [complete, { duration, ...end }] = await nextEvent(client);
    assert.deepEqual([complete, end], ["query:complete", { queryId: "q1", rowCount: 19_990 }]);
    assert(Math.abs(duration - durationMs) < 0.01 && duration > 0);
    assert.deepEqual(server.events.running, []);
  });

  Deno.test(`Q10 a query in a ${runIn} returns every kind of value, under any column names`, async () => {
    await using server = await serveSql({ runIn });
    const { events } = server;
    const sql = "SELECT 1 AS a, 9007199254740993 AS a, -1.5 AS a, NULL, x'00ff', ? AS blob";
    const { columns, rows } = await events.run(sql, [new Uint8Array([7])]);
    assert.deepEqual(columns, ["a", "a", "a", "NULL", "x'00ff'", "blob"]);
    assert.deepEqual(rows, [[
      1,
      9007199254740993n,
      -1.5,
      null,
      new Uint8Array([0, 255]),
      new Uint8Array([7]),
    ]]);
    const wide = await events.run("SELECT zeroblob(3000000) UNION ALL SELECT zeroblob(3000001)");
    assert.deepEqual([wide.rowCount, wide.rows.length, wide.truncated], [2, 1, true]);
    const none = await events.run("SELECT n FROM (SELECT 1 AS n) WHERE n = 2");
    assert.deepEqual([none.columns, none.rows, none.rowCount, none.truncated], [["n"], [], 0, false]);
  });

  Deno.test(`Q10 a query in a ${runIn} that fails at a later row is an error, not a short result`, async () => {
    await using server = await serveSql({ runIn });
    await using client = await server.join("queries");
    await server.store.exec(NUMBERS);
    const sql = "SELECT json(CASE WHEN n = 1000 THEN '{' ELSE '1' END) FROM numbers";
    assert.equal(await codeOf(server.events.run(sql, [], { queryId: "q" })), "bad_sql");
    assert.equal((await nextEvent(client))[0], "query:started");
    assert.deepEqual(await nextEvent(client), ["query:error", { queryId: "q", error: "malformed JSON" }]);
    assert.equal((await server.events.run("SELECT 1")).rowCount, 1, "the next one works");
  });

  Deno.test(`Q10 a query in a ${runIn} that produces rows is cancelled by id or by signal, and really ends`, async () => {
    await using server = await serveSql({ runIn });
    await using client = await server.join("queries");
    await server.store.exec(NUMBERS);
    const query = server.events.start(ENDLESS_ROWS, [], { user: "ann", queryId: "q" });
    await until("rows", () => query.rowCount > 1_000);
    assert.deepEqual(server.events.running.map(({ queryId }) => queryId), ["q"]);
    const both = [server.events.cancel("q"), server.events.cancel("q")];
    assert.deepEqual(await Promise.all(both), [true, true], "cancelling twice is the same as once");
    assert.equal(await codeOf(query.result), "cancelled");
    assert.equal(await server.events.cancel("q"), false, "it is gone");
    assert.equal((await nextEvent(client))[0], "query:started");
    assert.deepEqual(await nextEvent(client), ["query:cancelled", { queryId: "q", userId: "ann" }]);

    const controller = new AbortController();
    const other = server.events.run(ENDLESS_ROWS, [], { signal: controller.signal });
    controller.abort();
    assert.equal(await codeOf(other), "cancelled");
    assert.equal(await codeOf(server.events.run("SELECT 1", [], { signal: controller.signal })), "cancelled");
    const after = await cpuMs();
    await idle(300);
    assert(await cpuMs() - after < 150, "nothing runs any more");
  });

  Deno.test(`Q10 concurrent queries in a ${runIn} have their own counts, and the server responds`, async () => {
    await using server = await serveSql({ runIn });
    await using client = await server.join();
    await server.store.exec(NUMBERS);
    const counts = [19_999, 15_000, 1];
    const running = counts.map((count) =>
      server.events.run("SELECT a.name FROM numbers a WHERE a.n <= ?", [count], { queryId: `q${count}` })
    );
    client.sendJson({ type: "ping" });
    assert.equal((await client.nextJson()).type, "pong");
    assert.deepEqual((await Promise.all(running)).map(({ rowCount }) => rowCount), counts);
  });

  Deno.test(`Q10 hostile SQL is refused in a ${runIn}, and changes nothing`, async () => {
    await using server = await serveSql({ runIn });
    await server.store.exec(NUMBERS);
    const before = await Deno.readDir(new URL(`file://${encodeURI(server.path)}/..`));
    const names = (await Array.fromAsync(before)).map(({ name }) => name).sort();
    const cases: [sql: string, code: string][] = [
      [`ATTACH '${server.path}.other' AS other`, "not_a_read"],
      ["INSERT INTO numbers VALUES (0, 'x')", "not_a_read"],
      ["UPDATE numbers SET name = ''", "not_a_read"],
      ["DELETE FROM numbers RETURNING n", "not_a_read"],
      ["CREATE TEMP TABLE t (x)", "not_a_read"],
      ["DROP TABLE numbers", "not_a_read"],
      ["PRAGMA query_only = OFF", "not_a_read"],
      ["PRAGMA writable_schema = ON", "not_a_read"],
      ["PRAGMA wal_checkpoint(TRUNCATE)", "not_a_read"],
      ["PRAGMA hard_heap_limit = 1", "not_a_read"],
      ["BEGIN", "not_a_read"],
      ["VACUUM", "not_a_read"],
      [`VACUUM INTO '${server.path}.copy'`, "not_a_read"],
      ["EXPLAIN DROP TABLE numbers", "not_a_read"],
      ["SELECT load_extension('/tmp/evil.so')", "refused_sql"],
      ["SELECT 1; DELETE FROM numbers", "bad_sql"],
      ["SELECT 1\0", "bad_sql"],
      ["", "bad_sql"],
      [" ;; -- nothing\n /* at all", "bad_sql"],
      ["SELECT '".padEnd(100_001, "x"), "bad_sql"],
      ["SELECT", "bad_sql"],
      ["SELECT * FROM nowhere", "bad_sql"],
      ["SELECT abs(-9223372036854775808)", "bad_sql"],
    ];
    for (const [sql, code] of cases) {
      assert.equal(await codeOf(server.events.run(sql)), code, sql.slice(0, 80));
    }
    assert.equal(server.store.get<{ n: number }>("SELECT count(*) AS n FROM numbers")!.n, 20_000);
    const after = await Deno.readDir(new URL(`file://${encodeURI(server.path)}/..`));
    assert.deepEqual((await Array.fromAsync(after)).map(({ name }) => name).sort(), names);
  });
}

for (const runIn of EVERYWHERE) {
  Deno.test(`Q10 stopping the server cancels the query in a ${runIn}, sends the event, and leaves no process`, async () => {
    const server = await serveSql({ runIn });
    const client = await server.join("queries");
    await server.store.exec(NUMBERS);
    const query = server.events.start(ENDLESS_ROWS, [], { queryId: "q" });
    assert.equal((await nextEvent(client))[0], "query:started");
    await until("rows", () => query.rowCount > 0);
    await within("the stop", server[Symbol.asyncDispose]());
    assert.deepEqual(await nextEvent(client), ["query:cancelled", { queryId: "q" }]);
    assert.equal(await codeOf(query.result), "cancelled");
    assert.equal(await codeOf(server.events.run("SELECT 1")), "stopped");
    assert.deepEqual(children(), []);
    await client.close();
  });
}

Deno.test({
  name: "Q10 without the permission to start processes, queries run in a worker",
  permissions: { read: true, write: true, net: true, env: true, run: false },
  async fn() {
    await using server = await serveSql();
    assert.equal((await server.events.run("SELECT 1")).rowCount, 1);
    await assert.rejects(serveSql({ runIn: "process" }), /Cannot start sql_events: "runIn" must be "worker"/);
  },
});

/** Returns the CPU time of this process and its running children in milliseconds. */
async function cpuMs(): Promise<number> {
  let sum = 0;
  for (const pid of [Deno.pid, ...children()]) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13);
    sum += (Number(user) + Number(system)) * 10;
  }
  return sum;
}

/** Waits while nothing should happen. */
async function idle(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
