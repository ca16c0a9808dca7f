import assert from "node:assert/strict";
import { channels } from "../../../plugins/channels.ts";
import { liveQueries, type QueryDefinition } from "../../../plugins/live_queries.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { serve, until } from "../../kit/mod.ts";
import { byStatus, follow, serveQueries } from "./kit.ts";

Deno.test("S05 B07 a subscriber gets the rows, then the changes of each write", async () => {
  await using server = await serveQueries({ byStatus });
  await server.store.run("INSERT INTO orders VALUES (1, 'ann', 'pending', 5)");
  await using client = await server.connect("/t");
  const live = await follow(client, "live:byStatus?status=pending");
  assert.deepEqual(live.rows(), [{ id: 1, customer: "ann", total: 5 }]);
  assert.deepEqual(JSON.parse(live.reply.data).key, ["id"]);
  await server.store.run("INSERT INTO orders VALUES (2, 'bob', 'pending', 7)");
  assert.deepEqual(await live.next(), { upsert: [{ id: 2, customer: "bob", total: 7 }] });
  await server.store.run("UPDATE orders SET total = 8 WHERE id = 2");
  assert.deepEqual(await live.next(), { upsert: [{ id: 2, customer: "bob", total: 8 }] });
  await server.store.run("UPDATE orders SET status = 'done' WHERE id = 1");
  assert.deepEqual(await live.next(), { delete: [1] });
  assert.deepEqual(live.rows(), [{ id: 2, customer: "bob", total: 8 }]);
});

Deno.test("B07 a write runs only the instances with a row's old or new value, each once for all subscribers", async () => {
  await using server = await serveQueries({ byStatus, names: { sql: "SELECT id, customer FROM orders" } });
  const runs = () => server.metrics.totals().plugboard_live_query_run_seconds_count ?? 0;
  const watches = Array.from(
    { length: 50 },
    (_, i) => server.queries.watch("byStatus", { status: `s${i}` }, () => {}),
  );
  const heard: unknown[] = [];
  for (let i = 0; i < 10; i++) {
    watches.push(server.queries.watch("byStatus", { status: "s7" }, (diff) => void heard.push(diff)));
  }
  watches.push(server.queries.watch("names", {}, () => {}));
  assert.equal(server.queries.size, 51);

  const ranBy = async (sql: string) => {
    const before = runs();
    await server.store.run(sql);
    server.queries.settle();
    return runs() - before;
  };
  assert.equal(await ranBy("INSERT INTO orders VALUES (1, 'ann', 's7', 5)"), 2, "s7 and names");
  await until("ten diffs", () => heard.length === 10);
  assert.equal(await ranBy("UPDATE orders SET total = 6 WHERE id = 1"), 1, "s7: names does not read total");
  assert.equal(await ranBy("UPDATE orders SET status = 's8' WHERE id = 1"), 2, "s7 and s8");
  assert.equal(await ranBy("UPDATE orders SET total = total"), 0, "nothing changed");
  assert.equal(await ranBy("INSERT INTO other VALUES (1, 'x')"), 0, "another table");
  for (const { stop } of watches) stop();
});

Deno.test("B07 a client that reconnects gets the missed diffs, or else a new snapshot", async () => {
  await using server = await serveQueries({ byStatus });
  const first = await server.connect("/t");
  const live = await follow(first, "live:byStatus?status=pending");
  await server.store.run("INSERT INTO orders VALUES (1, 'ann', 'pending', 5)");
  await live.next();
  await first.close();
  await until("no subscribers", () => server.bus.localStats().length === 0);
  await server.store.run("INSERT INTO orders VALUES (2, 'bob', 'pending', 7)");
  await server.store.run("DELETE FROM orders WHERE id = 1");
  server.queries.settle();
  await using second = await server.connect("/t");
  const recover = { offset: 1, epoch: live.reply.position.epoch };
  const back = await follow(second, "live:byStatus?status=pending", { recover });
  assert.equal(back.reply.recovered, true);
  assert.equal(back.reply.data, undefined);
  const missed = back.reply.publications.map(({ json }: { json: string }) => JSON.parse(json));
  assert.deepEqual(missed, [{ upsert: [{ id: 2, customer: "bob", total: 7 }], delete: [1] }]);
  second.sendJson({ do: "unsubscribe", channel: "live:byStatus?status=pending" });
  await second.nextJson();
  const lost = await follow(second, "live:byStatus?status=pending", {
    recover: { offset: 1, epoch: "other" },
  });
  assert.equal(lost.reply.recovered, false);
  assert.deepEqual(lost.rows(), [{ id: 2, customer: "bob", total: 7 }]);
});

