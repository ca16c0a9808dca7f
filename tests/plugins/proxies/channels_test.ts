/** Subscriptions, publications and calls that a backend decides about. */

import assert from "node:assert/strict";
import { connectIn, heard, sdkClient } from "../../kit/centrifuge.ts";
import { FakeClock, until } from "../../kit/mod.ts";
import { backendServer, connected, type ProxyServer, proxyServer, type TestBackend } from "./kit.ts";

const anyone = { permissions: ["read:*", "write:*"], user: "made" as const };
const open = { auth: { anonymous: anyone } };

Deno.test("a backend allows a subscription, adds data and info, and lets the client do more", async () => {
  await using backend = backendServer(() => ({
    result: { data: { topic: "cats" }, info: { seat: 4 }, allow: ["pub", "prs"] },
  }));
  await using server = await proxyServer({
    subscribe: { url: `${backend.url}/subscribe`, namespaces: ["room"] },
  }, {
    auth: { anonymous: { permissions: [], user: "made" } },
    channels: { namespaces: { room: { subscribe: "anyone" } } },
  });
  await using client = sdkClient(server.url);
  const subscription = client.sdk.newSubscription("room:1", { data: { ticket: 12 } });
  const subscribed = heard(subscription, "subscribed");
  client.sdk.connect();
  subscription.subscribe();
  assert.deepEqual((await subscribed.next()).data, { topic: "cats" });
  const { body, path } = await backend.asked.next();
  const [known] = [...server.bus.clients.values()];
  assert.equal(path, "/subscribe");
  assert.deepEqual(body, {
    client: known!.id,
    transport: "websocket",
    protocol: "json",
    encoding: "json",
    user: known!.identity.user,
    channel: "room:1",
    data: { ticket: 12 },
  });
  await subscription.publish({ hello: 1 });
  const { clients } = await subscription.presence();
  assert.deepEqual(Object.values(clients).map(({ chanInfo }) => chanInfo), [{ seat: 4 }]);
  await assert.rejects(subscription.history({ limit: 1 }), { code: 103 });
});

Deno.test("a backend refuses a subscription, or ends the connection; other channels are not asked about", async () => {
  await using backend = backendServer(() => ({ error: { code: 403, message: "members only" } }));
  await using server = await proxyServer({ subscribe: { url: backend.url, namespaces: ["room"] } }, {
    ...open,
    channels: { namespaces: { room: {} } },
  });
  await using client = await connected(server);
  client.sendJson({ id: 2, subscribe: { channel: "room:1" } });
  assert.deepEqual(await client.nextJson(), { id: 2, error: { code: 403, message: "members only" } });
  client.sendJson({ id: 3, subscribe: { channel: "news" } });
  assert.equal((await client.nextJson()).id, 3);
  assert.equal(backend.count, 1);
  await using other = await server.test.connect("/ws");
  await other.nextJson();
  other.sendJson({ type: "subscribe", id: "a", channel: "room:1" });
  assert.deepEqual((await other.nextJson()).data, {
    code: "BACKEND_ERROR",
    message: "members only",
    number: 403,
  });
  backend.answer = () => ({ disconnect: { code: 4000, reason: "later" } });
  client.sendJson({ id: 4, subscribe: { channel: "room:2" } });
  assert.deepEqual(await client.closed, { code: 4000, reason: "later" });
});

Deno.test("a backend renews subscriptions, and an outage ends none", async () => {
  const clock = new FakeClock();
  const at = (ms: number) => clock.wallTime() / 1_000 + ms;
  await using backend = backendServer(() => ({ result: { expire_at: at(60) } }));
  const namespaces = ["room"];
  await using server = await proxyServer({
    subscribe: { url: `${backend.url}/subscribe`, namespaces },
    subRefresh: { url: `${backend.url}/sub_refresh`, namespaces },
  }, { ...open, channels: { namespaces: { room: {} } }, server: { clock } });
  await using client = await connected(server);
  client.sendJson({ id: 2, subscribe: { channel: "room:1" } });
  const { subscribe } = await client.nextJson();
  assert.equal(subscribe.ttl, undefined);
  await backend.asked.next();
  const advance = async () => {
    clock.advance(60_000);
    return (await backend.asked.next()).path;
  };
  const [known] = [...server.bus.clients.values()];
  backend.answer = () => ({ result: { expire_at: at(60), info: { seat: 5 } } });
  assert.equal(await advance(), "/sub_refresh");
  await until("the new info", () => known!.subscriptions.get("room:1")?.info.chanInfo === `{"seat":5}`);
  backend.answer = () => new Response(null, { status: 502 });
  assert.equal(await advance(), "/sub_refresh");
  await until("the failure", () => server.test.log.size > 0);
  assert.ok(known!.subscriptions.has("room:1"));
  backend.answer = () => ({ result: { expired: true } });
  assert.equal(await advance(), "/sub_refresh");
  assert.deepEqual(await client.nextJson(), {
    push: { channel: "room:1", unsubscribe: { code: 2501, reason: "expired" } },
  });
});

