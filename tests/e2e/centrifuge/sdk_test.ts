/** The features of the official SDK, over each transport. */

import assert from "node:assert/strict";
import { closeCode, type Message } from "../../../core/mod.ts";
import { type Broker, type BrokerEvents, memoryBroker } from "../../../plugins/channels.ts";
import { RpcError } from "../../../plugins/rpc.ts";
import {
  centrifugeServer,
  fakeAccess,
  heard,
  rowOf,
  sdkClient,
  transportOf,
  type Way,
  ways,
} from "../../kit/centrifuge.ts";
import { Inbox, until } from "../../kit/mod.ts";

/** The same test for each way to connect. */
function overEach(promise: string, run: (way: Way) => Promise<void>): void {
  for (const way of ways) Deno.test(`${rowOf(way)} the SDK over ${way} ${promise}`, () => run(way));
}

overEach("connects, subscribes, publishes and unsubscribes", async (way) => {
  await using server = await centrifugeServer();
  await using client = sdkClient(server.url, way);
  const { sdk } = client;
  const connected = heard(sdk, "connected");
  const news = sdk.newSubscription("news");
  const [subscribed, publications] = [heard(news, "subscribed"), heard(news, "publication")];
  news.subscribe();
  sdk.connect();
  assert.equal((await connected.next()).transport, transportOf(way));
  const { positioned, recoverable, wasRecovering, streamPosition } = await subscribed.next();
  assert.deepEqual([positioned, recoverable, wasRecovering, streamPosition?.offset], [true, true, false, 0]);
  await news.publish({ text: "grüße 🌍\n" });
  const { data, offset, info } = await publications.next();
  assert.deepEqual([data, offset], [{ text: "grüße 🌍\n" }, 1]);
  assert.deepEqual([info?.user, server.bus.clientOf(info!.client) !== undefined], ["", true]);
  const left = heard(news, "unsubscribed");
  news.unsubscribe();
  await left.next();
  await sdk.publish("news", 2);
  assert.equal((await server.bus.history("news")).top.offset, 2);
  assert.equal(publications.size, 0);
});

overEach("gets presence, joins and leaves", async (way) => {
  const access = fakeAccess({ a: { user: "alice" }, b: { user: "bob" } });
  await using server = await centrifugeServer({ centrifuge: { access } });
  await using alice = sdkClient(server.url, way, { token: "a" });
  const room = alice.sdk.newSubscription("room", { joinLeave: true });
  const [subscribed, joins, leaves] = [heard(room, "subscribed"), heard(room, "join"), heard(room, "leave")];
  room.subscribe();
  alice.sdk.connect();
  await subscribed.next();
  assert.equal((await joins.next()).info.user, "alice");
  const bob = sdkClient(server.url, way, { token: "b" });
  const his = bob.sdk.newSubscription("room");
  his.subscribe();
  bob.sdk.connect();
  await his.ready();
  const { info } = await joins.next();
  assert.deepEqual([info.user, info.connInfo], ["bob", { name: "bob" }]);
  const { clients } = await room.presence();
  assert.deepEqual(Object.values(clients).map(({ user }) => user).sort(), ["alice", "bob"]);
  assert.deepEqual(clients[info.client]?.connInfo, { name: "bob" });
  assert.deepEqual(await room.presenceStats(), { numClients: 2, numUsers: 2 });
  await bob[Symbol.asyncDispose]();
  assert.equal((await leaves.next()).info.client, info.client);
  assert.deepEqual(await room.presenceStats(), { numClients: 1, numUsers: 1 });
});

