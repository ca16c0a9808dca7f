/** Webhooks of several nodes: each event is sent once. */

import assert from "node:assert/strict";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { presence } from "../../../plugins/presence.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { redis } from "../../../plugins/redis.ts";
import { webhooks } from "../../../plugins/webhooks.ts";
import { Client, serve, until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import { SECRET, type TestReceiver, webhookReceiver } from "../../plugins/webhooks/kit.ts";
import { all, type NodeProcess, PATIENCE_MS, startNodes, Watcher } from "./kit.ts";

const EVENTS = [
  ...[
    "connect",
    "disconnect",
    "subscribe",
    "unsubscribe",
    "publish",
    "occupied",
    "vacated",
    "presence",
  ] as const,
];

/** Starts a node in this process, with all its events. */
async function startNode(redisUrl: string, url: string) {
  const shared = redis({ urls: [redisUrl] });
  const { broker, cluster, occupancy, presenceStore } = shared.api;
  const access = auth({ anonymous: { permissions: ["read:*", "write:*"] } });
  const bus = channels({ access: access.api, broker, cluster });
  const people = presence({ channels: bus.api, store: presenceStore });
  const parts = { channels: bus.api, access: access.api, presence: people.api };
  const receivers = [{ url, secrets: [SECRET], events: EVENTS, batchMs: 0 }];
  return await serve(
    {},
    shared,
    access,
    bus,
    people,
    webhooks({ ...parts, occupancy, receivers }),
    json({ ...parts, path: "/ws" }),
  );
}

/** Collects the events of a receiver as `type channel`. */
function collect(receiver: TestReceiver): string[] {
  const list: string[] = [];
  receiver.answer = () => {
    for (const { type, action, channel } of receiver.deliveries.take().flatMap(({ events }) => events)) {
      list.push([type, action, channel].filter((each) => each !== undefined).join(" "));
    }
    return new Response(null, { status: 204 });
  };
  return list;
}

/** Subscribes a client of a node. */
async function subscribe(node: NodeProcess, channel: string): Promise<Client> {
  const client = await Client.connect(`${node.url}/t`);
  client.sendJson({ do: "subscribe", channel });
  while ((await client.nextJson()).subscribed !== channel);
  return client;
}

const having = (list: readonly string[], event: string) => list.filter((each) => each === event).length;

testWith("redis", "B12 each event of two nodes is sent once", async (program) => {
  await using server = new RedisProcess(program);
  await server.ready();
  await using receiver = webhookReceiver();
  const received = collect(receiver);
  {
    await using first = await startNode(server.url, receiver.url);
    await using second = await startNode(server.url, receiver.url);
    const clients: Client[] = [];
    for (const node of [first, second, first]) {
      const client = await node.connect("/ws");
      client.sendJson({ type: "subscribe", channel: "room" });
      while ((await client.nextJson()).type !== "subscribed");
      clients.push(client);
    }
    clients[1]!.sendJson({ type: "publish", channel: "room", data: 1 });
    await until("the publication", () => having(received, "publish room") === 1);
    for (const client of clients) await client.close();
    await until(
      "the end",
      () => having(received, "vacated room") === 1 && having(received, "disconnect") === 3,
    );
  }
  assert.deepEqual(
    Object.fromEntries(
      Map.groupBy(received, (each) => each).entries().map(([key, { length }]) => [key, length]),
    ),
    {
      connect: 3,
      "occupied room": 1,
      "subscribe room": 3,
      "presence join room": 3,
      "publish room": 1,
      "unsubscribe room": 3,
      "presence leave room": 3,
      "vacated room": 1,
      disconnect: 3,
    },
  );
});

testWith(
  "redis",
  "B12 a node that stops or dies vacates its channels, each once, and one that goes on occupies them again",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using receiver = webhookReceiver();
    const received = collect(receiver);
    const nodes = await startNodes(3, server.url, { webhook: { url: receiver.url, secret: SECRET } });
    await using _nodes = all(nodes);
    const clients = await Promise.all(nodes.map((node) => subscribe(node, "shared")));
    clients.push(...await Promise.all(nodes.map((node, i) => subscribe(node, `own${i}`))));
    await until("all channels", () => received.filter((each) => each.startsWith("occupied")).length === 4);

    nodes[0]!.child.kill("SIGKILL");
    nodes[1]!.child.kill("SIGSTOP");
    await until("both are vacated", () => {
      return having(received, "vacated own0") === 1 && having(received, "vacated own1") === 1;
    }, PATIENCE_MS);
    nodes[1]!.child.kill("SIGCONT");
    await until("it is occupied again", () => having(received, "occupied own1") === 2, PATIENCE_MS);
    for (const client of clients.filter((_, i) => i % 3 !== 0)) await client.close();
    await until("all are vacated", () => {
      const ends = ["vacated shared", "vacated own2", "vacated own1"];
      return String(ends.map((event) => having(received, event))) === "1,1,2";
    }, PATIENCE_MS);
    const list = received.filter((each) => !each.startsWith("presence")).sort();
    assert.deepEqual(
      list,
      [
        ...["occupied own0", "occupied own1", "occupied own1", "occupied own2", "occupied shared"],
        ...["vacated own0", "vacated own1", "vacated own1", "vacated own2", "vacated shared"],
      ],
    );
  },
);

testWith(
  "redis",
  "B12 after a loss of Redis, channels are neither occupied nor vacated twice",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using receiver = webhookReceiver();
    const received = collect(receiver);
    const nodes = await startNodes(2, server.url, { webhook: { url: receiver.url, secret: SECRET } });
    await using _nodes = all(nodes);
    // They subscribe again, since they cannot recover.
    const watch = (channel: string) =>
      nodes.map(({ url }, i) => new Watcher(`${channel}${channel === "own" ? i : ""}`, [url]));
    const clients = [...watch("shared"), ...watch("own")];
    await using _clients = all(clients);
    await until("all channels", () => received.filter((each) => each.startsWith("occupied")).length === 3);
    await server.kill();
    await clients[2]![Symbol.asyncDispose]();
    server.run();
    await server.ready();
    await clients[0]![Symbol.asyncDispose]();
    await until("the first one", () => having(received, "vacated own0") === 1, PATIENCE_MS);
    assert.equal(having(received, "vacated shared"), 0, "the other node has a subscriber");
    await clients[1]![Symbol.asyncDispose]();
    await clients[3]![Symbol.asyncDispose]();
    await until("the others", () => {
      return having(received, "vacated own1") === 1 && having(received, "vacated shared") === 1;
    }, PATIENCE_MS);
    const list = received.filter((each) => !each.startsWith("presence")).sort();
    assert.deepEqual(list, [
      ...["occupied own0", "occupied own1", "occupied shared"],
      ...["vacated own0", "vacated own1", "vacated shared"],
    ]);
  },
);
