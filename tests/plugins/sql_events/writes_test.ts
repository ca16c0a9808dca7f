import assert from "node:assert/strict";
import type { Params } from "../../../plugins/persistence.ts";
import { codeOf, ENDLESS_ROWS, EVERYWHERE, nextEvent, NUMBERS, serveSql } from "./kit.ts";

Deno.test("Q10 a write runs in the store: its rows are counted, and watches see them", async () => {
  await using server = await serveSql();
  await using client = await server.join("queries", "tables");
  await server.store.exec("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
  assert.equal((await nextEvent(client))[0], "table:created");
  const watched: string[] = [];
  using _ = server.store.watch(({ tables }) => void watched.push(...tables.keys()), ["items"]);
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
  assert.deepEqual(watched, ["items", "items"]);
  assert.equal(await codeOf(write("INSERT INTO items (name) VALUES ('a1')")), "constraint");
  assert.equal(await codeOf(write("COMMIT")), "refused_sql");
  assert.equal(await codeOf(write("ATTACH 'x' AS x")), "refused_sql");
  const types = [];
  for (let i = 0; i < 14; i++) types.push((await nextEvent(client))[0].replace("query:", ""));
  const ok = ["started", "complete"];
  const failed = ["started", "error"];
  assert.deepEqual(types, [ok, ok, ok, ok, failed, failed, failed].flat());
});

Deno.test("Q10 a definition has a row count of zero after other changes", async () => {
  await using server = await serveSql({ runIn: "worker" });
  const write = (sql: string) => server.events.run(sql, [], { write: true });
  await write("CREATE TABLE items (id INTEGER PRIMARY KEY)");
  assert.equal((await write("INSERT INTO items VALUES (1), (2)")).rowCount, 2);
  assert.equal((await write("CREATE TABLE others (id INTEGER)")).rowCount, 0);
  assert.equal((await write("DROP TABLE items")).rowCount, 0);
});

for (const runIn of EVERYWHERE) {
  Deno.test(`Q10 a write that is inspected in a ${runIn} can be cancelled while it waits`, async () => {
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
  assert.equal(await codeOf(events.run(ENDLESS_ROWS)), "too_many_rows");
  const endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c";
  assert.equal(await codeOf(events.run(endless)), "not_available");
  const query = events.start("SELECT n FROM numbers");
  assert.equal(await events.cancel(query.queryId), true);
  assert.equal((await events.run("DELETE FROM numbers WHERE n > 5", [], { write: true })).rowCount, 19_995);
});