overEach("reads the history from any position, in both directions", async (way) => {
  await using server = await centrifugeServer();
  for (let n = 1; n <= 5; n++) await server.bus.publish("log", n);
  await using client = sdkClient(server.url, way);
  const { sdk } = client;
  sdk.connect();
  const read = async (options: Parameters<typeof sdk.history>[1]) => {
    const { publications, offset } = await sdk.history("log", options);
    return [publications.map(({ data }) => data), offset];
  };
  const { epoch } = (await server.bus.history("log", { limit: 0 })).top;
  assert.deepEqual(await read({ limit: 0 }), [[], 5]);
  assert.deepEqual(await read({ limit: -1 }), [[1, 2, 3, 4, 5], 5]);
  assert.deepEqual(await read({ limit: 2 }), [[1, 2], 5]);
  assert.deepEqual(await read({ limit: 2, reverse: true }), [[5, 4], 5]);
  assert.deepEqual(await read({ limit: 2, since: { offset: 2, epoch } }), [[3, 4], 5]);
  assert.deepEqual(await read({ limit: 9, since: { offset: 4, epoch }, reverse: true }), [[3, 2, 1], 5]);
  await assert.rejects(sdk.history("log", { limit: 1, since: { offset: 2, epoch: "other" } }), { code: 112 });
  await assert.rejects(sdk.history("log", { limit: 1, since: { offset: 0, epoch }, reverse: true }), {
    code: 107,
  });
});

overEach("calls methods and gets their errors", async (way) => {
  await using server = await centrifugeServer({ rpcTimeoutMs: 20 });
  const { methods } = server;
  methods.define("add", {
    args: (value) => {
      if (!Array.isArray(value)) throw new Error("numbers are needed");
      return value as number[];
    },
    run: (all) => all.reduce((sum, each) => sum + each, 0),
  });
  methods.define("nothing", { run: () => undefined });
  methods.define("sold_out", {
    run: () => {
      throw new RpcError(409, "sold out");
    },
  });
  methods.define("secret", { allow: () => false, run: () => 1 });
  methods.define("broken", { run: () => Promise.reject(new Error("the password is 1234")) });
  methods.define("hangs", { run: () => new Promise(() => {}) });
  methods.define("endless", { run: () => 1n });
  await using client = sdkClient(server.url, way);
  const { sdk } = client;
  sdk.connect();
  assert.deepEqual(await sdk.rpc("add", [1, 2, 3]), { data: 6 });
  assert.deepEqual(await sdk.rpc("nothing", null), { data: undefined });
  await assert.rejects(sdk.rpc("add", 1), { code: 107, message: "numbers are needed" });
  await assert.rejects(sdk.rpc("subtract", []), { code: 104 });
  await assert.rejects(sdk.rpc("sold_out", []), { code: 409, message: "sold out" });
  await assert.rejects(sdk.rpc("secret", []), { code: 103 });
  await assert.rejects(sdk.rpc("hangs", []), { code: 100, temporary: true });
  await assert.rejects(
    sdk.rpc("broken", []),
    ({ code, message }) => code === 100 && !message.includes("1234"),
  );
  await assert.rejects(sdk.rpc("endless", []), { code: 100 });
});

overEach("does not wait for its own slow call", async (way) => {
  await using server = await centrifugeServer();
  const slow = Promise.withResolvers<string>();
  server.methods.define("slow", { run: () => slow.promise });
  await using client = sdkClient(server.url, way);
  const { sdk } = client;
  sdk.connect();
  const called = sdk.rpc("slow", null);
  await sdk.publish("news", 1);
  slow.resolve("done");
  assert.deepEqual(await called, { data: "done" });
});

overEach("sends and receives messages without a channel", async (way) => {
  const received = new Inbox<unknown>();
  await using server = await centrifugeServer({ centrifuge: { onMessage: (data) => received.put(data) } });
  await using client = sdkClient(server.url, way);
  const messages = heard(client.sdk, "message");
  const connected = heard(client.sdk, "connected");
  client.sdk.connect();
  const { client: id } = await connected.next();
  await client.sdk.send({ hello: "server" });
  assert.deepEqual(await received.next(), { hello: "server" });
  assert.ok(server.protocol.send(server.bus.clientOf(id)!.conn, { hello: "client" }));
  assert.deepEqual((await messages.next()).data, { hello: "client" });
});

