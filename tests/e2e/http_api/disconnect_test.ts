import assert from "node:assert/strict";
import { within } from "../../kit/mod.ts";
import { token } from "../../plugins/auth/kit.ts";
import { apiServer } from "../../plugins/http_api/kit.ts";

Deno.test("B09 disconnect closes all 1,000 connections of a user, and no others", async () => {
  await using server = await apiServer();
  const connect = async (user: string) => {
    const client = await server.connect("/connection/websocket");
    client.sendJson({ id: 1, connect: { token: await token({ sub: user }) } });
    assert.match(await client.nextText(), /"connect"/);
    return client;
  };
  const all = [];
  for (let i = 0; i < 20; i++) {
    all.push(...await Promise.all(Array.from({ length: 50 }, () => connect("ann"))));
  }
  await using other = await connect("bob");
  assert.equal(server.bus.clients.size, 1_001);
  assert.deepEqual(await server.result("disconnect", { user: "ann" }), {});
  const codes = await within("all ends", Promise.all(all.map(({ closed }) => closed)));
  assert.deepEqual([...new Set(codes.map(({ code }) => code))], [3503]);
  assert.deepEqual(Object.keys((await server.result("connections", {})).connections), [
    ...server.bus.clients.keys(),
  ]);
  assert.equal(server.bus.clients.size, 1);
  other.sendJson({ id: 2, rpc: { method: "missing" } });
  assert.match(await other.nextText(), /"id":2/);
});
