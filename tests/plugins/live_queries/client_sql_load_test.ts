/** SQL of clients under changes of the schema and under load: what will pass does not end a subscription for good. */

import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
import { sqlChannel } from "../../../plugins/live_queries.ts";
import { until } from "../../kit/mod.ts";
import { serveSql } from "./client_sql_kit.ts";
import { follow } from "./kit.ts";

Deno.test("a subscription survives changes of the schema while it begins", async () => {
  await using server = await serveSql();
  await using ann = await server.connect("/t?user=ann");
  let changes = 0;
  server.gate.beforeRead = async () => {
    if (changes < 3) await server.store.exec(`ALTER TABLE orders ADD COLUMN c${changes++}`);
  };
  const live = await follow(ann, sqlChannel("SELECT * FROM orders"));
  assert.equal(changes, 3);
  await server.store.run("INSERT INTO orders (id, c0, c2) VALUES (1, 'a', 'b')");
  await live.next();
  assert.deepEqual(live.rows(), [{ id: 1, status: null, total: null, c0: "a", c1: null, c2: "b" }]);
});

Deno.test("a schema that never stops changing is a temporary error", async () => {
  await using server = await serveSql();
  await using ann = await server.connect("/t?user=ann");
  let changes = 0;
  server.gate.beforeRead = () => server.store.exec(`ALTER TABLE orders ADD COLUMN c${changes++}`);
  ann.sendJson({ do: "subscribe", channel: sqlChannel("SELECT id FROM orders") });
  assert.deepEqual(await ann.nextJson(), { error: "overloaded" });
  assert.equal(changes, 10);
  server.gate.beforeRead = () => Promise.resolve();
  await follow(ann, sqlChannel("SELECT id FROM orders"));
});

Deno.test("a failure that will pass ends a query with 2500, after which SDKs subscribe again", async () => {
  await using server = await serveSql();
  await using ann = await server.connect("/t?user=ann");
  for (const code of ["overloaded", "query_failed"]) {
    const channel = sqlChannel("SELECT count(*) AS n FROM orders");
    server.gate.beforeRead = () => Promise.resolve();
    await follow(ann, channel);
    server.gate.beforeRead = () => Promise.reject(new PlugboardError(code, "for once"));
    await server.store.run("INSERT INTO orders (total) VALUES (1)");
    assert.deepEqual(await ann.nextJson(), { unsubscribed: channel, code: 2500 }, code);
  }
  ann.sendJson({ do: "subscribe", channel: sqlChannel("SELECT 2 AS n FROM orders") });
  assert.deepEqual(await ann.nextJson(), { error: "not_available" }, "a process that fails at the first run");
});

Deno.test("1,200 queries that one write wakes all get their change", async () => {
  await using server = await serveSql({ maxMs: 10_000 });
  const clients = await Promise.all(Array.from({ length: 12 }, () => server.connect("/t?user=ann")));
  const sql = "SELECT count(*) + :n AS n FROM orders";
  for (const [i, client] of clients.entries()) {
    for (let j = 0; j < 100; j++) {
      client.sendJson({ do: "subscribe", channel: sqlChannel(sql, { n: 100 * i + j }) });
      if (j % 25 === 24) {
        for (let k = 0; k < 25; k++) assert.ok((await client.nextJson()).data, "it is subscribed");
      }
    }
  }
  assert.equal(server.queries.size, 1_200);
  await server.store.run("INSERT INTO orders VALUES (1, 'new', 5)");
  for (const [i, client] of clients.entries()) {
    const numbers: number[] = [];
    for (let j = 0; j < 100; j++) numbers.push((await client.nextJson()).data.at[0][1].n);
    assert.deepEqual(numbers.sort((a, b) => a - b), Array.from({ length: 100 }, (_, j) => 100 * i + j + 1));
  }
  for (const client of clients) await client.close();
  await until("no clients", () => server.bus.clients.size === 0);
});
