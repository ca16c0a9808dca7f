import assert from "node:assert/strict";
import { PlugboardError } from "../../core/mod.ts";
import { channels } from "../../plugins/channels.ts";
import type { Params } from "../../plugins/persistence.ts";
import { json } from "../../plugins/protocols/json.ts";
import { type QueryOptions, type RunIn, sqlEvents } from "../../plugins/sql_events.ts";
import { Child, serve, until } from "../kit/mod.ts";
import { children } from "./persistence/isolated/children.ts";
import { nextEvent, NUMBERS, ONE_ROW_NEVER, ROWS_FOR_EVER, serveSql } from "./sql_events/kit.ts";

const EVERYWHERE = ["process", "worker"] as const satisfies RunIn[];

/** The code that a promise rejects with, or a function throws. */
async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    assert(error instanceof PlugboardError, String(error));
    return error.code;
  }
  return "none";
}

Deno.test("Q04 each notify call reaches the subscribers with its type, on its channel", async () => {
  const bus = channels();
  const events = sqlEvents({ channels: bus.api });
  await using server = await serve({}, bus, events, json({ channels: bus.api }));
  await using client = await server.connect("/ws");
  await client.nextJson();
  for (const channel of ["queries", "tables"]) {
    client.sendJson({ type: "subscribe", channel });
    await client.nextJson();
  }
  const { api } = events;
  const queryId = "query-456";
  const table = { tableName: "products", userId: "user-789", timestamp: 1_738_454_400_000 };
  api.notifyQueryStarted({ queryId, query: "SELECT 1", userId: "user-789" });
  api.notifyQueryProgress({ queryId, progress: 75, message: "Processing...", rowCount: 7500 });
  api.notifyQueryComplete({ queryId, rowCount: 10_000, duration: 250 });
  api.notifyQueryError({ queryId, error: "disk I/O error" });
  api.notifyQueryCancelled({ queryId, userId: "user-789" });
  api.notifyTableCreated(table);
  api.notifyTableModified(table);
  api.notifyTableDropped(table);
  const seen = [];
  for (let i = 0; i < 8; i++) {
    const { type, channel, data } = await client.nextJson();
    seen.push([type, channel, data]);
  }
  assert.deepEqual(seen, [
    ["query:started", "queries", { queryId, query: "SELECT 1", userId: "user-789" }],
    ["query:progress", "queries", { queryId, progress: 75, message: "Processing...", rowCount: 7500 }],
    ["query:complete", "queries", { queryId, rowCount: 10_000, duration: 250 }],
    ["query:error", "queries", { queryId, error: "disk I/O error" }],
    ["query:cancelled", "queries", { queryId, userId: "user-789" }],
    ["table:created", "tables", table],
    ["table:modified", "tables", table],
    ["table:dropped", "tables", table],
  ]);
  const { publications } = await bus.api.history("queries");
  assert.equal(publications.length, 4, "progress is kept for nobody");
});

Deno.test("Q04 what cannot be written as JSON costs a line in the log, not the server", async () => {
  const bus = channels();
  const events = sqlEvents({ channels: bus.api });
  await using server = await serve({}, bus, events);
  events.api.notifyQueryComplete({ queryId: "q", rowCount: 1n as unknown as number, duration: 1 });
  assert.match((await server.log.next()).message, /not published/);
});

Deno.test("Q04 without a database, or before the start, a query says so", async () => {
  const bus = channels();
  const events = sqlEvents({ channels: bus.api });
  assert.equal(await codeOf(events.api.run("SELECT 1")), "not_available");
  assert.equal(await codeOf(() => events.api.start("SELECT 1")), "not_available");
  assert.equal(await events.api.cancel("q"), false);
  assert.deepEqual(events.api.running, []);
});

Deno.test("Q04 clients cannot publish events, neither by their type nor on their channels", async () => {
  await using server = await serveSql();
  await using victim = await server.join("queries", "tables");
  await using forger = await server.join("queries", "tables");
  for (const channel of ["queries", "tables"]) {
    forger.sendJson({ type: "query:complete", channel, data: { queryId: "q", rowCount: 1, duration: 1 } });
    assert.equal((await forger.nextJson()).data.code, "INVALID_MESSAGE");
    forger.sendJson({ type: "publish", channel, data: { queryId: "q" }, tags: { type: "query:complete" } });
    const { type, data } = await forger.nextJson();
    assert.deepEqual([type, data.code], ["error", "PERMISSION_DENIED"]);
  }
  server.events.notifyQueryError({ queryId: "true", error: "x" });
  assert.deepEqual((await victim.nextJson()).data.queryId, "true");
});