overEach("sends a batch of commands in one frame", async (way) => {
  const frames: number[] = [];
  const counter = { name: "counter", message: (_: unknown, { length }: Message) => void frames.push(length) };
  await using server = await centrifugeServer({ plugins: [counter] });
  await using client = sdkClient(server.url, way);
  const { sdk } = client;
  sdk.connect();
  await sdk.ready();
  frames.length = 0;
  sdk.startBatching();
  const published = [1, 2, 3].map((n) => sdk.publish("news", n));
  sdk.stopBatching();
  await Promise.all(published);
  const { publications } = await server.bus.history("news");
  assert.deepEqual(publications.map(({ payload }) => payload.value()), [1, 2, 3]);
  assert.equal(frames.length, 1);
});

overEach("publishes the latest of what is too fast, where the namespace asks for it", async (way) => {
  await using server = await centrifugeServer({
    channels: { namespaces: { cursors: { publishDebounceMs: 100 } } },
  });
  await using client = sdkClient(server.url, way);
  const { sdk } = client;
  const cursors = sdk.newSubscription("cursors:a");
  cursors.subscribe();
  sdk.connect();
  await cursors.ready();
  const published = heard(cursors, "publication");
  await Promise.all([1, 2, 3, 4].map((n) => cursors.publish(n)));
  assert.deepEqual([(await published.next()).data, (await published.next()).data], [1, 4]);
});

overEach("gets the code of each error", async (way) => {
  await using server = await centrifugeServer({
    channels: {
      onlyKnown: true,
      maxChannelsPerClient: 2,
      namespaces: {
        closed: { subscribe: "nobody", publish: "nobody", presenceAccess: "nobody", historyAccess: "nobody" },
        bare: { historySize: 0, presence: false },
      },
    },
  });
  await using client = sdkClient(server.url, way);
  const { sdk } = client;
  sdk.connect();
  const subscribe = async (channel: string) => {
    const subscription = sdk.newSubscription(channel);
    const ended = heard(subscription, "unsubscribed");
    subscription.subscribe();
    return (await ended.next()).code;
  };
  assert.equal(await subscribe("closed:a"), 103);
  assert.equal(await subscribe("unknown:a"), 102);
  assert.equal(await subscribe("a/../b"), 107);
  await assert.rejects(sdk.publish("closed:a", 1), { code: 103 });
  await assert.rejects(sdk.publish("unknown:a", 1), { code: 102 });
  await assert.rejects(sdk.publish("x".repeat(256), 1), { code: 107 });
  await assert.rejects(sdk.presence("closed:a"), { code: 103 });
  await assert.rejects(sdk.presence("bare:a"), { code: 108 });
  await assert.rejects(sdk.presenceStats("bare:a"), { code: 108 });
  await assert.rejects(sdk.history("closed:a", { limit: 1 }), { code: 103 });
  await assert.rejects(sdk.history("bare:a", { limit: 1 }), { code: 108 });
  for (const channel of ["a", "b"]) {
    const subscription = sdk.newSubscription(channel);
    subscription.subscribe();
    await subscription.ready();
  }
  assert.equal(await subscribe("c"), 106);
});

overEach("learns what the server does with its subscriptions and its connection", async (way) => {
  const access = fakeAccess({ a: { user: "alice" } });
  await using server = await centrifugeServer({ centrifuge: { access } });
  await using client = sdkClient(server.url, way, { token: "a" });
  const { sdk } = client;
  const [added, removed, connecting] = [
    heard(sdk, "subscribed"),
    heard(sdk, "unsubscribed"),
    heard(sdk, "connecting"),
  ];
  const [publications, gone, connected] = [
    heard(sdk, "publication"),
    heard(sdk, "disconnected"),
    heard(sdk, "connected"),
  ];
  const own = sdk.newSubscription("own");
  own.subscribe();
  sdk.connect();
  await Promise.all([own.ready(), connected.next(), connecting.next()]);
  const alice = { user: "alice" };

  assert.equal(await server.bus.subscribeClients(alice, "given"), 1);
  const { channel, recoverable } = await added.next();
  assert.deepEqual([channel, recoverable], ["given", true]);
  await server.bus.publish("given", 1);
  assert.deepEqual((await publications.next()).data, 1);
  server.bus.unsubscribeClients(alice, "given");
  assert.equal((await removed.next()).channel, "given");

  const ended = heard(own, "unsubscribed");
  server.bus.unsubscribeClients(alice, "own");
  const { code, reason } = await ended.next();
  assert.deepEqual([code, reason], [2000, "server unsubscribe"]);

  server.bus.disconnect(alice, closeCode(4000, "move over"));
  const again = await connecting.next();
  assert.deepEqual([again.code, again.reason], [4000, "move over"]);
  await connected.next();
  server.bus.disconnect(alice);
  const { code: last, reason: why } = await gone.next();
  assert.deepEqual([last, why], [3503, "force disconnect"]);
});

