import assert from "node:assert/strict";
import { channels } from "../../../plugins/channels.ts";
import { presence } from "../../../plugins/presence.ts";
import { redis } from "../../../plugins/redis.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { Client, serve, until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import { all, startNodes } from "./kit.ts";

const PRESENCE_MS = 5_000;
const ANSWER_MS = 2_000;

/** Starts a node in this process. */
async function startNode(url: string) {
  const shared = redis({ urls: [url], answerMs: ANSWER_MS });
  const { broker, cluster, presenceStore: store } = shared.api;
  const bus = channels({ broker, cluster, defaults: { joinLeave: "all" } });
  const people = presence({ channels: bus.api, store, timeoutMs: PRESENCE_MS });
  const left: string[] = [];
  people.api.listen(({ type, present }) => void (type === "leave" && left.push(present.user)));
  const server = await serve({}, shared, bus, people, channelProtocol(bus.api));
  return Object.assign(server, { bus: bus.api, people: people.api, cluster, left });
}

async function join(url: string, user: string): Promise<Client> {
  const client = await Client.connect(`${url}/t?user=${user}`);
  client.sendJson({ do: "subscribe", channel: "room" });
  assert.equal((await client.nextJson()).subscribed, "room");
  return client;
}

/** Collects the leaves that a client receives. */
function leavesOf(client: Client): string[] {
  const leaves: string[] = [];
  const read = async () => {
    for (;;) {
      const { leave, client: id } = await client.nextJson(60_000);
      if (leave !== undefined) leaves.push(id);
    }
  };
  read().catch(() => {});
  return leaves;
}

testWith(
  "redis",
  "B12 the members of a node that was killed leave, each once, and the others stay",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using first = await startNode(server.url);
    await using second = await startNode(server.url);
    const nodes = await startNodes(1, server.url, { presenceMs: PRESENCE_MS });
    await using _nodes = all(nodes);

    const watching = [await join(first.url, "ann"), await join(second.url, "bob")];
    const dying = await Promise.all(["cat", "dan", "eve"].map((user) => join(nodes[0]!.url, user)));
    const users = async () => (await second.people.list("room")).map(({ user }) => user).sort();
    await until("all members", async () => (await users()).length === 5);
    assert.deepEqual(await users(), ["ann", "bob", "cat", "dan", "eve"]);
    const leaves = watching.map(leavesOf);

    nodes[0]!.child.kill("SIGKILL");
    await until("the leaves", () => leaves.every((each) => each.length === 3), 60_000);
    assert.deepEqual(await users(), ["ann", "bob"]);
    assert.deepEqual(await first.people.count("room"), { clients: 2, users: 2 });
    await dying[0]!.closed;
    // Longer than the timeout: the living stay, and nobody leaves twice.
    const till = performance.now() + PRESENCE_MS * 1.5;
    await until("the end of the timeout", () => performance.now() > till);
    assert.deepEqual(await users(), ["ann", "bob"]);
    for (const each of leaves) assert.equal(new Set(each).size, each.length);
    assert.deepEqual([...first.left, ...second.left].sort(), ["cat", "dan", "eve"]);
    for (const client of watching) await client.close();
  },
);

testWith(
  "redis",
  "B12 control reaches the clients of all nodes, and names those that do not answer",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using first = await startNode(server.url);
    const nodes = await startNodes(2, server.url);
    await using _nodes = all(nodes);
    const urls = [first.url, ...nodes.map(({ url }) => url)];
    const clients = await Promise.all(urls.map((url) => join(url, "ann")));
    const { channels: [room], silent } = await first.bus.stats("room");
    assert.deepEqual([room?.subscribers, silent], [3, []]);
    assert.equal(await first.bus.refresh({ user: "ann" }, { info: '{"x":1}' }), 3);

    nodes[1]!.child.kill("SIGSTOP");
    const listing = await first.bus.stats("room");
    assert.equal(listing.channels[0]!.subscribers, 2);
    assert.equal(listing.silent.length, 1);
    const unanswered = { code: "unavailable", message: `No answer from ${listing.silent[0]}` };
    await assert.rejects(first.bus.unsubscribeClients({ user: "ann" }, "room"), unanswered);
    nodes[1]!.child.kill("SIGCONT");
    await until("an answer", async () => (await first.bus.stats("room")).silent.length === 0, 60_000);

    nodes[1]!.child.kill("SIGKILL");
    await until(
      "the end of the node",
      async () => (await first.bus.stats("room")).silent.length === 0,
      60_000,
    );
    assert.equal(await first.bus.disconnect({ user: "ann" }), 2);
    await Promise.all(clients.map(({ closed }) => closed));

    server.signal("SIGSTOP");
    try {
      await assert.rejects(first.bus.disconnect({ user: "ann" }), { code: "unavailable" });
    } finally {
      server.signal("SIGCONT");
    }
  },
);