for (const runIn of EVERYWHERE) {
  Deno.test(`Q10 a query in a ${runIn} announces its start and its true count, and gives its rows`, async () => {
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

  Deno.test(`Q10 a query in a ${runIn} gives every kind of value, under whatever names`, async () => {
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
    assert.equal((await server.events.run("SELECT 1")).rowCount, 1, "the next one runs");
  });

  Deno.test(`Q10 a query that gives rows is cancelled in a ${runIn}, by id or by signal, and really ends`, async () => {
    await using server = await serveSql({ runIn });
    await using client = await server.join("queries");
    await server.store.exec(NUMBERS);
    const query = server.events.start(ROWS_FOR_EVER, [], { user: "ann", queryId: "q" });
    await until("rows", () => query.rowCount > 1_000);
    assert.deepEqual(server.events.running.map(({ queryId }) => queryId), ["q"]);
    const both = [server.events.cancel("q"), server.events.cancel("q")];
    assert.deepEqual(await Promise.all(both), [true, true], "cancelling twice is the same as once");
    assert.equal(await codeOf(query.result), "cancelled");
    assert.equal(await server.events.cancel("q"), false, "it is gone");
    assert.equal((await nextEvent(client))[0], "query:started");
    assert.deepEqual(await nextEvent(client), ["query:cancelled", { queryId: "q", userId: "ann" }]);

    const controller = new AbortController();
    const other = server.events.run(ROWS_FOR_EVER, [], { signal: controller.signal });
    controller.abort();
    assert.equal(await codeOf(other), "cancelled");
    assert.equal(await codeOf(server.events.run("SELECT 1", [], { signal: controller.signal })), "cancelled");
    const after = await cpuMs();
    await idle(300);
    assert(await cpuMs() - after < 150, "nothing works any more");
  });

  Deno.test(`Q10 three queries at once in a ${runIn} each have their own count, and the server answers`, async () => {
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
      ["SELECT load_extension('/tmp/evil.so')", "bad_sql"],
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

Deno.test("Q10 in a process a query that gives no row ends too, with its process", async () => {
  await using server = await serveSql({ runIn: "process" });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const query = server.events.start(ONE_ROW_NEVER, [], { queryId: "never" });
  await until("the process", () => children().length === 1);
  const [pid] = children();
  assert.equal(await server.events.cancel("never"), true);
  assert.equal(await codeOf(query.result), "cancelled");
  assert(!children().includes(pid!), "the process is gone when cancel resolves");
  assert.equal((await nextEvent(client))[0], "query:started");
  assert.deepEqual(await nextEvent(client), ["query:cancelled", { queryId: "never" }]);
});

Deno.test("Q10 a query whose process is killed by others is told as failed, and the next one has another", async () => {
  await using server = await serveSql({ runIn: "process" });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const query = server.events.start(ROWS_FOR_EVER);
  await until("rows", () => query.rowCount > 0);
  for (const pid of children()) Deno.kill(pid, "SIGKILL");
  assert.equal(await codeOf(query.result), "query_failed");
  assert.equal((await nextEvent(client))[0], "query:started");
  assert.match((await nextEvent(client))[1].error, /process has ended/);
  assert.equal((await server.events.run("SELECT 1")).rowCount, 1);
  for (const pid of children()) Deno.kill(pid, "SIGKILL"); // while it waits
  await until("its end", () => children().length === 0);
  await until("another process", async () => await codeOf(server.events.run("SELECT 1")) === "none");
});

Deno.test("Q10 a query that may write but only reads can be stopped as any other", async () => {
  await using server = await serveSql({ runIn: "process" });
  await server.store.exec(NUMBERS);
  const query = server.events.start(ONE_ROW_NEVER, [], { write: true });
  await until("the process", () => children().length === 1);
  assert.equal(await server.events.cancel(query.queryId), true);
  assert.deepEqual(children(), []);
});

Deno.test("Q10 in a worker a query that gives no row is said to go on, and keeps its place until it ends", async () => {
  await using server = await serveSql({ runIn: "worker", maxQueries: 1 });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  // Some seconds of work, so that it ends by itself.
  const sql = "SELECT count(*) FROM numbers a, numbers b WHERE b.n <= 3000 AND a.n + b.n > 1";
  const query = server.events.start(sql, [], { queryId: "slow" });
  assert.equal(await server.events.cancel("slow"), true);
  assert.equal(await codeOf(query.result), "cancelled");
  assert.equal((await nextEvent(client))[0], "query:started");
  assert.deepEqual(await nextEvent(client), ["query:cancelled", { queryId: "slow", goesOn: true }]);
  assert.match((await server.log.next()).message, /goes on in its worker/);
  assert.equal(await codeOf(() => server.events.start("SELECT 1")), "overloaded");
  await until("its end", async () => await codeOf(server.events.run("SELECT 1")) === "none", 60_000);
});

Deno.test("Q10 a query that needs too much memory fails in its process, however it asks for it", async () => {
  await using server = await serveSql({ runIn: "process", maxMemoryBytes: 50_000_000 });
  const forEver = "WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT x + 1 FROM c) SELECT max(x) FROM c";
  assert.equal(await codeOf(server.events.run(forEver)), "out_of_memory");
  assert.equal(await codeOf(server.events.run("SELECT randomblob(60000000)")), "out_of_memory");
  assert.equal((await server.events.run("SELECT 1")).rowCount, 1);
});

Deno.test("Q10 SQL that takes for ever to be understood holds up nobody, and is cancelled too", async () => {
  await using server = await serveSql({ runIn: "process" });
  await using client = await server.join();
  const tables = Array.from({ length: 30 }, (_, i) => `c${i + 1} AS (SELECT a.n FROM c${i} a, c${i} b)`);
  const query = server.events.start(`WITH c0 AS (SELECT 1 AS n), ${tables.join(", ")} SELECT n FROM c30`);
  client.sendJson({ type: "ping" });
  assert.equal((await client.nextJson()).type, "pong");
  assert.equal(await server.events.cancel(query.queryId), true);
  assert.deepEqual(children(), []);
});

Deno.test("Q10 progress comes at a bounded rate with rows and, where the whole is known, percent", async () => {
  await using server = await serveSql({ runIn: "worker", progressMs: 50 });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const sql = "SELECT a.n FROM numbers a, numbers b WHERE b.n <= 50";
  const begun = performance.now();
  const { rowCount } = await server.events.run(sql, [], { queryId: "q", totalRows: 1_000_000 });
  const took = performance.now() - begun;
  assert.equal(rowCount, 1_000_000);
  assert.equal((await client.nextJson()).type, "query:started");
  const seen = [];
  for (;;) {
    const { type, data, offset } = await client.nextJson();
    if (type !== "query:progress") break;
    assert.equal(offset, undefined, "it has no place in the log");
    seen.push(data);
  }
  assert(seen.length > 1 && seen.length <= took / 50 + 1, `${seen.length} in ${took} ms`);
  for (const [i, { queryId, progress, rowCount, message }] of seen.entries()) {
    assert.deepEqual([queryId, progress], ["q", Math.floor(rowCount / 10_000)]);
    assert(rowCount >= (seen[i - 1]?.rowCount ?? 0));
    assert.match(message, /^\d+ rows after \d\.\d s$/);
  }
  assert(seen.at(-1).progress > 0);
});

Deno.test("Q10 progress goes on by time while there are no rows, and a query that takes too long is ended", async () => {
  await using server = await serveSql({ runIn: "process", progressMs: 20, maxMs: 400 });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  assert.equal(await codeOf(server.events.run(ONE_ROW_NEVER, [], { queryId: "q" })), "timeout");
  assert.equal((await client.nextJson()).type, "query:started");
  const progress = await client.nextJson();
  assert.deepEqual([progress.type, progress.data.rowCount, progress.data.progress], [
    "query:progress",
    0,
    undefined,
  ]);
  assert.deepEqual(await nextEvent(client), ["query:error", {
    queryId: "q",
    error: "The query takes longer than 400 ms",
  }]);
  assert.deepEqual(children(), []);
});

Deno.test("Q10 one query too many is refused, for all and for one user, and nobody hears of it", async () => {
  await using server = await serveSql({ runIn: "worker", maxQueries: 3, maxQueriesPerUser: 2 });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const { events } = server;
  events.start(ROWS_FOR_EVER, [], { user: "ann", queryId: "a" });
  events.start(ROWS_FOR_EVER, [], { user: "ann", queryId: "b" });
  assert.equal(await codeOf(() => events.start("SELECT 1", [], { user: "ann" })), "limit_exceeded");
  assert.equal(await codeOf(() => events.start("SELECT 1", [], { queryId: "a" })), "bad_request");
  events.start(ROWS_FOR_EVER, [], { user: "bob", queryId: "c" });
  assert.equal(await codeOf(() => events.start("SELECT 1", [], { user: "cid" })), "overloaded");
  for (const queryId of ["a", "b", "c"]) {
    assert.deepEqual((await nextEvent(client))[1].queryId, queryId);
  }
  for (const queryId of ["a", "b", "c"]) assert.equal(await events.cancel(queryId), true);
  for (let i = 0; i < 3; i++) assert.equal((await nextEvent(client))[0], "query:cancelled");
  assert.equal((await events.run("SELECT 1", [], { user: "ann" })).rowCount, 1);
});

Deno.test("Q10 wrong types are refused before anything runs", async () => {
  await using server = await serveSql({ runIn: "worker" });
  const run = (sql: unknown, params?: unknown, options?: unknown) =>
    codeOf(server.events.run(sql as string, params as Params, options as QueryOptions));
  assert.equal(await run(42), "bad_sql");
  assert.equal(await run(undefined), "bad_sql");
  for (const params of [[{}], [() => 1], [undefined], { a: [] }, [new Date()]]) {
    assert.equal(await run("SELECT ?", params), "bad_parameter");
  }
  assert.equal(await run("SELECT ?", [1, 2]), "bad_parameter");
  assert.equal(await run("SELECT :a", { b: 1 }), "bad_parameter");
  for (const queryId of ["", "x".repeat(101), 7]) {
    assert.equal(await run("SELECT 1", [], { queryId }), "bad_request");
  }
  for (const totalRows of [0, -1, NaN, "x"]) {
    assert.equal(await run("SELECT 1", [], { totalRows }), "bad_request");
  }
  assert.equal(await run("SELECT 1", [], { user: 7 }), "bad_request");
});

Deno.test("Q10 a write runs in the store: its rows are counted, and watchers see them", async () => {
  await using server = await serveSql();
  await using client = await server.join("queries", "tables");
  await server.store.exec("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
  assert.equal((await nextEvent(client))[0], "table:created");
  const told: string[] = [];
  using _ = server.store.watch(({ tables }) => void told.push(...tables.keys()), ["items"]);
  const write = (sql: string, params: Params = []) =>
    server.events.run(sql, params, { user: "ann", write: true });
  const inserted = await write("INSERT INTO items (name) VALUES (?), (?) RETURNING id, name", ["a", "b"]);
  assert.deepEqual([inserted.columns, inserted.rows, inserted.rowCount], [["id", "name"], [[1, "a"], [
    2,
    "b",
  ]], 2]);
  assert.equal((await write("UPDATE items SET name = name || id")).rowCount, 2);
  assert.equal((await write("UPDATE items SET name = 'x' WHERE id = 9")).rowCount, 0);
  assert.deepEqual((await write("SELECT name FROM items")).rows, [["a1"], ["b2"]]);
  assert.deepEqual(told, ["items", "items"]);
  assert.equal(await codeOf(write("INSERT INTO items (name) VALUES ('a1')")), "constraint");
  assert.equal(await codeOf(write("COMMIT")), "refused_sql");
  assert.equal(await codeOf(write("ATTACH 'x' AS x")), "refused_sql");
  const types = [];
  for (let i = 0; i < 14; i++) types.push((await nextEvent(client))[0].replace("query:", ""));
  const well = ["started", "complete"];
  const badly = ["started", "error"];
  assert.deepEqual(types, [well, well, well, well, badly, badly, badly].flat());
});

Deno.test("Q10 a definition changes no rows, whatever was changed before", async () => {
  await using server = await serveSql({ runIn: "worker" });
  const write = (sql: string) => server.events.run(sql, [], { write: true });
  await write("CREATE TABLE items (id INTEGER PRIMARY KEY)");
  assert.equal((await write("INSERT INTO items VALUES (1), (2)")).rowCount, 2);
  assert.equal((await write("CREATE TABLE others (id INTEGER)")).rowCount, 0);
  assert.equal((await write("DROP TABLE items")).rowCount, 0);
});

for (const runIn of EVERYWHERE) {
  Deno.test(`Q10 a write can be cancelled while it waits, looked at in a ${runIn}`, async () => {
    await using server = await serveSql({ runIn });
    await server.store.exec("CREATE TABLE items (id INTEGER PRIMARY KEY)");
    const query = server.events.start("INSERT INTO items VALUES (1)", [], { write: true });
    assert.equal(await server.events.cancel(query.queryId), true);
    assert.equal(await codeOf(query.result), "cancelled");
    assert.equal(await codeOf(server.events.run("SELECT * FROM items")), "none");
    assert.equal(server.store.get("SELECT * FROM items"), undefined);
  });
}

Deno.test("Q10 a database in memory is read in the server's own thread, within limits", async () => {
  await using server = await serveSql({ memory: true, maxRows: 2 });
  await using client = await server.join("queries");
  const { events, store } = server;
  await store.exec(NUMBERS);
  const { durationMs, ...result } = await events.run("SELECT n FROM numbers", [], { queryId: "q" });
  assert(durationMs > 0);
  assert.deepEqual(result, { columns: ["n"], rows: [[1], [2]], rowCount: 20_000, truncated: true });
  assert.deepEqual([(await nextEvent(client))[0], (await nextEvent(client))[0]], [
    "query:started",
    "query:complete",
  ]);
  assert.equal(await codeOf(events.run("DELETE FROM numbers")), "not_a_read");
  assert.equal(await codeOf(events.run(ROWS_FOR_EVER)), "too_many_rows");
  const forEver = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c";
  assert.equal(await codeOf(events.run(forEver)), "not_available");
  const query = events.start("SELECT n FROM numbers");
  assert.equal(await events.cancel(query.queryId), true);
  assert.equal((await events.run("DELETE FROM numbers WHERE n > 5", [], { write: true })).rowCount, 19_995);
});

for (const runIn of EVERYWHERE) {
  Deno.test(`Q10 stopping the server cancels what runs in a ${runIn}, tells the clients, and leaves nothing`, async () => {
    const server = await serveSql({ runIn });
    const client = await server.join("queries");
    await server.store.exec(NUMBERS);
    const query = server.events.start(ROWS_FOR_EVER, [], { queryId: "q" });
    assert.equal((await nextEvent(client))[0], "query:started");
    await until("rows", () => query.rowCount > 0);
    const begun = performance.now();
    await server[Symbol.asyncDispose]();
    assert(performance.now() - begun < 5_000);
    assert.deepEqual(await nextEvent(client), ["query:cancelled", { queryId: "q" }]);
    assert.equal(await codeOf(query.result), "cancelled");
    assert.equal(await codeOf(server.events.run("SELECT 1")), "stopped");
    assert.deepEqual(children(), []);
    await client.close();
  });
}

Deno.test("Q10 the processes of queries end with a server that is killed, at work or not", async () => {
  await using server = new Child(new URL("./sql_events/killed.ts", import.meta.url));
  const pids = (await server.line()).split(" ").map(Number);
  assert.equal(pids.length, 2);
  assert(pids.every(running));
  server.kill("SIGKILL");
  await server.end();
  await until("the end of the processes", () => !pids.some(running));
});

function running(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
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

Deno.test("Q10 options are checked", () => {
  const wrong = (options: object, pattern: RegExp) => {
    assert.throws(() => sqlEvents({ channels: channels().api, ...options }), pattern);
  };
  wrong({ maxRows: 0 }, /Cannot start sql_events: "maxRows" must be a positive integer, got 0/);
  wrong({ maxQueries: 1.5 }, /"maxQueries"/);
  wrong({ progressMs: -1 }, /"progressMs"/);
  wrong({ runIn: "thread" }, /"runIn" must be one of process, worker/);
});

/** CPU time of this process and the processes it started that still run, in milliseconds. */
async function cpuMs(): Promise<number> {
  let sum = 0;
  for (const pid of [Deno.pid, ...children()]) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13);
    sum += (Number(user) + Number(system)) * 10;
  }
  return sum;
}

/** Time in which nothing should happen. */
async function idle(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