overEach("gets the server's subscriptions when it connects, and recovers them", async (way) => {
  const access = fakeAccess({ a: { user: "alice", channels: ["company"] } });
  await using server = await centrifugeServer({ centrifuge: { access, personalChannels: true } });
  await using client = sdkClient(server.url, way, { token: "a" });
  const { sdk } = client;
  const [subscribed, publications] = [heard(sdk, "subscribed"), heard(sdk, "publication")];
  sdk.connect();
  const both = [await subscribed.next(), await subscribed.next()];
  assert.deepEqual(both.map(({ channel }) => channel).sort(), ["#alice", "company"]);
  await server.bus.publish("#alice", "you");
  await server.bus.publish("company", "all");
  const first = [await publications.next(), await publications.next()];
  assert.deepEqual(first.map(({ channel, data }) => [channel, data]), [["#alice", "you"], [
    "company",
    "all",
  ]]);

  sdk.disconnect();
  await server.bus.publish("company", "while you were away");
  sdk.connect();
  const again = [await subscribed.next(), await subscribed.next()];
  assert.ok(again.every(({ wasRecovering, recovered }) => wasRecovering && recovered));
  const { channel, data, offset } = await publications.next();
  assert.deepEqual([channel, data, offset], ["company", "while you were away", 2]);
});

overEach("keeps what the app has subscribed it to when it reconnects, and recovers it", async (way) => {
  const access = fakeAccess({ a: { user: "alice" } });
  const memory = memoryBroker();
  let events: BrokerEvents;
  const broker: Broker = { ...memory, start: (given, host) => memory.start?.(events = given, host) };
  await using server = await centrifugeServer({
    channels: { broker, namespaces: { ask: { recovery: "request" }, closed: { subscribe: "nobody" } } },
    centrifuge: { access },
  });
  await using client = sdkClient(server.url, way, { token: "a" });
  const { sdk } = client;
  const [subscribed, ended] = [heard(sdk, "subscribed"), heard(sdk, "unsubscribed")];
  const publications = heard(sdk, "publication");
  sdk.connect();
  await sdk.ready();
  const alice = { user: "alice" };
  for (const channel of ["given", "ask:given", "closed:given"]) {
    await server.bus.subscribeClients(alice, channel);
    assert.equal((await subscribed.next()).channel, channel);
    await server.bus.publish(channel, "before");
    await publications.next();
  }

  sdk.disconnect();
  // The runtime may miss that the reader of an HTTP stream has left. Then the next ping finds out, after 25 s.
  await until("the end of the connection", () => server.bus.clients.size === 0, 60_000);
  for (const channel of ["given", "ask:given", "closed:given"]) {
    await server.bus.publish(channel, "meanwhile");
  }
  sdk.connect();
  const again = [await subscribed.next(), await subscribed.next()];
  assert.deepEqual(again.map(({ channel, recovered }) => [channel, recovered]).sort(), [
    ["ask:given", true],
    ["given", true],
  ]);
  const missed = [await publications.next(), await publications.next()];
  assert.deepEqual(missed.map(({ channel, data, offset }) => [channel, data, offset]).sort(), [
    ["ask:given", "meanwhile", 2],
    ["given", "meanwhile", 2],
  ]);
  assert.equal((await ended.next()).channel, "closed:given", "the client may not subscribe to it");

  // It is the server's subscription as before: a gap makes the client reconnect.
  const connecting = heard(sdk, "connecting");
  events!.interrupted("given");
  assert.equal((await connecting.next()).code, 3010);
  assert.ok((await subscribed.next()).recovered);
  assert.ok((await subscribed.next()).recovered);
});

