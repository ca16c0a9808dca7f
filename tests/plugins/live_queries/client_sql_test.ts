/** SQL of clients: permissions, limits, refusals; subscriptions and recovery work as in any channel. */

import assert from "node:assert/strict";
import { sqlChannel } from "../../../plugins/live_queries.ts";
import type { Verb } from "../../../plugins/shared/identity.ts";
import { busyMs, until, within } from "../../kit/mod.ts";
import { serveSql } from "./client_sql_kit.ts";
import { follow } from "./kit.ts";

Deno.test("S04 B07 a client with the permission subscribes to its own SQL and recovers missed changes", async () => {
  await using server = await serveSql();
  const channel = sqlChannel("SELECT id, total FROM orders WHERE status = :s", { s: "new" });
  const first = await server.connect("/t?user=ann");
  const live = await follow(first, channel);
  assert.deepEqual(JSON.parse(live.reply.data), { key: ["id"], rows: [] });
  await server.store.run("INSERT INTO orders VALUES (1, 'new', 5), (2, 'old', 6)");
  assert.deepEqual(await live.next(), { upsert: [{ id: 1, total: 5 }] });
  const { epoch } = live.reply.position;
  await first.close();
  await until("no subscribers", () => server.bus.localStats().length === 0);
  await server.store.run("UPDATE orders SET total = 7");
  await server.queries.settled();
  await using second = await server.connect("/t?user=ann");
  const { offset } = live.reply.position;
  const recovered = async () => {
    const back = await follow(second, channel, { recover: { offset: offset + 1, epoch } });
    second.sendJson({ do: "unsubscribe", channel });
    await second.nextJson();
    return back.reply.publications.map(({ json }: { json: string }) => JSON.parse(json));
  };
  assert.deepEqual(await recovered(), [{ upsert: [{ id: 1, total: 7 }] }]);
});

Deno.test("without the permission, SQL is refused before it is inspected", async () => {
  await using server = await serveSql();
  await using bob = await server.connect("/t?user=bob");
  for (const sql of ["SELECT * FROM orders", "not even SQL", ""]) {
    bob.sendJson({ do: "subscribe", channel: sqlChannel(sql) });
    assert.deepEqual(await bob.nextJson(), { error: "permission_denied" }, sql);
  }
  assert.equal(server.inspections(), 0);
  assert.equal(server.queries.size, 0);
});

Deno.test("a client that loses the permission loses the subscription", async () => {
  await using server = await serveSql();
  await using ann = await server.connect("/t?user=ann");
  const channel = sqlChannel("SELECT count(*) AS n FROM orders");
  await follow(ann, channel);
  const [client] = server.bus.clients.values();
  client!.identify({ ...client!.identity, can: () => true });
  await server.store.run("INSERT INTO orders VALUES (1, 'new', 5)");
  assert.deepEqual((await ann.nextJson()).data, { at: [[0, { n: 1 }]] }, "still there");
  client!.identify({ ...client!.identity, can: (verb: Verb) => verb !== "query" });
  assert.deepEqual(await ann.nextJson(), { unsubscribed: channel, code: 2000 });
});

Deno.test("a server without client SQL refuses it with not_available", async () => {
  await using server = await serveSql({ clientSql: undefined });
  await using ann = await server.connect("/t?user=ann");
  ann.sendJson({ do: "subscribe", channel: sqlChannel("SELECT 1") });
  assert.deepEqual(await ann.nextJson(), { error: "not_available" });
});

