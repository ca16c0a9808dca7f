import assert from "node:assert/strict";
import fc from "fast-check";
import { closeCode, PlugboardError } from "../../../core/mod.ts";
import {
  type Broker,
  type Channels,
  channels,
  type ChannelsOptions,
  memoryBroker,
  Payload,
  type Subscribed,
} from "../../../plugins/channels.ts";
import { delayed, late } from "../../kit/broker_suite.ts";
import { channelProtocol, shown } from "../../kit/channel_protocol.ts";
import { type Client, serve, type TestServer, until, within } from "../../kit/mod.ts";

type Bus = TestServer & { bus: Channels };

async function serveChannels(options: ChannelsOptions = {}): Promise<Bus> {
  const plugin = channels(options);
  const server = await serve({}, plugin, channelProtocol(plugin.api));
  return Object.assign(server, { bus: plugin.api });
}

async function subscribed(server: Bus, channel: string, request: object = {}, user = ""): Promise<Client> {
  const client = await server.connect(`/t?user=${user}`);
  client.sendJson({ do: "subscribe", channel, ...request });
  const reply = await client.nextJson();
  assert.equal(reply.subscribed, channel);
  return client;
}

async function ask(client: Client, command: object) {
  client.sendJson(command);
  return await client.nextJson();
}

const brokers: [string, () => Broker][] = [
  ["a memory", memoryBroker],
  ["a slow", () => delayed(memoryBroker())],
  ["a late", () => late(memoryBroker())],
];

for (const [kind, make] of brokers) {
  Deno.test(`with ${kind} broker, a subscriber gets what is published from its reply on, once and in order`, async () => {
    await using server = await serveChannels({ broker: make() });
    await using client = await subscribed(server, "news");
    const results = await Promise.all([1, 2, 3].map((n) => server.bus.publish("news", n)));
    assert.deepEqual(results.map(({ offset }) => offset), [1, 2, 3]);
    for (const n of [1, 2, 3]) assert.deepEqual(await client.nextJson(), { pub: "news", offset: n, data: n });
    assert.deepEqual(await ask(client, { do: "unsubscribe", channel: "news" }), { left: true });
    assert.equal((await server.bus.publish("news", 4)).receivers, 0);
  });

  Deno.test(`with ${kind} broker, subscribing and recovering race with publishing and nobody misses or doubles one`, async () => {
    await using server = await serveChannels({
      broker: make(),
      defaults: { historySize: 1000, recoveryLimit: 1000 },
    });
    const sockets: Client[] = [];
    for (let i = 0; i < 6; i++) sockets.push(await server.connect("/t"));
    await until("all to be clients", () => server.bus.clients.size === sockets.length);
    const clients = [...server.bus.clients.values()];
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("publish", "publish", "subscribe", "turn", "tick"), { maxLength: 60 }),
        async (steps) => {
          const channel = `race${round++}`;
          const { epoch } = await server.bus.publish(channel, 0);
          let total = 1;
          const pending: Promise<unknown>[] = [];
          let subscribers = 0;
          for (const step of steps) {
            if (step === "publish") pending.push(server.bus.publish(channel, total++));
            else if (step === "turn") await new Promise((resolve) => setImmediate(resolve));
            else if (step === "tick") await Promise.resolve();
            else if (subscribers < clients.length) {
              const client = clients[subscribers++]!;
              const reply = (result: Subscribed) => client.conn.send(JSON.stringify(shown(result)));
              // The calls a protocol makes, without the way through a socket that would space them out.
              pending.push(client.subscribe(channel, { recover: { offset: 1, epoch } }, reply));
            }
          }
          await Promise.all(pending);
          await server.bus.publish(channel, total++);
          const everything = Array.from({ length: total - 1 }, (_, i) => i + 1);
          await Promise.all(
            clients.slice(0, subscribers).map(async (client, i) => {
              const socket = sockets[i]!;
              const reply = await socket.nextJson();
              assert.equal(reply.recovered, true);
              const seen: number[] = reply.publications.map((each: { json: string }) => Number(each.json));
              while (seen.length < everything.length) seen.push((await socket.nextJson()).data);
              assert.deepEqual(seen, everything);
              client.unsubscribe(channel);
            }),
          );
        },
      ),
      { numRuns: 200 },
    );
    for (const socket of sockets) await socket.close();
  });

  Deno.test(`with ${kind} broker, a client that left before its subscription took effect leaves nothing behind`, async () => {
    await using server = await serveChannels({ broker: make() });
    const client = await server.connect("/t");
    client.sendJson({ do: "subscribe", channel: "gone" });
    await client.close();
    await until(
      "the channel to be dropped",
      () => server.bus.localStats("gone").length === 0 && server.bus.clients.size === 0,
    );
  });
}

