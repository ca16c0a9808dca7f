import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { heard } from "../../kit/centrifuge.ts";
import { apiServer } from "./kit.ts";

Deno.test("B09 revoke ends the tokens of a user and closes the connections", async () => {
  await using server = await apiServer();
  await using client = await server.user("ann");
  const ended = heard(client.sdk, "disconnected");
  assert.deepEqual(await server.result("revoke", { user: "ann" }), { closed: 1 });
  assert.equal((await ended.next()).code, 3500);
  assert.deepEqual(await server.result("revoke", { jti: "x", until: Date.now() + 1_000 }), { closed: 0 });
  assert.deepEqual(await server.result("revoke", { issued_before: 1 }), { closed: 0 });
  const { status, body } = await server.call("revoke", {});
  assert.deepEqual([status, body.error], [400, {
    code: "bad_request",
    message: "jti, user or issued_before must be given",
  }]);
});

Deno.test("B09 an added API key works at once and after a restart; an ended one never again", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/plugboard.db`;
  let key: string;
  {
    await using server = await apiServer({ path });
    const about = { name: "shop", permissions: ["write:orders:*"], expires_at: Date.now() + 3_600_000 };
    ({ key } = await server.result("api_keys/add", about));
    assert.match(key, /^[\w-]{43}$/);
    const again = await server.call("api_keys/add", about);
    assert.deepEqual([again.status, again.body.error.message], [400, 'name: "shop" is taken']);
    const { api_keys } = await server.result("api_keys", {});
    assert.deepEqual(api_keys.map(({ name }: { name: string }) => name), ["admin", "shop"]);
    assert.ok(!JSON.stringify(api_keys).includes(key));
    assert.equal((await publish(server, key)).status, 200);
    const { key: other } = await server.result("api_keys/add", { name: "old", permissions: ["*"] });
    assert.deepEqual(await server.result("api_keys/end", { name: "old" }), {});
    assert.equal((await publish(server, other)).status, 401);
    assert.equal((await server.call("api_keys/end", { name: "old" })).status, 404);
  }
  assert.ok(
    !new TextDecoder("latin1").decode(Deno.readFileSync(path)).includes(key),
    "only the hash is stored",
  );
  {
    await using server = await apiServer({ path });
    const { api_keys } = await server.result("api_keys", {});
    assert.deepEqual(api_keys.map(({ name }: { name: string }) => name), ["admin", "shop"]);
    assert.equal((await publish(server, key)).status, 200);
    await server.result("api_keys/end", { name: "shop" });
    assert.equal((await publish(server, key)).status, 401);
  }
  {
    await using server = await apiServer({ path });
    assert.equal((await publish(server, key)).status, 401);
  }
  await Deno.remove(folder, { recursive: true });

  function publish(server: Awaited<ReturnType<typeof apiServer>>, key: string) {
    return server.call("publish", { channel: "orders:1", data: 1 }, { "x-api-key": key });
  }
});

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

Deno.test("B09 tables lists the app's tables, and stats the totals", async () => {
  await using server = await apiServer();
  await server.store.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT)");
  assert.deepEqual((await server.result("tables", {})).tables, [
    { name: "orders", columns: ["id", "customer"], primary_key: ["id"] },
  ]);
  await server.result("publish", { channel: "news", data: 1 });
  assert.equal((await server.result("stats", {})).totals.plugboard_publishes_total, 1);
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
