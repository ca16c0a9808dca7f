import assert from "node:assert/strict";
import { channels } from "../../../plugins/channels.ts";
import { presence } from "../../../plugins/presence.ts";
import { redis } from "../../../plugins/redis.ts";
import { partOf, parts } from "../../../plugins/redis/slots.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { Client, serve, until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { APPEND } from "../../kit/redis.ts";
import { RedisClusterProcess } from "../../kit/redis_cluster.ts";
import { PATIENCE_MS } from "./kit.ts";
import { told, underFault } from "./under_fault.ts";

const { slots, names } = placed();

/** A channel on each of the primaries, and its slot. */
function placed() {
  const all = parts();
  const slots = [0, 12, 25].map((part) => all[part]!.slot);
  const names = [0, 12, 25].map((part) => {
    for (let i = 0;; i++) if (partOf(`room${i}`) === part) return `room${i}`;
  });
  return { slots, names };
}

testWith(
  "redis",
  "B12 two nodes over a Redis Cluster share publications, histories, presence and control",
  async (program) => {
    await using cluster = await RedisClusterProcess.start(program);
    // One node knows one of the primaries, the other one all.
    await using first = await startNode(cluster.primaries[1]!.server.url);
    await using second = await startNode(cluster.url);

    const [from, to] = cluster.primaries;
    const present = { client: "c", user: "bob", data: undefined, joinedAt: 1, lastSeenAt: 1 };
    const put = async () => await first.store.put(names[0]!, present, 60_000);
    await put();
    // A script that found a part of the keys would lose the member.
    const unavailable = () => assert.rejects(put, { code: "unavailable" });
    await cluster.moveSlot(slots[0]!, from!, to!, unavailable);
    for (const { store } of [first, second]) {
      await until("the part", () => answers(() => store.count(names[0]!)));
    }
    assert.equal((await second.store.count(names[0]!)).clients, 1);
    await first.store.remove(names[0]!, "c");

    for (const name of names) {
      const clients = await Promise.all([first, second].map(({ url }) => join(url, name)));
      const { offset } = await first.bus.publish(name, "hello");
      for (const client of clients) assert.equal((await nextWith(client, "pub")).data, "hello");
      const { publications } = await second.bus.history(name, { limit: 10 });
      assert.deepEqual(publications.map((each) => [each.offset, each.payload.text]), [[offset, '"hello"']]);
      assert.equal((await second.people.list(name)).length, 2);
      assert.equal((await first.bus.stats(name)).channels[0]?.subscribers, 2);
    }
    const clients = await Promise.all([first, second].map(({ url }) => join(url, names[0]!)));
    assert.equal(await second.bus.disconnect({ user: "ann" }), 8);
    await Promise.all(clients.map(({ closed }) => closed));
  },
);

testWith("redis", "B12 a slot of a Redis Cluster moves under load: nothing is lost", async (program) => {
  await using cluster = await RedisClusterProcess.start(program, { args: APPEND });
  const [from, to] = cluster.primaries;
  const watchers = await underFault(cluster.url, async ({ more, publishers }) => {
    const before = publishers.map(({ errors }) => errors);
    await cluster.moveSlot(slots[0]!, from!, to!, async () => {
      const failed = () => publishers.slice(0, 3).every(({ errors }, i) => errors > before[i]!);
      await until("errors while the slot is moved", failed, PATIENCE_MS);
    });
    await more();
    await cluster.moveSlot(slots[0]!, to!, from!);
  }, names.slice(0, 2));
  assert.equal(told(watchers), 0);
});

testWith(
  "redis",
  "B12 a primary of a Redis Cluster is killed, and its replica takes its place: all recover or are told",
  async (program) => {
    await using cluster = await RedisClusterProcess.start(program, { replicas: 1 });
    const watchers = await underFault(cluster.url, async ({ publishers }) => {
      const before = publishers.map(({ errors }) => errors);
      await cluster.primaries[0]!.server.kill();
      const failed = () => publishers.slice(0, 3).every(({ errors }, i) => errors > before[i]!);
      await until("errors", failed, PATIENCE_MS);
    }, names.slice(0, 2));
    assert.equal(told(watchers), watchers.length / 2, "those of the channel that may have lost something");
  },
);

testWith(
  "redis",
  "B12 a Redis Cluster without a quorum: publishers get errors, and all recover when it is back",
  async (program) => {
    await using cluster = await RedisClusterProcess.start(program, { args: APPEND });
    const lost = cluster.primaries.slice(1).map(({ server }) => server);
    const watchers = await underFault(cluster.url, async ({ publishers }) => {
      for (const server of lost) await server.kill();
      const before = publishers.map(({ errors }) => errors);
      const failed = () => publishers.every(({ errors }, i) => errors > before[i]! + 10);
      await until("errors, also of the primary that is there", failed, PATIENCE_MS);
      for (const server of lost) server.run();
    }, names.slice(0, 2));
    assert.equal(told(watchers), 0);
  },
);

/** Starts a node in this process. */
async function startNode(url: string) {
  const shared = redis({ urls: [url] });
  const { broker, cluster, presenceStore: store } = shared.api;
  const bus = channels({ broker, cluster, defaults: { joinLeave: "all", historySize: 10 } });
  const people = presence({ channels: bus.api, store });
  const server = await serve({}, shared, bus, people, channelProtocol(bus.api));
  return Object.assign(server, { bus: bus.api, people: people.api, store });
}

async function answers(call: () => unknown): Promise<boolean> {
  try {
    await call();
    return true;
  } catch {
    return false;
  }
}

async function join(url: string, channel: string): Promise<Client> {
  const client = await Client.connect(`${url}/t?user=ann`);
  client.sendJson({ do: "subscribe", channel });
  await nextWith(client, "subscribed");
  return client;
}

// deno-lint-ignore no-explicit-any -- of the test's protocol
async function nextWith(client: Client, field: string): Promise<any> {
  for (;;) {
    const message = await client.nextJson();
    if (message[field] !== undefined) return message;
  }
}