Deno.test("B02 recovery is impossible, and said so, when the log was trimmed, is another, or is not reached yet", async () => {
  await using server = await serveChannels({ defaults: { historySize: 3 } });
  const { epoch } = await server.bus.publish("a", 1);
  for (const n of [2, 3, 4, 5, 6]) await server.bus.publish("a", n);
  const recover = async (position: object) => {
    await using client = await server.connect("/t");
    const { recovered, wasRecovering, publications, position: at } = await ask(client, {
      do: "subscribe",
      channel: "a",
      recover: position,
    });
    assert.equal(wasRecovering, true);
    return { recovered, count: publications.length, offset: at.offset };
  };
  assert.deepEqual(await recover({ offset: 3, epoch }), { recovered: true, count: 3, offset: 3 });
  assert.deepEqual(await recover({ offset: 6, epoch }), { recovered: true, count: 0, offset: 6 });
  assert.deepEqual(await recover({ offset: 3, epoch: "" }), { recovered: true, count: 3, offset: 3 });
  assert.deepEqual(await recover({ offset: 2, epoch }), { recovered: false, count: 0, offset: 6 });
  assert.deepEqual(await recover({ offset: 9, epoch }), { recovered: false, count: 0, offset: 6 });
  assert.deepEqual(await recover({ offset: 3, epoch: "other" }), { recovered: false, count: 0, offset: 6 });
});

Deno.test("recovery of more than the limit is refused rather than cut", async () => {
  await using server = await serveChannels({ defaults: { recoveryLimit: 2 } });
  const { epoch } = await server.bus.publish("a", 1);
  for (const n of [2, 3, 4]) await server.bus.publish("a", n);
  await using client = await server.connect("/t");
  const two = await ask(client, { do: "subscribe", channel: "a", recover: { offset: 2, epoch } });
  assert.equal(two.recovered, true);
  await ask(client, { do: "unsubscribe", channel: "a" });
  const three = await ask(client, { do: "subscribe", channel: "a", recover: { offset: 1, epoch } });
  assert.deepEqual([three.recovered, three.publications], [false, []]);
});

Deno.test("cache recovery gives the latest publication alone", async () => {
  await using server = await serveChannels({ namespaces: { price: { recoveryMode: "cache" } } });
  const { epoch } = await server.bus.publish("price:x", 1);
  await server.bus.publish("price:x", 2);
  await using client = await server.connect("/t");
  const behind = await ask(client, {
    do: "subscribe",
    channel: "price:x",
    recover: { offset: 0, epoch: "" },
  });
  assert.deepEqual([behind.recovered, behind.publications.map((each: { json: string }) => each.json)], [
    true,
    ["2"],
  ]);
  await ask(client, { do: "unsubscribe", channel: "price:x" });
  const there = await ask(client, { do: "subscribe", channel: "price:x", recover: { offset: 2, epoch } });
  assert.deepEqual([there.recovered, there.publications], [true, []]);
});