Deno.test("SQL that is invalid, writes, attaches, loads extensions or returns a million rows is refused with its code", async () => {
  await using server = await serveSql();
  await using ann = await server.connect("/t?user=ann");
  const refused: [string, string][] = [
    [sqlChannel(""), "bad_request"],
    [sqlChannel("-- nothing"), "bad_sql"],
    [sqlChannel("SELEC 1"), "bad_sql"],
    [sqlChannel("SELECT * FROM nothing"), "bad_sql"],
    [sqlChannel("SELECT 1; SELECT 2"), "bad_sql"],
    [sqlChannel("DELETE FROM orders"), "not_a_read"],
    [sqlChannel("INSERT INTO orders VALUES (1, 2, 3) RETURNING *"), "not_a_read"],
    [sqlChannel("CREATE TABLE t (x)"), "not_a_read"],
    [sqlChannel("ATTACH 'x.db' AS x"), "not_a_read"],
    [sqlChannel("VACUUM INTO 'x.db'"), "not_a_read"],
    [sqlChannel("PRAGMA user_version = 5"), "not_a_read"],
    [sqlChannel("BEGIN"), "not_a_read"],
    [sqlChannel("SELECT load_extension('x')"), "refused_sql"],
    [sqlChannel("SELECT random()"), "bad_request"],
    [sqlChannel("SELECT datetime('now')"), "bad_request"],
    [sqlChannel("SELECT a.id FROM other a, other b LIMIT 1000000"), "not_available"],
    [sqlChannel("SELECT hex(zeroblob(10000000))"), "not_available"],
    [`${sqlChannel("SELECT 1")}&sql=x`, "bad_request"],
    [`${sqlChannel("SELECT 1")}&more=x`, "bad_request"],
    ["live:sql?sql=SELECT+1&params=5", "bad_request"],
    ["live:sql?sql=SELECT+1&params={", "bad_request"],
    ["live:sql?sql=SELECT+1&params=[[]]", "bad_request"],
    [sqlChannel("SELECT ?", Array(101).fill(1)), "bad_request"],
    [sqlChannel(`SELECT ${"1 + ".repeat(2_000)} 1`), "bad_request"],
    ["live:sql", "unknown_channel"],
    ["live:sql.x", "unknown_channel"],
  ];
  for (const [channel, code] of refused) {
    ann.sendJson({ do: "subscribe", channel });
    assert.deepEqual(await ann.nextJson(), { error: code }, decodeURIComponent(channel).slice(0, 200));
  }
  await until("no queries", () => server.queries.size === 0);
  await follow(ann, sqlChannel("SELECT count(*) AS n FROM orders"));
});

Deno.test("SQL that never ends is stopped and refused for a while, and blocks no other client", async () => {
  await using server = await serveSql({ maxMs: 300 });
  await using ann = await server.connect("/t?user=ann");
  await using bob = await server.connect("/t?user=bob");
  const endless = [
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) AS n FROM c",
    "SELECT count(*) AS n FROM other a, other b, other c WHERE a.id + b.id + c.id > 1",
    `WITH a0 AS (SELECT 1)${
      Array.from({ length: 40 }, (_, i) => `, a${i + 1} AS (SELECT 1 FROM a${i}, a${i})`).join("")
    } SELECT * FROM a40`,
  ];
  for (const sql of endless) {
    const before = busyMs();
    ann.sendJson({ do: "subscribe", channel: sqlChannel(sql) });
    for (let i = 0; i < 3; i++) {
      bob.sendJson({ do: "publish", channel: "news", data: i });
      await bob.nextJson();
    }
    assert.ok(busyMs() - before < 200, "the query runs elsewhere");
    assert.match((await ann.nextJson()).error, /^(not_available|timeout)$/, sql);
    ann.sendJson({ do: "subscribe", channel: sqlChannel(sql) });
    assert.deepEqual(await ann.nextJson(), { error: "not_available" }, "refused at once");
  }
});

Deno.test("SQL that becomes too slow loses its subscribers with code 2100", async () => {
  await using server = await serveSql({ maxMs: 2_000 });
  await using ann = await server.connect("/t?user=ann");
  const channel = sqlChannel("SELECT count(*) AS n FROM orders o, other a, other b WHERE a.id + b.id > o.id");
  await follow(ann, channel);
  await server.store.exec("INSERT INTO orders SELECT id, 'x', 1 FROM other");
  assert.deepEqual(await ann.nextJson(), { unsubscribed: channel, code: 2100 });
});

Deno.test("after a schema change, clients subscribe to their SQL again", async () => {
  await using server = await serveSql();
  await using ann = await server.connect("/t?user=ann");
  const channel = sqlChannel("SELECT * FROM orders");
  const live = await follow(ann, channel);
  await server.store.exec("ALTER TABLE orders ADD COLUMN note TEXT");
  assert.deepEqual(await ann.nextJson(), { unsubscribed: channel, code: 2500 }, "SDKs subscribe again");
  const again = await follow(ann, channel, { recover: live.reply.position });
  await server.store.run("INSERT INTO orders VALUES (1, 'new', 5, 'n')");
  await again.next();
  assert.deepEqual(again.rows(), [{ id: 1, status: "new", total: 5, note: "n" }]);
});