Deno.test("parameters are checked and can have any order", async () => {
  await using server = await serveQueries({
    range: {
      sql: "SELECT id FROM orders WHERE total >= :from AND total < :to",
      params: { from: "number", to: "number" },
    },
    mine: { sql: "SELECT id FROM orders WHERE customer = :me", params: { me: "user" } },
    flag: { sql: "SELECT :on AS on_", params: { on: "boolean" } },
    closed: { sql: "SELECT 1 AS one" },
    decided: { sql: "SELECT 1 AS one", allow: (identity) => identity.user === "ann" },
  });
  await using ann = await server.connect("/t?user=ann");
  const asked = async (channel: string) => {
    ann.sendJson({ do: "subscribe", channel });
    const { error } = await ann.nextJson();
    return error ?? "ok";
  };
  const cases: [string, string][] = [
    ["live:range?from=1&to=2", "ok"],
    ["live:range?to=2&from=1", "ok"],
    ["live:range?from=1", "bad_request"],
    ["live:range?from=1&to=x", "bad_request"],
    ["live:range?from=1&to=2&to=3", "bad_request"],
    ["live:range?from=1&to=2&more=3", "bad_request"],
    ["live:mine?me=ann", "ok"],
    ["live:mine?me=bob", "permission_denied"],
    ["live:flag?on=true", "ok"],
    ["live:flag?on=maybe", "bad_request"],
    ["live:unknown", "unknown_channel"],
    ["live:closed", "permission_denied"],
    ["live:decided", "ok"],
  ];
  for (const [channel, expected] of cases) assert.equal(await asked(channel), expected, channel);
  assert.equal(server.queries.size, 4, "both orders share an instance");
  await server.store.run("INSERT INTO orders VALUES (1, 'x', 'y', 1.5)");
  const changes = [await ann.nextJson(), await ann.nextJson()];
  assert.deepEqual(
    new Set(changes.map(({ pub }) => pub)),
    new Set(["live:range?from=1&to=2", "live:range?to=2&from=1"]),
  );
});

Deno.test("an invalid definition is refused with an error that names the field", async () => {
  await using server = await serveQueries({ byStatus });
  const sql = "SELECT 1 AS one";
  const wrong: [string, unknown, RegExp][] = [
    ["a b", { sql }, /"name" must be/],
    ["sql", { sql }, /"name" must be/],
    ["sql.x", { sql }, /"name" must be/],
    ["byStatus", { sql }, /"name" must be/],
    ["q", { sql: "" }, /"sql"/],
    ["q", { sql: 5 }, /"sql"/],
    ["q", { sql, params: { a: "text" } }, /"params.a" must be/],
    ["q", { sql, params: { a: "string" } }, /"params" must be/],
    ["q", { sql: "SELECT :a AS a, :b AS b", params: { a: "string" } }, /"params" must be .*a,b/],
    ["q", { sql: "SELECT ? AS a" }, /"params" must be/],
    ["q", { sql, key: "id" }, /"key" must be/],
    ["q", { sql, key: [] }, /"key" must be/],
    ["q", { sql, refreshMs: 0 }, /"refreshMs" must be/],
  ];
  for (const [name, definition, message] of wrong) {
    assert.throws(() => server.queries.define(name, definition as QueryDefinition), message, name);
  }
  const remove = server.queries.define("q", { sql });
  remove();
  const again = server.queries.define("q", { sql });
  remove();
  server.queries.watch("q", {}, () => {}).stop();
  again();
  assert.throws(() => server.queries.watch("q", {}, () => {}), { code: "unknown_channel" });
});