Deno.test("a publication lost between broker and node has positioned subscribers subscribe again, and nobody else", async () => {
  const broker = memoryBroker();
  let lose = false;
  const lossy: Broker = {
    ...broker,
    start: (events, host) =>
      broker.start?.({
        ...events,
        presence: events.presence.bind(events),
        interrupted: events.interrupted.bind(events),
        publication: (...args) => lose ? 0 : events.publication(...args),
      }, host),
  };
  await using server = await serveChannels({ broker: lossy, namespaces: { free: { recovery: "off" } } });
  await using positioned = await subscribed(server, "a");
  await using free = await subscribed(server, "free:a");
  for (const channel of ["a", "free:a"]) {
    lose = true;
    await server.bus.publish(channel, 1);
    lose = false;
    await server.bus.publish(channel, 2);
  }
  assert.deepEqual(await positioned.nextJson(), { unsubscribed: "a", code: 2500 });
  assert.deepEqual(await free.nextJson(), { pub: "free:a", offset: 2, data: 2 });
});

Deno.test("S02 a callback that throws, rejects, hangs or blocks delays nobody and breaks nobody", async () => {
  await using server = await serveChannels();
  await using client = await subscribed(server, "a");
  const heard: unknown[] = [];
  server.bus.subscribe("a", () => {
    throw new Error("thrown on purpose");
  });
  server.bus.subscribe("a", () => Promise.reject(new Error("rejected on purpose")));
  server.bus.subscribe("a", () => new Promise(() => {}));
  server.bus.subscribe("a", () => {
    for (const end = performance.now() + 300; performance.now() < end;);
  });
  const stop = server.bus.subscribe("a", (data, { offset, channel }) => heard.push([data, offset, channel]));
  const start = performance.now();
  const { receivers } = await server.bus.publish("a", { x: 1 });
  assert.equal(receivers, 6);
  assert.ok(performance.now() - start < 200, "the publisher waited for a callback");
  assert.deepEqual((await client.nextJson()).data, { x: 1 });
  await until("the callback", () => heard.length === 1);
  assert.deepEqual(heard, [[{ x: 1 }, 1, "a"]]);
  stop();
  await server.bus.publish("a", 2);
  assert.equal((await client.nextJson()).data, 2);
  const failures = [await server.log.next(), await server.log.next()];
  assert.ok(
    failures.every(({ plugin, message }) => plugin === "channels" && message.includes("callback for a")),
  );
});

Deno.test("what one callback does to the data is no concern of the next", async () => {
  await using server = await serveChannels();
  const seen = new Promise((resolve) => {
    server.bus.subscribe("a", (data) => void ((data as { x: number }).x = 99));
    server.bus.subscribe("a", resolve);
  });
  await server.bus.publish("a", { x: 1 });
  assert.deepEqual(await within("the second callback", seen), { x: 1 });
});

Deno.test("a payload is stringified once for any number of subscribers", async () => {
  await using server = await serveChannels();
  const clients = await Promise.all(Array.from({ length: 20 }, () => subscribed(server, "a")));
  let times = 0;
  await server.bus.publish("a", { toJSON: () => ++times });
  for (const client of clients) {
    assert.equal((await client.nextJson()).data, 1);
    await client.close();
  }
  assert.equal(times, 1);
});

Deno.test("JSON text reaches subscribers and the history as it was written, without line breaks", async () => {
  await using server = await serveChannels();
  await using client = await subscribed(server, "a");
  const heard: unknown[] = [];
  server.bus.subscribe("a", (data) => heard.push(data));
  const written = '{"n":\n12345678901234567890,\r\n"x":[1.0,1e400,"\u2028"],"__proto__":1,"x":2}';
  await server.bus.publish("a", Payload.fromJson(written));
  const text = written.replaceAll(/[\r\n]/g, "");
  assert.equal(await client.next(), `{"pub":"a","offset":1,"data":${text}}`);
  assert.equal((await server.bus.history("a")).publications[0]!.payload.text, text);
  await until("the callback", () => heard.length === 1);
  assert.equal(JSON.stringify(heard), JSON.stringify([JSON.parse(text)]));
});

Deno.test("payloads without a JSON form are refused", async () => {
  await using server = await serveChannels();
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  for (const data of [undefined, () => {}, Symbol("x"), 1n, circular]) {
    await assert.rejects(
      server.bus.publish("a", data),
      (error: PlugboardError) => error.code === "bad_request",
    );
  }
});