overEach("signs in by token, and fetches another when it has expired", async (way) => {
  const access = fakeAccess({
    good: { user: "alice" },
    sub: { user: "alice", grant: { chanInfo: `{"role":"editor"}`, data: `{"since":1}` } },
  });
  await using server = await centrifugeServer({ centrifuge: { access } });
  const tokens = ["expired", "good"];
  await using client = sdkClient(server.url, way, { getToken: () => Promise.resolve(tokens.shift()!) });
  const { sdk } = client;
  const subscriptionTokens = ["expired", "sub"];
  const doc = sdk.newSubscription("$doc", {
    joinLeave: true,
    minResubscribeDelay: 1,
    getToken: () => Promise.resolve(subscriptionTokens.shift()!),
  });
  const [joins, subscribed] = [heard(doc, "join"), heard(doc, "subscribed")];
  doc.subscribe();
  sdk.connect();
  assert.deepEqual((await subscribed.next()).data, { since: 1 });
  const { info } = await joins.next();
  assert.deepEqual([info.user, info.chanInfo], ["alice", { role: "editor" }]);
  assert.deepEqual([tokens, subscriptionTokens], [[], []]);
});

overEach("does not reconnect after an invalid token", async (way) => {
  const access = fakeAccess({ good: { user: "alice" }, other: { user: "bob" } });
  await using server = await centrifugeServer({ centrifuge: { access } });
  for (const [token, code] of [["bad", 3500], ["", 101]] as const) {
    await using client = sdkClient(server.url, way, { token });
    const gone = heard(client.sdk, "disconnected");
    client.sdk.connect();
    assert.equal((await gone.next()).code, code);
  }
  await using client = sdkClient(server.url, way, { token: "good" });
  const { sdk } = client;
  const gone = heard(sdk, "disconnected");
  const bad = sdk.newSubscription("$a", { token: "bad" });
  const refused = heard(bad, "unsubscribed");
  bad.subscribe();
  sdk.connect();
  assert.equal((await refused.next()).code, 103);
  sdk.newSubscription("$b", { token: "other" }).subscribe();
  assert.equal((await gone.next()).code, 3500);
});

overEach("renews its sign-in and its subscriptions before they expire", async (way) => {
  const access = fakeAccess({
    short: { user: "alice", expiresInMs: 1_000 },
    long: { user: "alice", expiresInMs: 60_000 },
    sub: { user: "alice", grant: { expiresInMs: 1_000, chanInfo: `"reader"` } },
    sub2: { user: "alice", grant: { expiresInMs: 60_000, chanInfo: `"editor"` } },
  });
  await using server = await centrifugeServer({ centrifuge: { access } });
  const [asked, askedSub] = [new Inbox<void>(), new Inbox<void>()];
  await using client = sdkClient(server.url, way, {
    token: "short",
    getToken() {
      asked.put();
      return Promise.resolve("long");
    },
  });
  const { sdk } = client;
  const doc = sdk.newSubscription("$doc", {
    token: "sub",
    getToken() {
      askedSub.put();
      return Promise.resolve("sub2");
    },
  });
  const [gone, connecting, ended] = [
    heard(sdk, "disconnected"),
    heard(sdk, "connecting"),
    heard(doc, "unsubscribed"),
  ];
  doc.subscribe();
  sdk.connect();
  await Promise.all([asked.next(), askedSub.next()]);
  const renewed = (expiresAt: number | undefined) => expiresAt! > Date.now() + 30_000;
  const [{ conn: { id } } = assert.fail()] = server.bus.clients.values();
  await until("both renewals", () => {
    const { identity, subscriptions } = server.bus.clientOf(id)!;
    return renewed(identity.expiresAt) && renewed(subscriptions.get("$doc")!.expiresAt);
  });
  assert.deepEqual([gone.size, connecting.size, ended.size], [0, 1, 0]);

  // Others see what the new tokens say.
  const published = heard(doc, "publication");
  await doc.publish(1);
  assert.equal((await published.next()).info?.chanInfo, "editor");
  const { clients } = await doc.presence();
  assert.equal(clients[id]!.chanInfo, "editor");
});