Deno.test("a client whose new identity may not read a query loses the subscription", async () => {
  await using server = await serveQueries({
    staff: { sql: "SELECT 1 AS one", allow: (identity) => identity.can("read", "orders") },
  });
  await using client = await server.connect("/t?user=ann");
  await follow(client, "live:staff");
  const [ann] = server.bus.clients.values();
  ann!.identify({ ...ann!.identity, can: () => false });
  assert.deepEqual(await client.nextJson(), { unsubscribed: "live:staff", code: 2000 });
});

Deno.test("an instance without subscribers is removed", async () => {
  await using server = await serveQueries({ byStatus }, { lingerMs: 1 });
  for (let i = 0; i < 200; i++) server.queries.watch("byStatus", { status: `s${i}` }, () => {}).stop();
  await until("no instances", () => server.queries.size === 0);
});

Deno.test("SQL that is invalid, writes, or depends on the time is refused with a sentence", async () => {
  await using server = await serveQueries();
  const refused = [
    "SELEC 1",
    "SELECT * FROM nothing",
    "DELETE FROM orders",
    "INSERT INTO orders VALUES (1,2,3,4) RETURNING *",
    "ATTACH 'x.db' AS x",
    "PRAGMA user_version = 5",
    "SELECT load_extension('x')",
    "SELECT random()",
    "SELECT datetime('now')",
    "SELECT date() AS today",
    "SELECT current_timestamp",
  ];
  for (const [i, sql] of refused.entries()) {
    assert.throws(
      () => server.queries.define(`q${i}`, { sql }),
      (error: Error) => error.message.length > 10,
      sql,
    );
  }
  server.queries.define("dated", { sql: "SELECT date(total, 'unixepoch') AS day FROM orders" });
  server.queries.define("clock", { sql: "SELECT unixepoch('now') AS now", refreshMs: 1_000 });
  await assert.rejects(server.queries.subscribeToQuery("nobody", "DELETE FROM orders"));
});

Deno.test("a query with too many rows or a slow run ends with code 2100, and other clients are served", async () => {
  await using server = await serveQueries({
    all: { sql: "SELECT id FROM orders" },
    slow: {
      sql:
        `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < (SELECT count(*) * 600000 FROM orders))
            SELECT count(*) AS n FROM c`,
    },
  }, { maxRows: 3, maxMs: 60 });
  await using client = await server.connect("/t");
  await follow(client, "live:all");
  await follow(client, "live:slow");
  await server.store.run(
    "INSERT INTO orders VALUES (1, 'a', 'b', 1), (2, 'a', 'b', 1), (3, 'a', 'b', 1), (4, 'a', 'b', 1)",
  );
  const ended = new Set<string>();
  while (ended.size < 2) {
    const { unsubscribed, code } = await client.nextJson();
    if (unsubscribed !== undefined) ended.add(`${unsubscribed} ${code}`);
  }
  assert.deepEqual(ended, new Set(["live:all 2100", "live:slow 2100"]));
  client.sendJson({ do: "subscribe", channel: "live:slow" });
  assert.deepEqual(await client.nextJson(), { error: "not_available" });
  client.sendJson({ do: "subscribe", channel: "plain" });
  assert.equal((await client.nextJson()).subscribed, "plain");
});

