import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
import { heard, sdkClient } from "../../kit/centrifuge.ts";
import { within } from "../../kit/mod.ts";
import { token } from "../auth/kit.ts";
import { apiServer } from "./kit.ts";

Deno.test("B09 subscribe adds a channel with data, info and recovered publications; unsubscribe ends it with 2000", async () => {
  await using server = await apiServer();
  await using client = await server.user("ann");
  const subscribed = heard(client.sdk, "subscribed");
  const publications = heard(client.sdk, "publication");
  const unsubscribed = heard(client.sdk, "unsubscribed");
  const { epoch } = await server.result("publish", { channel: "news", data: "missed" });
  await server.result("publish", { channel: "news", data: "missed too" });
  const request = {
    user: "ann",
    channel: "news",
    data: { hello: "Ann" },
    info: { role: "reader" },
    recover_since: { offset: 0, epoch },
  };
  assert.deepEqual(await server.result("subscribe", request), {});
  assert.deepEqual((await subscribed.next()).data, { hello: "Ann" });
  assert.deepEqual([(await publications.next()).data, (await publications.next()).data], [
    "missed",
    "missed too",
  ]);
  assert.deepEqual(await server.result("subscribe", request), {}, "again");
  const { presence } = await server.result("presence", { channel: "news" });
  const [info] = Object.values(presence) as { user: string; chan_info: unknown }[];
  assert.deepEqual([info!.user, info!.chan_info], ["ann", { role: "reader" }]);
  assert.deepEqual(await server.result("presence_stats", { channel: "news" }), {
    num_clients: 1,
    num_users: 1,
  });

  assert.deepEqual(await server.result("unsubscribe", { user: "ann", channel: "news" }), {});
  assert.equal((await unsubscribed.next()).channel, "news");
  const b64 = { b64data: btoa('{"b":64}'), user: "ann", channel: "more" };
  await server.result("subscribe", b64);
  assert.deepEqual((await subscribed.next()).data, { b: 64 });
  await server.result("unsubscribe", { user: "ann" });
  assert.equal((await unsubscribed.next()).channel, "more");
});

Deno.test("B09 disconnect closes the connections of a user, all but those that are listed, with the given code", async () => {
  await using server = await apiServer();
  await using one = await server.user("ann");
  await using two = await server.user("ann");
  await using bob = await server.user("bob");
  const gone = [one, two].map(({ sdk }) =>
    new Promise<{ code: number; reason: string }>((resolve) => sdk.on("disconnected", resolve))
  );
  const kept = Object.keys((await server.result("connections", { user: "ann" })).connections);
  assert.equal(kept.length, 2);
  const own = kept[0]!;
  const disconnect = { code: 4501, reason: "be gone" };
  await server.result("disconnect", { user: "ann", whitelist: [own], disconnect });
  const first = await within("the end of one of them", Promise.race(gone));
  assert.deepEqual([first.code, first.reason], [4501, "be gone"]);
  assert.deepEqual(Object.keys((await server.result("connections", { user: "ann" })).connections), [own]);

  // A connection of another user is not meant.
  const [bobs] = Object.keys((await server.result("connections", { user: "bob" })).connections);
  await server.result("disconnect", { user: "ann", client: bobs });
  assert.equal(bob.sdk.state, "connected");
  const ended = heard(bob.sdk, "disconnected");
  await server.result("disconnect", { client: bobs });
  assert.equal((await ended.next()).code, 3503);
  assert.deepEqual(await server.result("disconnect", { user: "nobody" }), {});
});

