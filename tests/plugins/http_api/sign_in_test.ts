import assert from "node:assert/strict";
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