Deno.test("S04 the server subscribes clients to ad hoc SQL and unsubscribes them", async () => {
  await using server = await serveQueries();
  await using client = await server.connect("/t");
  await until("the client", () => server.bus.clients.size === 1);
  const [id] = server.bus.clients.keys();
  const sql = "SELECT id FROM orders WHERE status = $1";
  const subscription = await server.queries.subscribeToQuery(id!, sql, ["pending"]);
  const pushed = await client.nextJson();
  assert.deepEqual(JSON.parse(pushed.data).rows, []);
  await server.store.run("INSERT INTO orders VALUES (1, 'a', 'done', 1)");
  await server.store.run("INSERT INTO orders VALUES (2, 'a', 'pending', 1)");
  assert.deepEqual((await client.nextJson()).data, { upsert: [{ id: 2 }] });
  assert.equal(await server.queries.unsubscribeFromQuery(subscription), true);
  assert.equal((await client.nextJson()).code, 2000);
  assert.equal(await server.queries.unsubscribeFromQuery(subscription), false);
  client.sendJson({ do: "subscribe", channel: pushed.pushed });
  assert.deepEqual(
    await client.nextJson(),
    { error: "unknown_channel" },
    "clients cannot open the server's ad hoc SQL",
  );
});

Deno.test("S04 results of an external database are passed in by query and parameters", async () => {
  const bus = channels();
  const queries = liveQueries({ channels: bus.api });
  await using server = await serve({}, bus, queries, channelProtocol(bus.api));
  await using client = await server.connect("/t");
  await until("the client", () => bus.api.clients.size === 1);
  const [id] = bus.api.clients.keys();
  const sql = "SELECT * FROM orders WHERE status = $1";
  await queries.api.subscribeToQuery(id!, sql, ["pending"]);
  await client.nextJson();
  assert.equal(queries.api.notifyQueryUpdate(sql, [{ id: 9 }], ["done"]), 0);
  assert.equal(queries.api.notifyQueryUpdate("SELECT 1", [{ id: 9 }]), 0);
  assert.equal(queries.api.notifyQueryUpdate(sql, [{ id: 1 }], ["pending"]), 1);
  assert.deepEqual((await client.nextJson()).data, { at: [[0, { id: 1 }]], length: 1 });
  assert.equal(queries.api.notifyQueryUpdate(sql, [{ id: 1 }, { id: 2 }]), 1);
  assert.deepEqual((await client.nextJson()).data, { at: [[1, { id: 2 }]], length: 2 });
});

Deno.test("browsers can import the module that keeps rows up to date", async () => {
  await using server = await serveQueries();
  const response = await server.fetch("/live_rows.js");
  assert.match(response.headers.get("content-type")!, /^text\/javascript/);
  assert.equal(response.headers.get("access-control-allow-origin"), "*", "for pages of other origins, too");
  const source = await response.text();
  const { liveRows: served } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
  const rows = served();
  rows.apply({ key: ["id"], rows: [{ id: 1, v: 1 }] });
  assert.deepEqual(rows.apply({ upsert: [{ id: 1, v: 2 }] }), [{ id: 1, v: 2 }]);
});

Deno.test("results that nobody reads any more are kept only up to a size", async () => {
  await using server = await serveQueries();
  const sql = "SELECT printf('%.*c', 3000000, 'x') || :n AS text";
  server.queries.define("long", { sql, params: { n: "integer" } });
  for (let n = 0; n < 20; n++) server.queries.watch("long", { n }, () => {}).stop();
  assert.equal(server.queries.size, 11, "of 3 MB each");
});

Deno.test("integers beyond 2^53 reach subscribers exactly, as text, with all rows after them", async () => {
  await using server = await serveQueries();
  await server.store.exec("CREATE TABLE large (id INTEGER PRIMARY KEY, x INTEGER)");
  server.queries.define("large", { sql: "SELECT id, x FROM large ORDER BY id" });
  await using client = await server.connect("/t");
  const live = await follow(client, "live:large");
  await server.store.exec(
    `INSERT INTO large (x) VALUES (1), (9007199254740993), (-9223372036854775808), (4)`,
  );
  await live.next();
  assert.deepEqual(live.rows().map(({ x }) => x), [1, "9007199254740993", "-9223372036854775808", 4]);
});
