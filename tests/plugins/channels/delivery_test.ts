import assert from "node:assert/strict";
import fc from "fast-check";
import type { PlugboardError } from "../../../core/mod.ts";
import { type Broker, memoryBroker, Payload, type Subscribed } from "../../../plugins/channels.ts";
import { shown } from "../../kit/channel_protocol.ts";
import { type Client, until, within } from "../../kit/mod.ts";
import { everywhere, lateDelivery, persistently } from "../../kit/remote.ts";
import { ask, logged, serveChannels, subscribed } from "./kit.ts";

everywhere("a subscriber gets every publication after its reply, once and in order", async (where) => {
  await using server = await serveChannels(where);
  await using client = await subscribed(server, "news");
  const results = await Promise.all([1, 2, 3].map((n) => server.bus.publish("news", n)));
  assert.deepEqual(results.map(({ offset }) => offset), [1, 2, 3]);
  for (const n of [1, 2, 3]) assert.deepEqual(await client.nextJson(), { pub: "news", offset: n, data: n });
  assert.deepEqual(await ask(client, { do: "unsubscribe", channel: "news" }), { left: true });
  assert.equal((await server.bus.publish("news", 4)).receivers, 0);
}, [lateDelivery]);

everywhere(
  "clients that subscribe and recover while others publish miss nothing and get nothing twice",
  async (where) => {
    await using server = await serveChannels(where, {
      defaults: { historySize: 1000, recoveryLimit: 1000 },
    });
    const sockets: Client[] = [];
    for (let i = 0; i < 6; i++) sockets.push(await server.connect("/t"));
    await until("all clients", () => server.bus.clients.size === sockets.length);
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
              // The calls that a protocol makes, without the delays of sockets.
              const request = { recover: { offset: 1, epoch } };
              pending.push(persistently(() => client.subscribe(channel, request, reply)));
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
  },
  [lateDelivery],
);

everywhere("a client that disconnects while it subscribes leaves nothing behind", async (where) => {
  await using server = await serveChannels(where);
  const client = await server.connect("/t");
  client.sendJson({ do: "subscribe", channel: "gone" });
  await client.close();
  await until(
    "the channel to be dropped",
    () => server.bus.localStats("gone").length === 0 && server.bus.clients.size === 0,
  );
}, [lateDelivery]);

everywhere(
  "B02 recovery fails, and says so, for a position that was trimmed, of another history, or in the future",
  async (where) => {
    await using server = await serveChannels(where, { defaults: { historySize: 3 } });
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
  },
);

everywhere("a recovery beyond the limit fails, it is not cut", async (where) => {
  await using server = await serveChannels(where, { defaults: { recoveryLimit: 2 } });
  const { epoch } = await server.bus.publish("a", 1);
  for (const n of [2, 3, 4]) await server.bus.publish("a", n);
  await using client = await server.connect("/t");
  const two = await ask(client, { do: "subscribe", channel: "a", recover: { offset: 2, epoch } });
  assert.equal(two.recovered, true);
  await ask(client, { do: "unsubscribe", channel: "a" });
  const three = await ask(client, { do: "subscribe", channel: "a", recover: { offset: 1, epoch } });
  assert.deepEqual([three.recovered, three.publications], [false, []]);
});

everywhere("a cache recovery gives the latest publication only, and the client's position", async (where) => {
  await using server = await serveChannels(where, { namespaces: { price: { recoveryMode: "cache" } } });
  await using client = await server.connect("/t");
  const recover = async (position: object) => {
    const reply = await ask(client, { do: "subscribe", channel: "price:x", recover: position });
    await ask(client, { do: "unsubscribe", channel: "price:x" });
    assert.equal(reply.wasRecovering, true);
    return [reply.recovered, reply.publications.map((each: { json: string }) => each.json), reply.position];
  };
  const [recovered, publications, start] = await recover({ offset: 0, epoch: "" });
  const { epoch } = start;
  assert.deepEqual([recovered, publications, start.offset], [false, [], 0], "there is no latest one");
  assert.deepEqual(await recover({ offset: 0, epoch }), [false, [], { offset: 0, epoch }]);

  await server.bus.publish("price:x", 1);
  await server.bus.publish("price:x", 2);
  assert.deepEqual(await recover({ offset: 0, epoch: "" }), [true, ["2"], { offset: 0, epoch }]);
  assert.deepEqual(await recover({ offset: 1, epoch }), [true, ["2"], { offset: 1, epoch }]);
  assert.deepEqual(await recover({ offset: 2, epoch }), [true, [], { offset: 2, epoch }]);
  assert.deepEqual(await recover({ offset: 2, epoch: "other" }), [true, ["2"], { offset: 2, epoch }]);

  await server.bus.removeHistory("price:x");
  assert.deepEqual(await recover({ offset: 1, epoch }), [false, [], { offset: 2, epoch }]);
  assert.deepEqual(await recover({ offset: 2, epoch }), [true, [], { offset: 2, epoch }]);
});

everywhere(
  "after a lost publication, positioned subscribers subscribe again, and others stay",
  async (where) => {
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
    await using server = await serveChannels(where, {
      broker: lossy,
      namespaces: { free: { recovery: "off" } },
    });
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
  },
);