Deno.test("S11 a namespace may have longer names than the others", async () => {
  await using server = await serveChannels({ namespaces: { long: { maxNameBytes: 300 } } });
  const name = (namespace: string, bytes: number) => `${namespace}:`.padEnd(bytes, "x");
  for (
    const [channel, fits] of [
      [name("long", 300), true],
      [name("long", 301), false],
      [name("other", 255), true],
      [name("other", 256), false],
    ] as const
  ) {
    const published = server.bus.publish(channel, 1);
    if (fits) await published;
    else await assert.rejects(published, { code: "bad_request" }, channel);
  }
});

Deno.test("S11 channel names with path tricks, control characters or too many bytes are refused everywhere", async () => {
  await using server = await serveChannels();
  await using client = await server.connect("/t");
  const bad = [
    "",
    "../x",
    "a/../b",
    "/a",
    "a//b",
    "a/",
    "a\\b",
    "a\nb",
    "a\u0000",
    "\u007f",
    "\ud800",
    "x".repeat(256),
    "é".repeat(128),
    "q?\n",
  ];
  for (const channel of bad) {
    await assert.rejects(server.bus.publish(channel, 1), {
      code: "bad_request",
      message: "Invalid channel name format",
    }, JSON.stringify(channel));
    assert.throws(() => server.bus.subscribe(channel, () => {}));
    assert.deepEqual(await ask(client, { do: "subscribe", channel }), { error: "bad_request" });
  }
  for (
    const channel of [
      "a",
      "user:alice:notifications",
      "a/b/c",
      "x".repeat(255),
      "é".repeat(127),
      "live:q?a=..",
      "日本",
    ]
  ) {
    assert.equal((await server.bus.publish(channel, 1)).offset, 1);
  }
});

Deno.test("only listed namespaces exist where that is wanted", async () => {
  await using server = await serveChannels({ onlyKnown: true, namespaces: { chat: { historySize: 0 } } });
  assert.equal((await server.bus.publish("chat:a", 1)).offset, 0);
  await assert.rejects(server.bus.publish("other:a", 1), { code: "unknown_channel" });
  await assert.rejects(server.bus.history("chat:a"), { code: "not_available" });
});

Deno.test("bad options are told in one sentence", () => {
  const sentence = (options: ChannelsOptions) => {
    try {
      channels(options);
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(
    sentence({ maxChannelsPerClient: 0 }),
    'Cannot start channels: "maxChannelsPerClient" must be a positive integer, got 0',
  );
  assert.equal(
    sentence({ namespaces: { "orders:eu": {} } }),
    'Cannot start channels: "namespaces" must be named by what stands before a channel\'s colon, got "orders:eu"',
  );
  assert.equal(
    sentence({ namespaces: { chat: { historySize: -1 } } }),
    'Cannot start the channel namespace "chat": "historySize" must be zero or a positive integer, got -1',
  );
  assert.equal(
    sentence({ namespaces: { chat: { publish: "everyone" as "anyone" } } }),
    'Cannot start the channel namespace "chat": "publish" must be one of nobody, anyone, signed_in, subscriber, permission, got "everyone"',
  );
});

Deno.test("a client has a limited number of channels, and each only once", async () => {
  await using server = await serveChannels({ maxChannelsPerClient: 2 });
  await using client = await subscribed(server, "a");
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "a" }), { error: "already_subscribed" });
  assert.equal((await ask(client, { do: "subscribe", channel: "b" })).subscribed, "b");
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "c" }), { error: "limit_exceeded" });
  assert.deepEqual(await ask(client, { do: "unsubscribe", channel: "c" }), { left: false });
});

Deno.test("channels for named users are for them alone", async () => {
  await using server = await serveChannels();
  for (
    const [user, channel, allowed] of [
      ["42", "#42", true],
      ["42", "dialog#41,42", true],
      ["4", "#42", false],
      ["", "#", false],
      ["42", "#42,", true],
      ["42", "a#42#43", false],
    ] as const
  ) {
    await using client = await server.connect(`/t?user=${user}`);
    const reply = await ask(client, { do: "subscribe", channel });
    assert.equal(reply.subscribed === channel, allowed, `${user} in ${channel}`);
    if (!allowed) assert.deepEqual(reply, { error: "permission_denied" });
  }
});

