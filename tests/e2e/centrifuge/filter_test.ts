/** Tag filters, numbers of channels, and refused recoveries, over real sockets. */

import assert from "node:assert/strict";
import type { FilterNode, Subscription } from "centrifuge";
import { centrifugeServer, connectIn, heard, sdkClient } from "../../kit/centrifuge.ts";
import { until } from "../../kit/mod.ts";
import { wireTo } from "./proxy.ts";

const allowed = { channels: { defaults: { maxTagFilters: 10, delta: "fossil", compaction: true } } } as const;

const german: FilterNode = { key: "lang", cmp: "eq", val: "de" };

/** Collects the payloads and tags of a subscription. */
function collect(subscription: Subscription): unknown[] {
  const all: unknown[] = [];
  subscription.on("publication", ({ data, tags }) => all.push([data, tags?.["lang"]]));
  return all;
}

Deno.test("B18 a subscriber with a filter gets what matches, with its tags, also after a cut", async () => {
  await using server = await centrifugeServer(allowed);
  await using wire = wireTo(server.url);
  await using client = sdkClient(wire.url);
  const news = client.sdk.newSubscription("news", { tagsFilter: german, minResubscribeDelay: 1 });
  const [got, subscribed] = [collect(news), heard(news, "subscribed")];
  news.subscribe();
  client.sdk.connect();
  await subscribed.next();
  const publish = (n: number) => server.bus.publish("news", n, { tags: { lang: n % 2 === 0 ? "de" : "en" } });
  for (const n of [1, 2, 3]) await publish(n);
  await until("the live one", () => got.length === 1);
  wire.refuse(true);
  wire.cut();
  for (const n of [4, 5, 6, 7]) await publish(n);
  wire.refuse(false);
  assert.equal((await subscribed.next()).recovered, true);
  await publish(8);
  await until("all that match", () => got.length === 4);
  assert.deepEqual(got, [[2, "de"], [4, "de"], [6, "de"], [8, "de"]]);

  news.unsubscribe();
  news.setTagsFilter({ op: "not", nodes: [german] } as FilterNode);
  news.subscribe();
  await subscribed.next();
  for (const n of [9, 10]) await publish(n);
  await until("the other filter's", () => got.length > 4);
  assert.deepEqual(got.slice(4), [[9, "en"]]);
});

Deno.test("B18 a filter that is not allowed or invalid ends the subscription with 107", async () => {
  for (const [options, tagsFilter] of [[{}, german], [allowed, { op: "and", nodes: [] }]] as const) {
    await using server = await centrifugeServer(options);
    await using client = sdkClient(server.url);
    const news = client.sdk.newSubscription("news", { tagsFilter: tagsFilter as FilterNode });
    const unsubscribed = heard(news, "unsubscribed");
    news.subscribe();
    client.sdk.connect();
    assert.equal((await unsubscribed.next()).code, 107);
  }
});

/** Filters that no SDK makes. Some have more levels than a decoder follows. */
const hostile: readonly unknown[] = [
  ...[10, 30, 60, 1_000].map((levels) => {
    let node: unknown = german;
    for (let i = 0; i < levels; i++) node = { op: "not", nodes: [node] };
    return node;
  }),
  { op: "or", nodes: new Array(1_000).fill(german) },
  { key: "a", cmp: "in", vals: new Array(10_000).fill("") },
  { key: "a", cmp: "ct", val: "x".repeat(50_000) },
  { op: "__proto__", nodes: [german] },
];

for (const encoding of ["json", "protobuf"] as const) {
  Deno.test(`B18 a ${encoding} client that asks for a filter and deltas gets the filter`, async () => {
    await using server = await centrifugeServer(allowed);
    await using client = await connectIn(server, encoding);
    client.sendJson({ connect: {}, id: 1 });
    await client.nextJson();
    client.sendJson({ subscribe: { channel: "news", delta: "fossil", tf: german }, id: 2 });
    assert.equal((await client.nextJson()).subscribe.delta, undefined);
    await server.bus.publish("news", { n: 1 }, { tags: { lang: "en" } });
    await server.bus.publish("news", { n: 2 }, { tags: { lang: "de" } });
    const { push } = await client.nextJson();
    assert.deepEqual(push.pub, { data: { n: 2 }, offset: 2, tags: { lang: "de" } });
  });

  Deno.test(`B18 a hostile filter in ${encoding} is refused, and nothing is logged`, async () => {
    await using server = await centrifugeServer(allowed);
    for (const filter of hostile) {
      await using client = await connectIn(server, encoding);
      client.sendJson({ connect: {}, id: 1 });
      await client.nextJson();
      client.sendJson({ subscribe: { channel: "news", tf: filter }, id: 2 });
      const refusal = await client.nextJson().catch(() => client.closed);
      assert.equal(refusal.error?.code ?? refusal.code, refusal.error === undefined ? 3501 : 107);
    }
    assert.equal(server.bus.localStats("news").length, 0);
    assert.equal(server.test.log.size, 0);
  });

  Deno.test(`B18 a ${encoding} client with flag 2 gets error 112 in place of an incomplete recovery`, async () => {
    await using server = await centrifugeServer(allowed);
    const { epoch } = await server.bus.publish("news", 1);
    await using client = await connectIn(server, encoding);
    const subscribe = (id: number, position: object) =>
      client.sendJson({ subscribe: { channel: "news", recover: true, flag: 3, ...position }, id });
    client.sendJson({ connect: {}, id: 1 });
    await client.nextJson();
    for (const position of [{ offset: 9, epoch }, { offset: 1, epoch: "_" }]) {
      subscribe(2, position);
      assert.equal((await client.nextJson()).error.code, 112);
    }
    subscribe(3, { offset: 1, epoch });
    const { subscribe: { recovered, id } } = await client.nextJson();
    // The SDK's Protobuf build does not find channels by their number.
    assert.deepEqual([recovered, id !== undefined], [true, encoding === "json"]);
    await server.bus.publish("news", 2);
    const { push } = await client.nextJson();
    assert.deepEqual(push, {
      ...(id === undefined ? { channel: "news" } : { id }),
      pub: { data: 2, offset: 2 },
    });
  });
}

Deno.test("B18 the SDK follows channels by their numbers, and learns of joins and the end by name", async () => {
  await using server = await centrifugeServer(allowed);
  await using client = sdkClient(server.url);
  const rooms = ["a", "b", "c"].map((name) => client.sdk.newSubscription(name, { joinLeave: true }));
  const events = rooms.map((room) => ({
    got: collect(room),
    subscribed: heard(room, "subscribed"),
    joined: heard(room, "join"),
    ended: heard(room, "unsubscribed"),
  }));
  for (const room of rooms) room.subscribe();
  client.sdk.connect();
  for (const { subscribed, joined } of events) {
    await subscribed.next();
    await joined.next();
  }
  for (const [i, { channel }] of rooms.entries()) {
    const { receivers } = await server.bus.publish(channel, i);
    assert.equal(receivers, 1);
  }
  await until("all publications", () => events.every(({ got }) => got.length === 1));
  assert.deepEqual(events.map(({ got }) => got), [[[0, undefined]], [[1, undefined]], [[2, undefined]]]);
  await server.bus.unsubscribeClients({ client: [...server.bus.clients.keys()][0]! }, "b");
  assert.equal((await events[1]!.ended.next()).code, 2000);
  await server.bus.publish("c", "more");
  await until("the channel that is left", () => events[2]!.got.length === 2);
});
