import assert from "node:assert/strict";
import { KNOWN } from "./methods.ts";
import { apiServer, KEY } from "./kit.ts";

const RIGHT = "r".repeat(32);
const POWERLESS = "p".repeat(32);

/** The credentials of a request, and the status that they alone lead to. */
const CREDENTIALS = {
  none: { headers: {}, status: 401 },
  wrong: { headers: { "x-api-key": "w".repeat(32) }, status: 401 },
  "wrong, by another header": { headers: { authorization: `apikey ${"w".repeat(32)}` }, status: 401 },
  "without the permission": { headers: { "x-api-key": POWERLESS }, status: 403 },
  right: { headers: { "x-api-key": RIGHT }, status: undefined },
} as const;

const BODIES: Readonly<Record<string, { readonly text: string; readonly status: number }>> = {
  empty: { text: "", status: 400 },
  truncated: { text: '{"channel":"news","da', status: 400 },
  "no object": { text: '["news"]', status: 400 },
  "no UTF-8": { text: "", status: 400 },
  "10 MB": { text: `{"channel":"news","data":"${"x".repeat(10_000_000)}"}`, status: 413 },
};

const CONTENT_TYPES = ["application/json", "text/plain", "image/png"];

Deno.test("B09 every method refuses every wrong body and every wrong key, whatever its content type", async () => {
  const permissions = Object.values(KNOWN).flatMap(({ permission }) => permission ?? []);
  await using server = await apiServer({
    apiKeys: [
      { name: "right", key: RIGHT, permissions },
      { name: "powerless", key: POWERLESS, permissions: ["read:other", "admin:other"] },
    ],
  });
  const wrong: string[] = [];
  let requests = 0;
  for (const method of [...Object.keys(KNOWN), ""]) {
    const fixed = KNOWN[method]?.permission?.startsWith("admin:") === true;
    for (const [who, { headers, status }] of Object.entries(CREDENTIALS)) {
      for (const [what, body] of Object.entries(BODIES)) {
        for (const type of what === "10 MB" ? CONTENT_TYPES.slice(0, 1) : CONTENT_TYPES) {
          const response = await server.fetch(`/api${method && `/${method}`}`, {
            method: "POST",
            headers: { ...headers, "content-type": type },
            body: what === "no UTF-8" ? new Uint8Array([0x22, 0xff, 0x22]) : body.text,
          });
          const text = await response.text();
          requests++;
          // Where the permission depends on the body, an error of the body comes first.
          const expected = status === undefined || status === 403 && !fixed ? body.status : status;
          if (response.status !== expected || !/^\{"error":\{"code":"\w+","message":"[^"]/.test(text)) {
            wrong.push(`${method}, ${who} key, ${what}, ${type}: ${response.status} ${text.slice(0, 100)}`);
          }
        }
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(requests > 1_500);
});

Deno.test("B09 every method accepts a right request with the key that may make it, and no other", async () => {
  const folder = await Deno.makeTempDir();
  {
    const keys = Object.entries(KNOWN).flatMap(([name, { permission }]) =>
      permission === undefined
        ? []
        : [{ name, key: `only for ${name}`.padEnd(32, "."), permissions: [permission] }]
    );
    await using server = await apiServer({
      apiKeys: keys,
      path: `${folder}/plugboard.db`,
      api: { backups: `${folder}/backups`, reload: () => Promise.resolve({ reloaded: [], restart: [] }) },
    });
    server.methods.define("who", { run: () => "somebody" });
    server.queries.define("items", { sql: "SELECT 1 AS n" });
    await server.store.exec("CREATE TABLE items (n)");
    for (const [method, { params, permission }] of Object.entries(KNOWN)) {
      for (const type of CONTENT_TYPES) {
        const headers = { "content-type": type };
        for (const { name, key, permissions } of keys) {
          const may = permission === undefined || permissions.includes(permission);
          if (!may && type !== CONTENT_TYPES[0]) continue;
          const { status, body } = await server.call(method, params, { ...headers, "x-api-key": key });
          const taken = method === "api_keys/add" && status === 400;
          const missing =
            ["api_keys/end", "connection", "schedule/cancel", "table/delete", "verdict"].includes(method) &&
            status === 404;
          const expected = may ? (taken || missing ? status : 200) : 403;
          assert.equal(status, expected, `${method} with the key for ${name}: ${JSON.stringify(body)}`);
        }
      }
    }
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("B09 a deeply nested body is answered like any other", async () => {
  await using server = await apiServer();
  const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  for (const method of Object.keys(KNOWN)) {
    for (const name of ["data", "channel", "commands", "params", "nothing"]) {
      const { status } = await server.call(method, `{"${name}":${deep(20_000)}}`);
      assert.ok(status === 200 || status === 400, `${method} with a deep ${name}: ${status}`);
    }
  }
  const { body } = await server.call("publish", `{"channel":"deep","data":${deep(500_000)}}`);
  assert.equal(body.result.offset, 1);
  await assert.rejects(server.log.next("an error in the log", 1), /an error in the log/);
});

Deno.test("B09 other HTTP methods are answered with 405, and an unknown method with 404", async () => {
  await using server = await apiServer();
  for (const method of Object.keys(KNOWN)) {
    for (const verb of ["GET", "PUT", "DELETE", "PATCH"]) {
      if (method === "stats" && verb === "GET") continue; // it stays
      const response = await server.fetch(`/api/${method}`, { method: verb, headers: { "x-api-key": KEY } });
      await response.body?.cancel();
      const allow = method === "stats" ? "POST, GET, HEAD" : "POST";
      assert.deepEqual([response.status, response.headers.get("allow")?.split(", ").sort()], [
        405,
        allow.split(", ").sort(),
      ]);
    }
  }
  assert.equal((await server.call("publsh", {})).status, 404);
  const { status, body } = await server.call("nothing/here", {});
  assert.deepEqual([status, body.error.code], [404, "not_found"]);
});

Deno.test("B09 a key is accepted in all three places, a token only of an operator, and a page of another origin never", async () => {
  const { token } = await import("../auth/kit.ts");
  await using server = await apiServer();
  const post = async (path: string, headers: Record<string, string>) => {
    const response = await server.fetch(path, {
      method: "POST",
      headers,
      body: '{"channel":"news","data":1}',
    });
    await response.body?.cancel();
    return response.status;
  };
  const bearer = async (permissions?: string[]) => ({
    authorization: `Bearer ${await token({ sub: "ann", ...(permissions && { permissions }) })}`,
  });
  assert.equal(await post("/api/publish", { "x-api-key": KEY }), 200);
  assert.equal(await post("/api/publish", { authorization: `apikey ${KEY}` }), 200);
  assert.equal(await post(`/api/publish?api_key=${KEY}`, {}), 200);
  assert.equal(await post("/api/publish", await bearer(["admin"])), 200);
  assert.equal(await post("/api/publish", await bearer(["admin:api", "write:news"])), 200);
  assert.equal(await post("/api/publish", await bearer(["admin:api"])), 403);
  assert.equal(
    await post("/api/publish", await bearer(["write:news"])),
    403,
    "as a client, not as a backend",
  );
  assert.equal(await post("/api/publish", await bearer()), 403);
  assert.equal(await post("/api/publish", { "x-api-key": KEY, origin: "https://evil.example" }), 403);
});
