import assert from "node:assert/strict";
import { until } from "../../kit/mod.ts";
import { apiServer } from "./kit.ts";

Deno.test("B09 query runs a declared live query, for those who may read it", async () => {
  const apiKeys = [
    { name: "shop", key: "s".repeat(32), permissions: ["read:live:ofUser", "read:live:orders"], user: "ann" },
  ];
  await using server = await apiServer({ apiKeys });
  await server.store.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL)");
  await server.store.run("INSERT INTO orders (customer, total) VALUES ('ann', 1.5), ('bob', 2)");
  server.queries.define("orders", {
    sql: "SELECT id, total FROM orders WHERE total > :min",
    params: { min: "number" },
  });
  server.queries.define("ofUser", {
    sql: "SELECT id FROM orders WHERE customer = :user",
    params: { user: "user" },
  });
  assert.deepEqual(await server.result("query", { name: "orders", params: { min: 1.7 } }), {
    key: ["id"],
    rows: [{ id: 2, total: 2 }],
  });
  assert.deepEqual((await server.result("query", { name: "ofUser", params: { user: "bob" } })).rows, [{
    id: 2,
  }]);
  const shop = { "x-api-key": "s".repeat(32) };
  const rowsOf = async (user: string) =>
    (await server.call("query", { name: "ofUser", params: { user } }, shop)).status;
  assert.deepEqual([await rowsOf("ann"), await rowsOf("bob")], [200, 403]);
  const problems: [object, number, RegExp][] = [
    [{ name: "missing" }, 404, /There is no query "missing"/],
    [{ name: "orders" }, 400, /The parameter "min" is missing/],
    [{ name: "orders", params: { min: {} } }, 400, /^params\.min must be a string, a number, true or false$/],
    [{ name: "orders", params: { min: 1, max: 2 } }, 400, /There is no parameter "max"/],
    [{ name: "orders", params: [] }, 400, /^params must be an object$/],
    [{}, 400, /^name must be given$/],
  ];
  for (const [params, status, message] of problems) {
    const answer = await server.call("query", params);
    assert.equal(answer.status, status, JSON.stringify(params));
    assert.match(answer.body.error.message, message);
  }
});

Deno.test("B14 a live query tells what it reads, and which write woke it", async () => {
  await using server = await apiServer();
  await server.store.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, note TEXT)");
  server.queries.define("pending", {
    sql: "SELECT id FROM orders WHERE status = :status",
    params: { status: "string" },
  });
  let diffs = 0;
  const watch = server.queries.watch("pending", { status: "new" }, () => void diffs++);
  await server.store.run("INSERT INTO orders VALUES (1, 'new', 'x'), (2, 'old', 'y')");
  await until("a diff", () => diffs === 1);
  await server.store.run("UPDATE orders SET note = 'z'");
  await server.store.run("INSERT INTO orders VALUES (3, 'old', 'y')");

  const { queries } = await server.result("queries", {});
  const [query] = queries;
  assert.deepEqual([query.name, query.declared, query.instances, query.wakes, query.diffs], [
    "pending",
    true,
    1,
    1,
    1,
  ]);
  assert.deepEqual(query.reads, [{ table: "orders", columns: ["id", "status"] }]);
  assert.deepEqual(query.wokenBy.tables, [{ table: "orders", rows: 2 }]);
  assert.ok(query.runs >= 2 && query.totalMs >= query.slowestMs);

  const { instances } = await server.result("queries/instances", { name: "pending" });
  assert.equal(instances.length, 1);
  assert.deepEqual([instances[0].rows, instances[0].listeners, instances[0].wakes], [1, 1, 1]);
  const { plan } = await server.result("queries/explain", { name: "pending" });
  assert.deepEqual(plan, ["SCAN orders"]);
  assert.equal((await server.call("queries/explain", { name: "x; DROP TABLE orders" })).status, 404);
  watch.stop();
});