everywhere(
  "S02 a callback that throws, rejects, hangs or blocks delays no client and breaks no other callback",
  async (where) => {
    await using server = await serveChannels(where);
    await using client = await subscribed(server, "a");
    const heard: unknown[] = [];
    server.bus.subscribe("a", () => {
      throw new Error("thrown on purpose");
    });
    server.bus.subscribe("a", () => Promise.reject(new Error("rejected on purpose")));
    server.bus.subscribe("a", () => new Promise(() => {}));
    let blocked = false;
    server.bus.subscribe("a", () => {
      for (const end = performance.now() + 300; performance.now() < end;);
      blocked = true;
    });
    const stop = server.bus.subscribe(
      "a",
      (data, { offset, channel }) => heard.push([data, offset, channel]),
    );
    const { receivers } = await server.bus.publish("a", { x: 1 });
    assert.equal(receivers, 6);
    // Redis answers over another connection than it delivers over, so a callback may come first.
    const inRedis = where.remote && where.name === "";
    if (!inRedis) assert.equal(blocked, false, "the publisher waited for a callback");
    assert.deepEqual((await client.nextJson()).data, { x: 1 });
    await until("the callback", () => heard.length === 1);
    assert.deepEqual(heard, [[{ x: 1 }, 1, "a"]]);
    stop();
    await server.bus.publish("a", 2);
    assert.equal((await client.nextJson()).data, 2);
    for (const failure of ["thrown", "rejected"]) {
      const { plugin, fields } = await logged(server, /callback for a/);
      assert.equal(plugin, "channels");
      assert.match(String(fields?.error), new RegExp(`${failure} on purpose`));
    }
  },
);

everywhere("every callback gets its own copy of the data", async (where) => {
  await using server = await serveChannels(where);
  await using _client = await subscribed(server, "a"); // Now the broker delivers.
  const seen = new Promise((resolve) => {
    server.bus.subscribe("a", (data) => void ((data as { x: number }).x = 99));
    server.bus.subscribe("a", resolve);
  });
  await server.bus.publish("a", { x: 1 });
  assert.deepEqual(await within("the second callback", seen), { x: 1 });
});

everywhere("a payload is stringified once for any number of subscribers", async (where) => {
  await using server = await serveChannels(where);
  const clients = await Promise.all(Array.from({ length: 20 }, () => subscribed(server, "a")));
  let times = 0;
  await server.bus.publish("a", { toJSON: () => ++times });
  for (const client of clients) {
    assert.equal((await client.nextJson()).data, 1);
    await client.close();
  }
  assert.equal(times, 1);
});

everywhere(
  "JSON text reaches subscribers and the history as it was written, without line breaks",
  async (where) => {
    await using server = await serveChannels(where);
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
  },
);

everywhere("a broadcast stringifies once, and each channel has its own result", async (where) => {
  await using server = await serveChannels(where);
  let times = 0;
  const [a, bad, b] = await server.bus.broadcast(["a", "../b", "b"], { toJSON: () => ++times });
  assert.equal(times, 1);
  assert.deepEqual([a!.status, bad!.status, b!.status], ["fulfilled", "rejected", "fulfilled"]);
  assert.equal((await server.bus.history("b")).publications[0]!.payload.text, "1");
  const refused = await server.bus.broadcast(["a", "b"], undefined);
  assert.deepEqual(refused.map(({ status }) => status), ["rejected", "rejected"]);
});

everywhere("publishes and broadcasts store tags, which must be texts", async (where) => {
  await using server = await serveChannels(where);
  await server.bus.publish("a", 1, { tags: { kind: "first" } });
  await server.bus.broadcast(["a", "b"], 2, { tags: { kind: "second" } });
  for (const tags of [{ n: 1 }, { n: null }, ["x"], "text", null] as never[]) {
    await assert.rejects(
      server.bus.publish("a", 3, { tags }),
      (error: PlugboardError) => error.code === "bad_request",
    );
  }
  const kinds = async (channel: string) =>
    (await server.bus.history(channel)).publications.map(({ tags }) => tags?.kind);
  assert.deepEqual([await kinds("a"), await kinds("b")], [["first", "second"], ["second"]]);
});

everywhere("payloads that JSON cannot express are refused", async (where) => {
  await using server = await serveChannels(where);
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  for (const data of [undefined, () => {}, Symbol("x"), 1n, circular]) {
    await assert.rejects(
      server.bus.publish("a", data),
      (error: PlugboardError) => error.code === "bad_request",
    );
  }
});

everywhere("ten thousand subscribes to different channels leave nothing behind", async (where) => {
  await using server = await serveChannels(where);
  await using client = await server.connect("/t");
  await until("the client", () => server.bus.clients.size === 1);
  const [own] = server.bus.clients.values();
  for (let i = 0; i < (where.remote ? 1_000 : 10_000); i++) {
    await persistently(() => own!.subscribe(`channel${i}`, {}, () => {}));
    own!.unsubscribe(`channel${i}`);
  }
  assert.equal(server.bus.localStats().length, 0);
  assert.equal(own!.subscriptions.size, 0);
  await client.close();
});

everywhere(
  "an ephemeral publication reaches current subscribers except one, and is not in the history",
  async (where) => {
    await using server = await serveChannels(where);
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
  },
);
