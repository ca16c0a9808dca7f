/** Which events receivers get, and how they are signed and grouped. */

import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { auth } from "../../../plugins/auth.ts";
import { channels, type ChannelsOptions } from "../../../plugins/channels.ts";
import { paths } from "../../../plugins/paths.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { pipe } from "../../../plugins/protocols/pipe.ts";
import { type WebhookOptions, webhooks } from "../../../plugins/webhooks.ts";
import { metricsRegistry } from "../../../plugins/stats.ts";
import { FakeClock, serve, until } from "../../kit/mod.ts";
import { SECRET, webhookReceiver } from "./kit.ts";

const EVERYTHING = [
  ...["connect", "disconnect", "subscribe", "unsubscribe", "publish", "occupied"],
  ...["vacated", "presence", "cache_miss"],
] as NonNullable<WebhookOptions["events"]>;

/** A server whose events go to these receivers. */
async function start(receivers: WebhookOptions[], options: ChannelsOptions = {}) {
  const access = auth({ anonymous: { permissions: ["read:*", "write:*"], user: "given" } });
  const bus = channels({ access: access.api, ...options });
  const people = presence({ channels: bus.api });
  const tenants = paths();
  const hooks = webhooks({ channels: bus.api, access: access.api, presence: people.api, receivers });
  const protocol = centrifuge({ channels: bus.api, access: access.api, presence: people.api });
  const relay = pipe({ paths: tenants.api, path: "/relay" });
  const test = await serve({}, access, bus, people, hooks, protocol, tenants, relay);
  return {
    test,
    bus: bus.api,
    hooks: hooks.api,
    async client() {
      const client = await test.connect("/connection/websocket");
      client.sendJson({ id: 1, connect: {} });
      const { connect } = await client.nextJson();
      return { client, id: connect.client as string };
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

// deno-lint-ignore no-explicit-any -- events have many shapes
const withoutIds = ({ id, time_ms, ...rest }: any) => {
  assert.match(id, /^[\da-f-]{36}$/);
  assert.ok(Math.abs(Date.now() - time_ms) < 60_000);
  return rest;
};

Deno.test("B10 a backend hears of connects, subscriptions, publications and their ends, signed and in order", async () => {
  await using receiver = webhookReceiver();
  await using server = await start([{
    url: receiver.url,
    secrets: [SECRET],
    events: EVERYTHING,
    batchMs: 1,
  }]);
  const { client, id } = await server.client();
  client.sendJson({ id: 2, subscribe: { channel: "room:1" } });
  await client.nextText();
  client.send(`{"id":3,"publish":{"channel":"room:1","data":{"big":90071992547409931}}}`);
  const events = await receiver.events(5);
  await client.close();
  events.push(...await receiver.events(4));
  const who = { client: id, user: "" };
  const channel = "room:1";
  const epoch = (await server.bus.history(channel)).top.epoch;
  assert.deepEqual(events.map(withoutIds), [
    { type: "connect", ...who, protocol: "centrifuge" },
    { type: "occupied", channel },
    { type: "presence", action: "join", channel, ...who },
    { type: "subscribe", ...who, channel },
    { type: "publish", channel, ...who, data: { big: 90071992547409931 }, offset: 1, epoch },
    { type: "presence", action: "leave", channel, ...who },
    { type: "unsubscribe", ...who, channel },
    { type: "vacated", channel },
    { type: "disconnect", ...who, protocol: "centrifuge", code: 1000, reason: "", by: "client" },
  ]);
  const bodies = receiver.deliveries.take().map(({ body }) => body).join();
  assert.ok(bodies.includes("90071992547409931"), "numbers stay as they were written");
});

Deno.test("B10 protocols without channels send connect and disconnect, and so does a server without sign-in", async () => {
  await using receiver = webhookReceiver();
  const receivers = [{ url: receiver.url, secrets: [SECRET], batchMs: 0 }];
  await using server = await start(receivers);
  await (await server.test.connect("/relay/acme")).close();
  assert.deepEqual((await receiver.events(2)).map(({ type, protocol }) => [type, protocol]), [
    ["connect", "pipe"],
    ["disconnect", "pipe"],
  ]);
  await using bare = await serve({}, webhooks({ receivers }), echo());
  await (await bare.connect("/echo")).close();
  assert.deepEqual((await receiver.events(2)).map(({ type, user }) => [type, user]), [
    ["connect", undefined],
    ["disconnect", undefined],
  ]);
});

Deno.test("each receiver gets the events of its namespaces", async () => {
  await using rooms = webhookReceiver();
  await using others = webhookReceiver();
  const common = { secrets: [SECRET], batchMs: 1, events: ["publish" as const] };
  await using server = await start([
    { ...common, url: rooms.url, namespaces: ["room"] },
    { ...common, url: others.url, namespaces: [""] },
  ], { namespaces: { room: {} } });
  for (const channel of ["room:1", "news", "$room:2", "other:1"]) await server.bus.publish(channel, 1);
  assert.deepEqual((await rooms.events(2)).map(({ channel }) => channel), ["room:1", "$room:2"]);
  // Channels of unknown namespaces have the options of those without one.
  assert.deepEqual((await others.events(2)).map(({ channel }) => channel), ["news", "other:1"]);
});

Deno.test("a client that finds no cached publication is a cache miss", async () => {
  await using receiver = webhookReceiver();
  const receivers = [{ url: receiver.url, secrets: [SECRET], batchMs: 0, events: ["cache_miss" as const] }];
  await using server = await start(receivers, { namespaces: { cache: { recoveryMode: "cache" } } });
  const { client, id } = await server.client();
  await using _ = client;
  client.sendJson({ id: 2, subscribe: { channel: "cache:1", recover: true } });
  const [event] = await receiver.events(1);
  assert.deepEqual(withoutIds(event), { type: "cache_miss", client: id, user: "", channel: "cache:1" });
});

Deno.test("events share requests, up to a number and for a time", async () => {
  const clock = new FakeClock(Date.now());
  await using receiver = webhookReceiver();
  const bus = channels();
  const hooks = webhooks({
    channels: bus.api,
    receivers: [{ url: receiver.url, secrets: [SECRET], events: ["publish"], maxBatch: 10, batchMs: 50 }],
  });
  await using server = await serve({ clock }, bus, hooks);
  for (let i = 0; i < 25; i++) await bus.api.publish("news", i);
  assert.equal((await receiver.deliveries.next()).events.length, 10);
  assert.equal((await receiver.deliveries.next()).events.length, 10);
  await until("the delivery", () => hooks.api.stats()[0]!.queued === 5);
  clock.advance(49);
  assert.equal(receiver.count, 2);
  await until("the last request", () => {
    clock.advance(1);
    return receiver.count === 3;
  });
  assert.deepEqual((await receiver.deliveries.next()).events.map(({ data }) => data), [20, 21, 22, 23, 24]);
  void server;
});

Deno.test("the official library accepts every secret of a rotation, and nothing altered, replayed or foreign", async () => {
  const next = `whsec_${btoa("another secret of the same length")}`;
  await using receiver = webhookReceiver(0, next);
  await using server = await start([
    { url: receiver.url, secrets: [SECRET, next], events: ["publish"], batchMs: 0 },
  ]);
  await server.bus.publish("news", "hello");
  const { body, headers, id } = await receiver.deliveries.next();
  assert.match(id, /^msg_/);
  const old = new Webhook(SECRET);
  assert.ok(old.verify(body, headers));
  assert.throws(() => old.verify(body.replace("hello", "hullo"), headers));
  assert.throws(() => old.verify(body, { ...headers, "webhook-id": "msg_other" }));
  const later = String(Number(headers["webhook-timestamp"]) + 1);
  assert.throws(() => old.verify(body, { ...headers, "webhook-timestamp": later }));
  assert.throws(() => new Webhook(`whsec_${btoa("a secret that nobody has given")}`).verify(body, headers));
  // A replay after five minutes is too old for the library; an earlier one has the id of the first.
  const realNow = Date.now;
  Date.now = () => realNow() + 301_000;
  try {
    assert.throws(() => old.verify(body, headers), /too old/);
  } finally {
    Date.now = realNow;
  }
});

Deno.test("options that cannot work are refused, without the secrets in them", () => {
  const url = "http://127.0.0.1:1/";
  const refused = (options: Partial<WebhookOptions>, text: RegExp) =>
    assert.throws(() => webhooks({ receivers: [{ url, secrets: [SECRET], ...options }] }), (error: Error) => {
      assert.match(error.message, text);
      assert.ok(!/s3cret|MfKQ/.test(error.message), error.message);
      return true;
    });
  refused({ url: "file:///s3cret" }, /url/);
  refused({ secrets: [] }, /secrets/);
  refused({ secrets: [SECRET, "s3cret"] }, /secrets/);
  refused({ secrets: ["whsec_c2hvcnQ="] }, /secrets/);
  refused({ events: ["login" as "connect"] }, /events/);
  refused({ maxBatch: 0 }, /maxBatch/);
  refused({ headers: { "x-key": "s3cret\nx" } }, /headers/);
  assert.throws(
    () => webhooks({ receivers: [{ url, secrets: [SECRET] }, { url, secrets: [SECRET] }] }),
    /different names/,
  );
});

Deno.test("events are counted by receiver", async () => {
  const metrics = metricsRegistry();
  await using receiver = webhookReceiver();
  const bus = channels();
  const one: WebhookOptions = {
    name: "shop",
    url: receiver.url,
    secrets: [SECRET],
    events: ["publish"],
    batchMs: 0,
  };
  await using _ = await serve({}, bus, webhooks({ channels: bus.api, receivers: [one], metrics }));
  await bus.api.publish("news", 1);
  await receiver.events(1);
  await until(
    "the count",
    () => metrics.render().includes(`plugboard_webhook_events_total{receiver="shop",result="delivered"} 1`),
  );
  assert.ok(metrics.render().includes(`plugboard_webhook_queued{receiver="shop"} 0`));
});
