/** Clients that reconnect recover everything that they missed, in order and once, or learn that they cannot. */

import assert from "node:assert/strict";
import type { Subscription } from "centrifuge";
import { type Broker, type BrokerEvents, memoryBroker } from "../../../plugins/channels.ts";
import { freePort, until } from "../../kit/mod.ts";
import { centrifugeServer, heard, sdkClient, ways } from "../../kit/centrifuge.ts";
import { wireTo } from "./proxy.ts";

/** Collects the payloads of a subscription. */
function collect(subscription: Subscription): number[] {
  const all: number[] = [];
  subscription.on("publication", ({ data }) => all.push(data));
  return all;
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
const plenty = { channels: { defaults: { historySize: 40_000, recoveryLimit: 40_000 } } };

for (const way of ways) {
  Deno.test(`B02 a client that is disconnected over ${way} during 1,000 publications gets all of them`, async () => {
    await using server = await centrifugeServer(plenty);
    await using wire = wireTo(server.url);
    await using client = sdkClient(wire.url, way);
    const news = client.sdk.newSubscription("news", { minResubscribeDelay: 1 });
    const subscribed = heard(news, "subscribed");
    const got = collect(news);
    news.subscribe();
    client.sdk.connect();
    await subscribed.next();
    let published = 0;
    let cuts = 0;
    await until("five cuts", () => {
      // At full speed; the client has turns in between, and is disconnected as soon as it has reconnected.
      for (let i = 0; i < 20 && published < 40_000; i++) server.bus.publish("news", ++published);
      if (cuts < 5 && subscribed.size === cuts) {
        wire.cut();
        cuts++;
      }
      return cuts === 5 && published >= 1_000;
    });
    await until("all publications", () => got.length >= published && subscribed.size === 5);
    assert.deepEqual(got, numbers(published));
    const again = subscribed.take();
    assert.equal(again.length, 5);
    assert.ok(again.every(({ wasRecovering, recovered }) => wasRecovering && recovered));
  });

  Deno.test(`B02 a client that was disconnected for too long over ${way} learns that it missed publications`, async () => {
    await using server = await centrifugeServer({ channels: { defaults: { historySize: 10 } } });
    await using wire = wireTo(server.url);
    await using client = sdkClient(wire.url, way);
    const news = client.sdk.newSubscription("news");
    const subscribed = heard(news, "subscribed");
    const got = collect(news);
    news.subscribe();
    client.sdk.connect();
    await subscribed.next();
    wire.refuse(true);
    wire.cut();
    for (const n of numbers(11)) await server.bus.publish("news", n);
    wire.refuse(false);
    const { wasRecovering, recovered, streamPosition } = await subscribed.next();
    assert.deepEqual([wasRecovering, recovered, streamPosition?.offset], [true, false, 11]);
    await server.bus.publish("news", 12);
    await until("the next publication", () => got.length > 0);
    assert.deepEqual(got, [12]);
  });
}

Deno.test("B02 a client learns that the history has another epoch", async () => {
  const port = freePort();
  const first = await centrifugeServer({ server: { port } });
  await using wire = wireTo(first.url);
  await using client = sdkClient(wire.url);
  const news = client.sdk.newSubscription("news");
  const subscribed = heard(news, "subscribed");
  news.subscribe();
  client.sdk.connect();
  const { streamPosition: before } = await subscribed.next();
  wire.refuse(true);
  await first[Symbol.asyncDispose]();
  await using second = await centrifugeServer({ server: { port } });
  await second.bus.publish("news", 1);
  wire.refuse(false);
  const { recovered, wasRecovering, streamPosition } = await subscribed.next();
  assert.deepEqual([recovered, wasRecovering], [false, true]);
  assert.notEqual(streamPosition?.epoch, before?.epoch);
});

Deno.test("B02 a client with getState fetches its state again if it cannot recover", async () => {
  await using server = await centrifugeServer({ channels: { defaults: { historySize: 5 } } });
  for (const n of numbers(20)) await server.bus.publish("doc", n);
  await using client = sdkClient(server.url);
  const { epoch } = (await server.bus.history("doc", { limit: 0 })).top;
  const states = [3, 18];
  const asked: number[] = [];
  const doc = client.sdk.newSubscription("doc", {
    minResubscribeDelay: 1,
    getState: () => {
      const offset = states.shift()!;
      asked.push(offset);
      return Promise.resolve({ offset, epoch });
    },
  });
  const got = collect(doc);
  const subscribed = heard(doc, "subscribed");
  doc.subscribe();
  client.sdk.connect();
  assert.equal((await subscribed.next()).recovered, true);
  assert.deepEqual([asked, got], [[3, 18], [19, 20]]);
});

Deno.test("B02 in cache mode a client recovers only the latest publication", async () => {
  await using server = await centrifugeServer({ channels: { defaults: { recoveryMode: "cache" } } });
  await using wire = wireTo(server.url);
  await using client = sdkClient(wire.url);
  const price = client.sdk.newSubscription("price");
  const [got, subscribed] = [collect(price), heard(price, "subscribed")];
  price.subscribe();
  client.sdk.connect();
  await subscribed.next();
  wire.refuse(true);
  wire.cut();
  for (const n of numbers(3)) await server.bus.publish("price", n);
  wire.refuse(false);
  const { recovered, hasRecoveredPublications } = await subscribed.next();
  assert.deepEqual([recovered, hasRecoveredPublications, got], [true, true, [3]]);
});

Deno.test("B02 a client that may have missed publications subscribes again and recovers", async () => {
  let events: BrokerEvents | undefined;
  const memory = memoryBroker();
  const broker: Broker = {
    ...memory,
    start(given, clock) {
      events = given;
      return memory.start!(given, clock);
    },
  };
  await using server = await centrifugeServer({ channels: { broker } });
  await using client = sdkClient(server.url);
  const news = client.sdk.newSubscription("news", { minResubscribeDelay: 1 });
  const [got, subscribed, subscribing] = [
    collect(news),
    heard(news, "subscribed"),
    heard(news, "subscribing"),
  ];
  news.subscribe();
  client.sdk.connect();
  await Promise.all([subscribed.next(), subscribing.next()]);
  events!.interrupted("news");
  await server.bus.publish("news", 1);
  assert.equal((await subscribing.next()).code, 2500);
  assert.equal((await subscribed.next()).recovered, true);
  assert.deepEqual(got, [1]);
});
