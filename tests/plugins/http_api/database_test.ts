import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { apiServer } from "./kit.ts";

Deno.test("B09 tables lists the app's tables, and stats the totals", async () => {
  await using server = await apiServer();
  await server.store.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT)");
  assert.deepEqual((await server.result("tables", {})).tables, [
    { name: "orders", columns: ["id", "customer"], primary_key: ["id"] },
  ]);
  await server.result("publish", { channel: "news", data: 1 });
  assert.equal((await server.result("stats", {})).totals.plugboard_publishes_total, 1);
});

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
  assert.deepEqual(first.rows[0], ["k", 0, { integer: "9007199254740993" }, {
    begins: "x".repeat(1_000),
    bytes: 100_000,
  }, {
    bytes: 5,
  }]);
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
  for (const wrong of [[], ["k", 1], [1, 2, 3, 4], ["k", { integer: "1); DROP" }, 1], [{}, 1, 1]]) {
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
  assert.deepEqual(seen, [[{ bytes: 0 }, 0], [{ bytes: 2 }, 1], [{ bytes: 1 }, 2]]);
  for (const wrong of [{ base64: "?" }, { base64: 1 }]) {
    assert.equal((await server.call("table", { name: "files", after: [wrong] })).status, 400);
  }
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

Deno.test("B09 a backup is a database, in the folder of backups and nowhere else", async () => {
  const folder = await Deno.makeTempDir();
  const backups = `${folder}/backups`;
  {
    await using server = await apiServer({ path: `${folder}/plugboard.db`, api: { backups } });
    await server.store.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
    const named = await server.result("backup", { name: "monday.db" });
    assert.equal(named.path, `${backups}/monday.db`);
    using copy = new DatabaseSync(named.path, { readOnly: true });
    assert.equal(copy.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'orders'").get()!.n, 1);
    assert.match((await server.result("backup", {})).path, /\/backups\/plugboard-\d{8}-\d{6}\.db$/);
    for (
      const name of [
        "",
        "..",
        "../plugboard.db",
        "/etc/x",
        "a/b",
        ".hidden",
        "a..b",
        "a\u0000",
        "x".repeat(101),
        "C:\\x",
      ]
    ) {
      const { status, body } = await server.call("backup", { name });
      assert.equal(status, 400, name);
      assert.match(body.error.message, /^name must /);
    }
  }
  assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name).sort(), [
    "backups",
    "plugboard.db",
  ]);
  // SQLite adds two files to a database that it reads.
  const names = Array.from(Deno.readDirSync(backups), ({ name }) => name).filter((name) =>
    !/-(wal|shm)$/.test(name)
  );
  assert.ok(names.every((name) => /^(monday|plugboard-[\d-]+)\.db$/.test(name)), String(names));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("methods without their service are not available", async () => {
  await using server = await apiServer();
  const { status, body } = await server.call("backup", {});
  assert.deepEqual([status, body.error.code], [400, "not_available"]);
});