Deno.test("B09 a control request must name whom it means, and a close code must be one", async () => {
  await using server = await apiServer();
  const wrong: [string, object][] = [
    ["disconnect", {}],
    ["disconnect", { user: "", client: "" }],
    ["disconnect", { user: null }],
    ["disconnect", { user: "ann", disconnect: { code: 1000 } }],
    ["disconnect", { user: "ann", disconnect: { code: 5000 } }],
    ["disconnect", { user: "ann", disconnect: { code: 4000, reason: "x".repeat(124) } }],
    ["subscribe", { user: "ann" }],
    ["subscribe", { channel: "news" }],
    ["subscribe", { channel: "/", user: "ann" }],
    ["subscribe", { channel: "a", user: "ann", b64data: btoa("no json") }],
    ["unsubscribe", { channel: "news" }],
    ["refresh", { expired: true }],
  ];
  await using _client = await server.user("ann");
  for (const [method, params] of wrong) {
    const { status, body } = await server.call(method, params);
    assert.deepEqual([status, body.error.code], [200, 107], JSON.stringify(params));
    assert.match(body.error.message, /^bad request: \w+/);
  }
  assert.equal(server.bus.clients.size, 1);
});

Deno.test("B09 refresh changes the end of a sign-in and what others see, or ends it", async () => {
  await using server = await apiServer();
  const soon = Math.floor(Date.now() / 1000) + 3_600;
  const getToken = () => token({ sub: "ann", exp: soon });
  await using client = sdkClient(server.url, "websocket", { getToken });
  const connected = heard(client.sdk, "connected");
  const connecting = heard(client.sdk, "connecting");
  client.sdk.connect();
  await connected.next();
  await connecting.next();
  const [id] = Object.keys((await server.result("connections", { user: "ann" })).connections);
  await server.result("refresh", { user: "ann", expire_at: soon + 60, info: { name: "Ann" } });
  const about = await server.result("connection", { client: id });
  assert.deepEqual([about.expires_at, about.info, about.user], [(soon + 60) * 1000, { name: "Ann" }, "ann"]);
  await server.result("refresh", { user: "ann", expired: true });
  assert.equal((await connecting.next()).code, 3005);
  await connected.next();
});

Deno.test("B09 a session over an HTTP stream can be targeted", async () => {
  await using server = await apiServer();
  await using client = sdkClient(server.url, "http_stream", { token: await token({ sub: "ann" }) });
  client.sdk.connect();
  await client.sdk.ready();
  const [{ session } = {}] = server.bus.clients.values();
  assert.match(session ?? "", /^[\w-]{36}$/);
  await server.result("disconnect", { user: "ann", session: "another" });
  assert.equal(client.sdk.state, "connected");
  const ended = heard(client.sdk, "disconnected");
  await server.result("disconnect", { session });
  assert.equal((await ended.next()).code, 3503);
});

Deno.test("B09 rpc calls the app's methods; their errors keep their numbers", async () => {
  await using server = await apiServer();
  const { RpcError } = await import("../../../plugins/rpc.ts");
  server.methods.define("add", { run: (args) => (args as number[]).reduce((a, b) => a + b) });
  server.methods.define("nothing", { run: () => {} });
  server.methods.define("no", { run: () => Promise.reject(new RpcError(404, "There is no such order")) });
  server.methods.define("denied", { allow: () => false, run: () => 1 });
  server.methods.define("checked", {
    args() {
      throw new PlugboardError("bad_request", "The customer is missing");
    },
    run: () => 1,
  });
  server.methods.define("broken", { run: () => Promise.reject(new Error("a secret")) });
  assert.deepEqual(await server.result("rpc", { method: "add", params: [1, 2, 3] }), { data: 6 });
  assert.deepEqual(await server.result("rpc", { method: "nothing" }), {});
  const errorOf = async (method: string) => (await server.call("rpc", { method })).body.error;
  assert.deepEqual(await errorOf("no"), { code: 404, message: "There is no such order" });
  assert.deepEqual(await errorOf("denied"), { code: 103, message: "Permission denied" });
  assert.deepEqual(await errorOf("checked"), { code: 107, message: "The customer is missing" });
  assert.deepEqual(await errorOf("broken"), { code: 100, message: "internal server error" });
  assert.deepEqual(await errorOf("missing"), { code: 104, message: 'Method not found: "missing"' });
  assert.equal((await errorOf("")).code, 107);
});
