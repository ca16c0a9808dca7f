import assert from "node:assert/strict";
import { channels } from "../../plugins/channels.ts";
import type { Params } from "../../plugins/persistence.ts";
import { json } from "../../plugins/protocols/json.ts";
import { type QueryOptions, sqlEvents } from "../../plugins/sql_events.ts";
import { FakeClock, serve } from "../kit/mod.ts";
import { children } from "./persistence/isolated/children.ts";
import { codeOf, ENDLESS_AGGREGATE, ENDLESS_ROWS, nextEvent, NUMBERS, serveSql } from "./sql_events/kit.ts";

Deno.test("Q04 each notify method reaches the subscribers of its channel with its type", async () => {
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
  assert.equal(publications.length, 4, "progress is not in the history");
});

Deno.test("Q04 data that JSON cannot express is logged and does not crash the server", async () => {
  const bus = channels();
  const events = sqlEvents({ channels: bus.api });
  await using server = await serve({}, bus, events);
  events.api.notifyQueryComplete({ queryId: "q", rowCount: 1n as unknown as number, duration: 1 });
  assert.match((await server.log.next()).message, /not published/);
});

Deno.test("Q04 a query without a database or before the start is an error", async () => {
  const bus = channels();
  const events = sqlEvents({ channels: bus.api });
  assert.equal(await codeOf(events.api.run("SELECT 1")), "not_available");
  assert.equal(await codeOf(() => events.api.start("SELECT 1")), "not_available");
  assert.equal(await events.api.cancel("q"), false);
  assert.deepEqual(events.api.running, []);
});

Deno.test("Q04 clients cannot publish events by type or on their channels", async () => {
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

Deno.test("Q10 progress has a bounded rate, with rows and, if the total is known, percent", async () => {
  await using server = await serveSql({ runIn: "worker", progressMs: 50 });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const begun = performance.now();
  server.events.start(ENDLESS_ROWS, [], { queryId: "q", totalRows: 10_000_000 });
  assert.equal((await client.nextJson()).type, "query:started");
  const seen = [];
  while (seen.length < 3 || !(seen.at(-1).progress > 0)) {
    const { type, data, offset } = await client.nextJson();
    assert.deepEqual([type, offset], ["query:progress", undefined], "it has no position in the history");
    seen.push(data);
  }
  const took = performance.now() - begun;
  assert(await server.events.cancel("q"));
  assert(seen.length <= took / 50 + 1, `${seen.length} in ${took} ms`);
  for (const [i, { queryId, progress, rowCount, message }] of seen.entries()) {
    assert.deepEqual([queryId, progress], ["q", Math.floor(rowCount / 100_000)]);
    assert(rowCount >= (seen[i - 1]?.rowCount ?? 0));
    assert.match(message, /^\d+ rows after \d+\.\d s$/);
  }
});

Deno.test("Q10 progress is published while there are no rows, and a query that takes too long is ended", async () => {
  const clock = new FakeClock();
  await using server = await serveSql({ runIn: "process", progressMs: 20, maxMs: 400 }, { clock });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const ended = codeOf(server.events.run(ENDLESS_AGGREGATE, [], { queryId: "q" }));
  assert.equal((await client.nextJson()).type, "query:started");
  clock.advance(20);
  const progress = await client.nextJson();
  assert.deepEqual([progress.type, progress.data.rowCount, progress.data.progress], [
    "query:progress",
    0,
    undefined,
  ]);
  clock.advance(380);
  assert.equal(await ended, "timeout");
  assert.deepEqual(await nextEvent(client), ["query:error", {
    queryId: "q",
    error: "The query takes longer than 400 ms",
  }]);
  assert.deepEqual(children(), []);
});

Deno.test("Q10 queries beyond the limits of all and of one user are refused without events", async () => {
  await using server = await serveSql({ runIn: "worker", maxQueries: 3, maxQueriesPerUser: 2 });
  await using client = await server.join("queries");
  await server.store.exec(NUMBERS);
  const { events } = server;
  events.start(ENDLESS_ROWS, [], { user: "ann", queryId: "a" });
  events.start(ENDLESS_ROWS, [], { user: "ann", queryId: "b" });
  assert.equal(await codeOf(() => events.start("SELECT 1", [], { user: "ann" })), "limit_exceeded");
  assert.equal(await codeOf(() => events.start("SELECT 1", [], { queryId: "a" })), "bad_request");
  events.start(ENDLESS_ROWS, [], { user: "bob", queryId: "c" });
  assert.equal(await codeOf(() => events.start("SELECT 1", [], { user: "cid" })), "overloaded");
  for (const queryId of ["a", "b", "c"]) {
    assert.deepEqual((await nextEvent(client))[1].queryId, queryId);
  }
  for (const queryId of ["a", "b", "c"]) assert.equal(await events.cancel(queryId), true);
  for (let i = 0; i < 3; i++) assert.equal((await nextEvent(client))[0], "query:cancelled");
  assert.equal((await events.run("SELECT 1", [], { user: "ann" })).rowCount, 1);
});

Deno.test("Q10 wrong types are refused before the query runs", async () => {
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

Deno.test("Q10 options are checked", () => {
  const wrong = (options: object, pattern: RegExp) => {
    assert.throws(() => sqlEvents({ channels: channels().api, ...options }), pattern);
  };
  wrong({ maxRows: 0 }, /Cannot start sql_events: "maxRows" must be a positive integer, got 0/);
  wrong({ maxQueries: 1.5 }, /"maxQueries"/);
  wrong({ progressMs: -1 }, /"progressMs"/);
  wrong({ runIn: "thread" }, /"runIn" must be one of process, worker/);
});
