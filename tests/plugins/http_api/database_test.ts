import assert from "node:assert/strict";
import { until } from "../../kit/mod.ts";
import { apiServer } from "./kit.ts";

Deno.test("B14 rows are read in pages by the key, with hostile names and large values", async () => {
  await using server = await apiServer();
  await server.store.exec(`
    CREATE TABLE "o""rders; --" ("a b" TEXT, n INTEGER, big INTEGER, body TEXT, blob BLOB, PRIMARY KEY ("a b", n));
    CREATE TABLE plain (x);
    WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 250)
    INSERT INTO plain SELECT i FROM c;
  `);
  for (let n = 0; n < 5; n++) {
    await server.store.run('INSERT INTO "o""rders; --" VALUES (?, ?, ?, ?, ?)', [
      "k",
      n,
      9_007_199_254_740_993n,
      "x".repeat(100_000),
      new Uint8Array(5),
    ]);
  }
  const name = 'o"rders; --';
  const first = await server.result("table", { name, limit: 3 });
  assert.deepEqual(first.columns, ["a b", "n", "big", "body", "blob"]);
  assert.deepEqual(first.rows[0], ["k", 0, { integer: "9007199254740993" }, "x".repeat(1_000), "[5 bytes]"]);
  const second = await server.result("table", { name, limit: 3, after: first.next });
  assert.deepEqual(second.rows.map(([, n]: [string, number]) => n), [3, 4]);
  assert.equal(second.next, undefined);

  let seen = 0;
  let after: unknown;
  do {
    const page = await server.result("table", {
      name: "plain",
      limit: 100,
      ...(after !== undefined && { after }),
    });
    seen += page.rows.length;
    after = page.next;
  } while (after !== undefined);
  assert.equal(seen, 250);

  for (const hidden of ["plugboard_migrations", "sqlite_schema", "nothing", "channel_logs"]) {
    assert.equal((await server.call("table", { name: hidden })).status, 404, hidden);
  }
  for (const wrong of [[], [1, 2, 3], [null, 1], [{ integer: "1); DROP" }, 1], [{}, 1]]) {
    assert.equal((await server.call("table", { name, after: wrong })).status, 400, JSON.stringify(wrong));
  }
});

Deno.test("B14 a table whose key is a blob is read to its end", async () => {
  await using server = await apiServer();
  await server.store.exec(`
    CREATE TABLE files (id BLOB PRIMARY KEY, n INTEGER);
    INSERT INTO files VALUES (x'00ff', 1), (x'01', 2), (x'', 0);
  `);
  const seen: unknown[] = [];
  let after: unknown;
  do {
    const page = await server.result("table", { name: "files", limit: 1, ...(after ? { after } : {}) });
    seen.push(...page.rows);
    after = page.next;
  } while (after !== undefined && seen.length < 10);
  assert.deepEqual(seen, [["[0 bytes]", 0], ["[2 bytes]", 1], ["[1 bytes]", 2]]);
  for (const wrong of [{ base64: "?" }, { base64: 1 }]) {
    assert.equal((await server.call("table", { name: "files", after: [wrong] })).status, 400);
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

Deno.test("B14 the database tells its file, migrations and latest backup", async () => {
  const folder = await Deno.makeTempDir();
  {
    await using server = await apiServer({
      path: `${folder}/plugboard.db`,
      api: { backups: `${folder}/backups` },
    });
    await server.store.migrate("shop", [
      "CREATE TABLE orders (id INTEGER PRIMARY KEY)",
      "CREATE TABLE items (id)",
    ]);
    const before = await server.result("database", {});
    assert.equal(before.last_backup, undefined);
    assert.ok(before.bytes > 0);
    const shop = before.migrations.find(({ owner }: { owner: string }) => owner === "shop");
    assert.equal(shop.version, 2);
    await server.result("backup", { name: "copy.db" });
    const after = await server.result("database", {});
    assert.equal(after.last_backup.path, `${folder}/backups/copy.db`);
    assert.ok(after.last_backup.bytes > 0);
  }
  await Deno.remove(folder, { recursive: true });
});