/** A server whose backend decides about the publications in `room`. */
function publishing(backend: TestBackend, more = {}): Promise<ProxyServer> {
  return proxyServer({ publish: { url: `${backend.url}/publish`, namespaces: ["room"], ...more } }, {
    ...open,
    channels: { namespaces: { room: {} } },
  });
}

Deno.test("a backend changes what is published, and big numbers stay as they are", async () => {
  await using backend = backendServer();
  await using server = await publishing(backend);
  const changed = `{"result":{"data":{"id":90071992547409931},"tags":{"by":"bot"},"skip_history":true}}`;
  await using client = await connected(server);
  client.sendJson({ id: 2, subscribe: { channel: "room:1" } });
  await client.nextJson();
  client.send(`{"id":3,"publish":{"channel":"room:1","data":{"big":90071992547409930}}}`);
  const { text, body } = await backend.asked.next();
  assert.ok(text.includes(`"data":{"big":90071992547409930}`));
  assert.equal(body.channel, "room:1");
  assert.equal((await client.nextJson()).push.pub.offset, 1);
  assert.deepEqual(await client.nextJson(), { id: 3, publish: {} });

  backend.answer = () => new Response(changed);
  client.send(`{"id":4,"publish":{"channel":"room:1","data":1}}`);
  const push = await client.nextText();
  assert.ok(push.includes(`"data":{"id":90071992547409931}`), push);
  assert.deepEqual(JSON.parse(push).push.pub.tags, { by: "bot" });
  assert.equal((await server.bus.history("room:1")).top.offset, 1);
});

Deno.test("a backend refuses a publication; those of the server are not asked about", async () => {
  await using backend = backendServer(() => ({ error: { code: 1234, message: "rude" } }));
  await using server = await publishing(backend);
  await using client = await connected(server);
  client.sendJson({ id: 2, publish: { channel: "room:1", data: 1 } });
  assert.deepEqual(await client.nextJson(), { id: 2, error: { code: 1234, message: "rude" } });
  await server.bus.publish("room:1", "by the server");
  assert.equal((await server.bus.history("room:1")).publications.length, 1);
  assert.equal(backend.count, 1);
});

Deno.test("publications of one client to one channel keep their order, however late the answers are", async () => {
  const late: (() => void)[] = [];
  await using backend = backendServer(({ body }) =>
    new Promise((resolve) => {
      const answer = () =>
        resolve(body.data === 2 ? { error: { code: 1000, message: "no" } } : { result: {} });
      late.unshift(answer);
      if (late.length === 4) { for (const each of late) each(); }
    })
  );
  await using server = await publishing(backend);
  await using client = await connected(server);
  for (const data of [1, 2, 3, 4]) client.sendJson({ id: data + 1, publish: { channel: "room:1", data } });
  const replies = [];
  for (let i = 0; i < 4; i++) replies.push(await client.nextJson());
  assert.deepEqual(replies.map(({ id }) => id), [2, 3, 4, 5]);
  const { publications } = await server.bus.history("room:1");
  assert.deepEqual(publications.map(({ payload }) => payload.value()), [1, 3, 4]);
});

Deno.test("payloads travel in base64 where the proxy is set so, and Protobuf clients are named", async () => {
  await using backend = backendServer(({ body }) => ({
    result: { b64data: btoa(`{"got":${atob(body.b64data)}}`) },
  }));
  await using server = await publishing(backend, { binary: true });
  const of = { test: server.test } as Parameters<typeof connectIn>[0];
  await using client = await connectIn(of, "protobuf");
  client.sendJson({ id: 1, connect: {} });
  await client.nextJson();
  client.sendJson({ id: 2, publish: { channel: "room:1", data: { a: 1 } } });
  await client.nextJson();
  const { body } = await backend.asked.next();
  assert.deepEqual([body.protocol, body.encoding, atob(body.b64data)], ["protobuf", "binary", `{"a":1}`]);
  const { publications } = await server.bus.history("room:1");
  assert.equal(publications[0]?.payload.text, `{"got":{"a":1}}`);
});

Deno.test("a backend runs methods of its namespaces; those of this program come first", async () => {
  await using backend = backendServer(({ body }) =>
    body.method === "shop:fail"
      ? { error: { code: 404, message: "no such order" } }
      : { result: { data: { for: body.user, sum: body.data.a + 1 } } }
  );
  await using server = await proxyServer({
    connect: { url: `${backend.url}/connect` },
    rpc: { url: `${backend.url}/rpc`, namespaces: ["shop"] },
  });
  backend.answer = ((rpc) => (asked) => asked.path === "/connect" ? { result: { user: "ann" } } : rpc(asked))(
    backend.answer,
  );
  server.methods.define("shop:own", { run: () => "here" });
  await using client = sdkClient(server.url);
  client.sdk.connect();
  assert.deepEqual((await client.sdk.rpc("shop:add", { a: 1 })).data, { for: "ann", sum: 2 });
  assert.deepEqual((await client.sdk.rpc("shop:own", null)).data, "here");
  await assert.rejects(client.sdk.rpc("shop:fail", {}), { code: 404, message: "no such order" });
  await assert.rejects(client.sdk.rpc("other:add", {}), { code: 104 });
});
