/** Deltas with the official SDK, in both of its builds and in an older version. */

import assert from "node:assert/strict";
import { Centrifuge, type Subscription, type SubscriptionOptions } from "centrifuge";
import { Centrifuge as ProtobufSdk } from "centrifuge/build/protobuf";
import { Centrifuge as Centrifuge574 } from "npm:centrifuge@5.7.4";
import type { NamespaceOptions } from "../../../plugins/channels.ts";
import { centrifugeServer, heard, sdkClient } from "../../kit/centrifuge.ts";
import { until } from "../../kit/mod.ts";
import { wireTo } from "./proxy.ts";

const builds = {
  JSON: Centrifuge,
  Protobuf: ProtobufSdk as unknown as typeof Centrifuge,
  "JSON, version 5.7.4": Centrifuge574 as unknown as typeof Centrifuge,
};

const withDeltas = (options: NamespaceOptions = {}) =>
  centrifugeServer({
    channels: { defaults: { delta: "fossil", historySize: 10_000, recoveryLimit: 10_000, ...options } },
  });

/** A document with characters of one to four bytes, one of which changes. */
const document = (n: number) => ({
  title: "Straße → 😀",
  paragraphs: Array.from({ length: 8 }, (_, i) => `Absatz ${i}: ${"größer ".repeat(8)}`),
  mood: "😀😁🐀"[Symbol.iterator]().drop(n % 3).next().value,
  n,
});

/** Collects the payloads of a subscription; those of the Protobuf build are bytes. */
function collect(subscription: Subscription): unknown[] {
  const all: unknown[] = [];
  subscription.on("publication", ({ data }) => {
    all.push(data instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(data)) : data);
  });
  return all;
}

for (const [name, Sdk] of Object.entries(builds)) {
  Deno.test(`B18 the SDK in ${name} gets the first publication in full, and deltas of the others`, async () => {
    await using server = await withDeltas();
    await using client = sdkClient(server.url, "websocket", {}, Sdk);
    await using other = sdkClient(server.url, "websocket", {}, Sdk);
    const doc = client.sdk.newSubscription("doc", { delta: "fossil" });
    const plain = other.sdk.newSubscription("doc");
    const [got, expected] = [collect(doc), collect(plain)];
    const subscribed = [heard(doc, "subscribed"), heard(plain, "subscribed")];
    for (const each of [doc, plain]) each.subscribe();
    for (const { sdk } of [client, other]) sdk.connect();
    for (const each of subscribed) await each.next();
    for (let n = 1; n <= 30; n++) await server.bus.publish("doc", document(n));
    await until("all publications", () => got.length === 30 && expected.length === 30);
    assert.deepEqual(got, Array.from({ length: 30 }, (_, i) => document(i + 1)));
    assert.deepEqual(expected, got);
    if (doc.deltaStats === undefined) return; // Version 5.7 has none.
    const { numFullPayloads, numDeltaPayloads, bytesReceived, bytesDecoded } = doc.deltaStats();
    assert.deepEqual([numFullPayloads, numDeltaPayloads], [1, 29]);
    assert.ok(bytesReceived < bytesDecoded / 8, `${bytesReceived} of ${bytesDecoded} bytes`);
  });

  Deno.test(`B18 the SDK in ${name} recovers with deltas after cuts, and misses nothing`, async () => {
    await using server = await withDeltas();
    await using wire = wireTo(server.url);
    await using client = sdkClient(wire.url, "websocket", {}, Sdk);
    const doc = client.sdk.newSubscription("doc", { delta: "fossil", minResubscribeDelay: 1 });
    const subscribed = heard(doc, "subscribed");
    const got = collect(doc);
    doc.subscribe();
    client.sdk.connect();
    await subscribed.next();
    let published = 0;
    const publish = () => server.bus.publish("doc", document(++published));
    for (let cut = 0; cut < 4; cut++) {
      for (let i = 0; i < 5; i++) await publish();
      wire.refuse(true);
      wire.cut();
      // None, one and several are missed.
      for (let i = 0; i < cut * 2; i++) await publish();
      wire.refuse(false);
      const { recovered } = await subscribed.next();
      assert.equal(recovered, true);
    }
    await publish();
    await until("all publications", () => got.length === published);
    assert.deepEqual(got, Array.from({ length: published }, (_, i) => document(i + 1)));
    if (doc.deltaStats === undefined) return;
    const { numFullPayloads, numDeltaPayloads } = doc.deltaStats();
    assert.ok(numFullPayloads <= 5, `${numFullPayloads} in full`);
    assert.equal(numFullPayloads + numDeltaPayloads, published);
  });

  Deno.test(`B18 the SDK in ${name} gets everything in full where deltas are not allowed`, async () => {
    await using server = await withDeltas({ delta: "off" });
    await using client = sdkClient(server.url, "websocket", {}, Sdk);
    const doc = client.sdk.newSubscription("doc", { delta: "fossil" });
    const subscribed = heard(doc, "subscribed");
    const got = collect(doc);
    doc.subscribe();
    client.sdk.connect();
    await subscribed.next();
    for (let n = 1; n <= 3; n++) await server.bus.publish("doc", document(n));
    await until("all publications", () => got.length === 3);
    assert.deepEqual(got, [1, 2, 3].map(document));
  });
}

Deno.test("B18 publications without history, other documents and clients of both builds do not disturb deltas", async () => {
  await using server = await withDeltas();
  await using json = sdkClient(server.url);
  await using protobuf = sdkClient(server.url, "websocket", {}, builds.Protobuf);
  const subscriptions = [json, protobuf].map(({ sdk }) => sdk.newSubscription("doc", { delta: "fossil" }));
  const all = subscriptions.map(collect);
  const subscribed = subscriptions.map((each) => heard(each, "subscribed"));
  for (const each of subscriptions) each.subscribe();
  for (const { sdk } of [json, protobuf]) sdk.connect();
  for (const each of subscribed) await each.next();
  const sent: unknown[] = [];
  for (let n = 0; n < 60; n++) {
    const data = n % 7 === 3 ? n : n % 11 === 5 ? { other: "x".repeat(n) } : document(n);
    sent.push(data);
    await server.bus.publish("doc", data, { ephemeral: n % 5 === 0 });
  }
  await until("all publications", () => all.every((got) => got.length === sent.length));
  for (const got of all) assert.deepEqual(got, sent);
  for (const each of subscriptions) assert.ok(each.deltaStats().numDeltaPayloads > 20);
});

Deno.test("B18 a client with getState goes on from its state with deltas, and fetches it again if it cannot", async () => {
  await using server = await withDeltas({ historySize: 5 });
  for (let n = 1; n <= 20; n++) await server.bus.publish("doc", document(n));
  const { epoch } = (await server.bus.history("doc", { limit: 0 })).top;
  await using client = sdkClient(server.url);
  const states = [3, 17];
  const options: Partial<SubscriptionOptions> = {
    delta: "fossil",
    minResubscribeDelay: 1,
    getState: () => Promise.resolve({ offset: states.shift()!, epoch }),
  };
  const doc = client.sdk.newSubscription("doc", options);
  const got = collect(doc);
  const subscribed = heard(doc, "subscribed");
  doc.subscribe();
  client.sdk.connect();
  assert.equal((await subscribed.next()).recovered, true);
  await server.bus.publish("doc", document(21));
  await until("all publications", () => got.length === 4);
  assert.deepEqual([states, got], [[], [18, 19, 20, 21].map(document)]);
  const { numFullPayloads, numDeltaPayloads } = doc.deltaStats();
  assert.deepEqual([numFullPayloads, numDeltaPayloads], [1, 3]);
});