Deno.test("a channel that begins with $ needs a grant", async () => {
  await using server = await serveChannels();
  await using client = await server.connect("/t");
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "$a" }), { error: "permission_denied" });
  assert.equal((await ask(client, { do: "subscribe", channel: "$a", grant: {} })).subscribed, "$a");
});

Deno.test("joins and leaves reach those who asked, the joiner included, the leaver not", async () => {
  await using server = await serveChannels();
  await using first = await subscribed(server, "a", { joinLeave: true });
  const self = await first.nextJson();
  assert.equal(self.join, "a");
  await using deaf = await subscribed(server, "a");
  const joined = await first.nextJson();
  assert.equal(joined.join, "a");
  const second = await subscribed(server, "a", { joinLeave: true });
  const [third, own] = [await first.nextJson(), await second.nextJson()];
  assert.equal(third.client, own.client);
  await second.close();
  assert.deepEqual(await first.nextJson(), { leave: "a", client: third.client });
  await server.bus.publish("a", 1);
  assert.equal((await deaf.nextJson()).pub, "a", "nothing of joins and leaves before it");
});

Deno.test("joins and leaves are announced no more in a channel beyond the limit", async () => {
  await using server = await serveChannels({ defaults: { joinLeave: "all", joinLeaveLimit: 2 } });
  await using first = await subscribed(server, "a");
  assert.ok((await first.nextJson()).join);
  await using _second = await subscribed(server, "a");
  assert.ok((await first.nextJson()).join);
  await using _third = await subscribed(server, "a");
  await server.bus.publish("a", 1);
  assert.equal((await first.nextJson()).pub, "a");
});

Deno.test("the server subscribes, unsubscribes and disconnects users and clients", async () => {
  await using server = await serveChannels();
  await using one = await server.connect("/t?user=ann");
  await using two = await server.connect("/t?user=ann");
  await using other = await server.connect("/t?user=bob");
  await until("all to be clients", () => server.bus.clients.size === 3);
  assert.equal(await server.bus.subscribeClients({ user: "ann" }, "a"), 2);
  for (const client of [one, two]) assert.equal((await client.nextJson()).pushed, "a");
  assert.equal((await server.bus.publish("a", 1)).receivers, 2);
  for (const client of [one, two]) assert.equal((await client.nextJson()).data, 1);
  assert.equal(await server.bus.unsubscribeClients({ user: "ann" }, "a"), 2);
  for (const client of [one, two]) {
    assert.deepEqual(await client.nextJson(), { unsubscribed: "a", code: 2000 });
  }
  assert.equal(await server.bus.disconnect({ user: "bob" }), 1);
  assert.equal((await other.closed).code, 3503);
  assert.equal(await server.bus.disconnect({ user: "ann" }, closeCode(4001, "bye")), 2);
  assert.deepEqual(await one.closed, { code: 4001, reason: "bye" });
  assert.equal(await server.bus.disconnect({ user: "nobody" }), 0);
});

Deno.test("an identity that is replaced by a lesser one loses the subscriptions it may not have", async () => {
  await using server = await serveChannels();
  await using client = await subscribed(server, "secret", {}, "ann");
  const [ann] = server.bus.clients.values();
  ann!.identify({ ...ann!.identity, can: (_, what) => what !== "secret" });
  assert.deepEqual(await client.nextJson(), { unsubscribed: "secret", code: 2000 });
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "secret" }), { error: "permission_denied" });
  assert.equal((await ask(client, { do: "subscribe", channel: "open" })).subscribed, "open");
});