Deno.test("a wait for a run ends when a schema change ends the SQL", async () => {
  await using server = await serveSql();
  await using ann = await server.connect("/t?user=ann");
  await follow(ann, sqlChannel("SELECT count(*) AS n FROM orders"));
  const [started, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  server.gate.beforeRead = () => {
    started.resolve();
    return held.promise;
  };
  await server.store.run("INSERT INTO orders VALUES (1, 'new', 5)");
  await started.promise;
  await server.store.run("INSERT INTO orders VALUES (2, 'new', 5)"); // wakes it again during the run
  const [client] = server.bus.clients.values();
  const settled = server.queries.settled(client!.conn);
  await server.store.exec("ALTER TABLE orders ADD COLUMN note TEXT");
  await within("the end of the run", settled);
  held.resolve();
});

Deno.test("clients that write the same SQL and parameters differently share one query", async () => {
  await using server = await serveSql();
  const clients = await Promise.all(Array.from({ length: 10 }, () => server.connect("/t?user=ann")));
  const channels = [
    sqlChannel("SELECT id FROM orders WHERE total > :a AND total < :b", { a: 1, b: 9 }),
    `live:sql?params={"b":9,"a":1}&sql=SELECT id FROM orders WHERE total > :a AND total < :b`,
  ];
  const all = await Promise.all(clients.map((client, i) => follow(client, channels[i % 2]!)));
  assert.deepEqual([server.queries.size, server.inspections()], [1, 1]);
  await server.store.run("INSERT INTO orders VALUES (1, 'new', 5)");
  for (const live of all) assert.deepEqual(await live.next(), { upsert: [{ id: 1 }] });
  for (const client of clients) await client.close();
});

Deno.test("writes during the first run of a query are not missed", async () => {
  await using server = await serveSql();
  await using ann = await server.connect("/t?user=ann");
  const channel = sqlChannel("SELECT count(*) AS n FROM orders");
  ann.sendJson({ do: "subscribe", channel });
  for (let i = 0; i < 200; i++) await server.store.run("INSERT INTO orders (total) VALUES (1)");
  const { data } = await ann.nextJson();
  let { n } = JSON.parse(data).rows[0];
  while (n < 200) n = (await ann.nextJson()).data.at[0][1].n;
  assert.equal(n, 200);
});

Deno.test("a server that stops while SQL is planned, running or queued releases everything", async () => {
  const server = await serveSql();
  const clients = await Promise.all(Array.from({ length: 20 }, () => server.connect("/t?user=ann")));
  clients.forEach((client, i) => {
    const sql = i % 2 === 0
      ? `SELECT ${i} AS n`
      : `SELECT count(*) + ${i} AS n FROM other a, other b, other c`;
    client.sendJson({ do: "subscribe", channel: sqlChannel(sql) });
  });
  await until("the first inspection", () => server.inspections() > 0);
  await server[Symbol.asyncDispose]();
  for (const client of clients) await client.close();
});

Deno.test("clients that disconnect during the first run leave no query behind", async () => {
  await using server = await serveSql({ lingerMs: 1 });
  const clients = await Promise.all(Array.from({ length: 20 }, () => server.connect("/t?user=ann")));
  clients.forEach((client, i) => {
    client.sendJson({ do: "subscribe", channel: sqlChannel(`SELECT ${i} + count(*) AS n FROM orders`) });
  });
  await until("the first inspection", () => server.inspections() > 0);
  for (const client of clients) await client.close();
  await until("no clients and no queries", () => server.bus.clients.size === 0 && server.queries.size === 0);
});

Deno.test("S04 the json protocol accepts SQL and its parameters", async () => {
  await using server = await serveSql();
  await using client = await server.connect("/ws");
  await client.nextJson();
  const query = { sql: "SELECT id FROM orders WHERE status = ?", params: ["new"] };
  client.sendJson({ type: "query:subscribe", id: "1", data: query });
  const { type, channel, data } = await client.nextJson();
  assert.deepEqual([type, data.snapshot], ["subscribed", { key: ["id"], rows: [] }]);
  await server.store.run("INSERT INTO orders VALUES (1, 'new', 5)");
  const message = await client.nextJson();
  assert.deepEqual([message.channel, message.data], [channel, { upsert: [{ id: 1 }] }]);
  client.sendJson({ type: "query:unsubscribe", data: query });
  assert.equal((await client.nextJson()).type, "unsubscribed");
});

Deno.test("S05 writes of another process reach declared queries and client SQL", async () => {
  await using server = await serveSql();
  server.queries.define("all", { sql: "SELECT id FROM orders" });
  await using ann = await server.connect("/t?user=ann");
  const live = [await follow(ann, "live:all"), await follow(ann, sqlChannel("SELECT id AS n FROM orders"))];
  const path = server.files.file("a.db");
  const script = `const { DatabaseSync } = await import("node:sqlite");
    new DatabaseSync(${JSON.stringify(path)}).exec("INSERT INTO orders VALUES (1, 'new', 5)")`;
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["eval", script] }).output();
  assert.ok(success);
  const changes = [(await ann.nextJson()).data, (await ann.nextJson()).data];
  assert.deepEqual(changes.map((diff) => JSON.stringify(diff)).sort(), [
    '{"upsert":[{"id":1}]}',
    '{"upsert":[{"n":1}]}',
  ]);
  assert.equal(live.length, 2);
});