Deno.test("extensions take part: they refuse, add data, and hear of everything", async () => {
  await using server = await serveChannels();
  const heard: string[] = [];
  const end = server.bus.extend({
    name: "test",
    beforeSubscribe(_client, channel) {
      if (channel === "closed") throw new PlugboardError("permission_denied", "closed today");
      return { data: () => ({ json: '{"hello":1}' }) };
    },
    beforePublish({ channel, draft: { payload } }) {
      if (payload.text === "666") throw new PlugboardError("bad_request", "no");
      heard.push(`before ${channel}`);
    },
    published: ({ channel }, { offset }) => void heard.push(`published ${channel} ${offset}`),
    delivered: ({ name }, _publication, receivers) => void heard.push(`delivered ${name} ${receivers}`),
    occupied: (channel) => void heard.push(`occupied ${channel}`),
    joined: (_client, { channel }) => void heard.push(`joined ${channel}`),
    left(_client, { channel }) {
      heard.push(`left ${channel}`);
      throw new Error("thrown on purpose");
    },
    vacated: (channel) => void heard.push(`vacated ${channel}`),
  });
  await using client = await server.connect("/t");
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "closed" }), { error: "permission_denied" });
  assert.equal((await ask(client, { do: "subscribe", channel: "a" })).data, '{"hello":1}');
  await assert.rejects(server.bus.publish("a", 666));
  await server.bus.publish("a", 1);
  await client.nextJson();
  await ask(client, { do: "unsubscribe", channel: "a" });
  end();
  await server.bus.publish("a", 2);
  assert.deepEqual(heard, [
    "occupied a",
    "joined a",
    "before a",
    "delivered a 1",
    "published a 1",
    "left a",
    "vacated a",
  ]);
  assert.match((await server.log.next()).message, /left of test failed/);
});

Deno.test("S06 channel statistics tell the truth", async () => {
  await using server = await serveChannels();
  await using _client = await subscribed(server, "a");
  const stop = server.bus.subscribe("a", () => {});
  await server.bus.publish("a", 1);
  const { channels: [stats] } = await server.bus.stats("a");
  assert.deepEqual([stats!.subscribers, stats!.callbacks, stats!.publications], [1, 1, 1]);
  assert.ok(Math.abs(Date.now() - stats!.lastPublishedAt!) < 10_000);
  stop();
  assert.deepEqual(await server.bus.stats("unknown"), { channels: [], silent: [] });
  assert.deepEqual((await server.bus.stats()).channels.map(({ channel }) => channel), ["a"]);
});

Deno.test("ten thousand subscribes to different channels leave nothing behind", async () => {
  // In-process, through the same path as clients take; socket round trips would prove no more.
  await using server = await serveChannels();
  await using client = await server.connect("/t");
  await until("the client", () => server.bus.clients.size === 1);
  const [own] = server.bus.clients.values();
  for (let i = 0; i < 10_000; i++) {
    await own!.subscribe(`channel${i}`, {}, () => {});
    own!.unsubscribe(`channel${i}`);
  }
  assert.equal(server.bus.localStats().length, 0);
  assert.equal(own!.subscriptions.size, 0);
  await client.close();
});

Deno.test("an ephemeral publication reaches those who are there, but for one, and no log", async () => {
  await using server = await serveChannels();
  await using one = await subscribed(server, "a");
  await using two = await subscribed(server, "a");
  const [first] = server.bus.clients.keys();
  const { offset, receivers } = await server.bus.publish("a", 1, { ephemeral: true, except: first! });
  assert.deepEqual([offset, receivers], [0, 1]);
  await server.bus.publish("a", 2);
  assert.equal((await one.nextJson()).data, 2);
  assert.equal((await two.nextJson()).data, 1);
  assert.equal((await server.bus.history("a")).publications.length, 1);
  await assert.rejects(server.bus.publish("a", 3, { except: first! }), { code: "bad_request" });
});

Deno.test("reading the log or who is there can be refused by an extension", async () => {
  await using server = await serveChannels();
  await using client = await subscribed(server, "a");
  const asked: string[] = [];
  server.bus.extend({
    name: "test",
    beforeRead(_client, action, channel) {
      asked.push(`${action} ${channel}`);
      throw new PlugboardError("too_many_requests", "not now");
    },
  });
  assert.deepEqual(await ask(client, { do: "history", channel: "a" }), { error: "too_many_requests" });
  assert.deepEqual(asked, ["history a"]);
});
