import assert from "node:assert/strict";
import { closeCode } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { presence } from "../../../plugins/presence.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { serve, until } from "../../kit/mod.ts";
import {
  Network,
  persistent,
  remoteBrokers,
  remoteClusters,
  remotePresenceStore,
  type TestCluster,
} from "../../kit/remote.ts";
import { ask } from "./kit.ts";

/** Two servers with one broker, one presence store and one cluster. */
async function serveNodes(network = new Network()) {
  const [brokers, clusters, store] = [
    remoteBrokers(2, network),
    remoteClusters(2, network),
    remotePresenceStore(network),
  ];
  const [first, second] = await Promise.all([0, 1].map(async (i) => {
    const bus = channels({ broker: brokers[i]!, cluster: clusters[i]! });
    const people = presence({ channels: bus.api, store });
    const server = await serve({}, bus, people, channelProtocol(bus.api));
    return Object.assign(server, { bus: bus.api, people: persistent(people.api), cluster: clusters[i]! });
  }));
  return {
    first: first!,
    second: second!,
    async [Symbol.asyncDispose]() {
      await first![Symbol.asyncDispose]();
      await second![Symbol.asyncDispose]();
    },
  };
}

const reliable = () => new Network({ failures: 0 });

Deno.test("control reaches the clients of all nodes, and counts them", async () => {
  await using nodes = await serveNodes(reliable());
  const { first, second } = nodes;
  await using one = await first.connect("/t?user=ann");
  await using two = await second.connect("/t?user=ann");
  await until("both clients", () => first.bus.clients.size === 1 && second.bus.clients.size === 1);

  assert.equal(await first.bus.subscribeClients({ user: "ann" }, "a", { data: "[\n1]" }), 2);
  for (const client of [one, two]) {
    const { pushed, data } = await client.nextJson();
    assert.deepEqual([pushed, data], ["a", "[1]"]);
  }
  assert.equal(await second.bus.subscribeClients({ user: "ann" }, "a"), 2, "they are subscribed already");
  await second.bus.publish("a", 1);
  for (const client of [one, two]) assert.equal((await client.nextJson()).data, 1);

  const { channels: [stats], silent } = await second.bus.stats("a");
  assert.deepEqual([stats!.subscribers, stats!.publications, silent], [2, 1, []]);
  assert.equal(second.bus.localStats("a")[0]!.subscribers, 1);

  assert.equal(await second.bus.refresh({ user: "ann" }, { info: '{\n"name":"Ann"}' }), 2);
  for (const { bus } of [first, second]) {
    assert.deepEqual(Array.from(bus.clients.values(), ({ info }) => info.connInfo), ['{"name":"Ann"}']);
  }
  assert.equal(await second.bus.closeChannel("a", { code: 2500, reason: "closed" }), 2);
  for (const client of [one, two]) {
    assert.deepEqual(await client.nextJson(), { unsubscribed: "a", code: 2500 });
  }
  assert.equal(await first.bus.subscribeClients({ user: "ann" }, "b"), 2);
  for (const client of [one, two]) assert.equal((await client.nextJson()).pushed, "b");
  assert.equal(await first.bus.unsubscribeClients({ user: "ann" }), 2);
  for (const client of [one, two]) {
    assert.deepEqual(await client.nextJson(), { unsubscribed: "b", code: 2000 });
  }
  assert.equal(await first.bus.disconnect({ user: "ann" }, closeCode(4001, "bye")), 2);
  for (const client of [one, two]) assert.deepEqual(await client.closed, { code: 4001, reason: "bye" });
});

Deno.test("a connection on another node is found by its id", async () => {
  await using nodes = await serveNodes(reliable());
  await using client = await nodes.second.connect("/t");
  await until("the client", () => nodes.second.bus.clients.size === 1);
  const [id] = nodes.second.bus.clients.keys();
  assert.equal(await nodes.first.bus.disconnect({ client: id! }), 1);
  assert.equal((await client.closed).code, 3503);
});

Deno.test("a count names the nodes that do not answer, and a listing has those of the others", async () => {
  await using nodes = await serveNodes(reliable());
  const { first, second } = nodes;
  await using client = await first.connect("/t?user=ann");
  await ask(client, { do: "subscribe", channel: "a" });
  second.cluster.silent = true;
  await assert.rejects(first.bus.disconnect({ user: "bob" }), {
    code: "unavailable",
    message: "No answer from node2",
  });
  const { channels, silent } = await first.bus.stats();
  assert.deepEqual([channels.map(({ channel }) => channel), silent], [["a"], ["node2"]]);
});

Deno.test("errors of another node reach the caller with their code", async () => {
  await using nodes = await serveNodes(reliable());
  await using _client = await nodes.second.connect("/t?user=ann");
  await until("the client", () => nodes.second.bus.clients.size === 1);
  const { bus } = nodes.first;
  await assert.rejects(bus.subscribeClients({ user: "ann" }, "../a"), {
    code: "bad_request",
    message: "Invalid channel name format",
  });
  await assert.rejects(bus.subscribeClients({ user: "ann" }, "a", { data: "1\n2" }), { code: "bad_request" });
  await assert.rejects(bus.refresh({ user: "ann" }, { info: "no JSON" }), { code: "bad_request" });
});

Deno.test("presence is that of all nodes, also where the network loses calls", async () => {
  await using nodes = await serveNodes();
  const { first, second } = nodes;
  await using one = await first.connect("/t?user=ann");
  const two = await second.connect("/t?user=bob");
  for (const client of [one, two]) await ask(client, { do: "subscribe", channel: "a" });
  const users = async (node: typeof first) =>
    (await node.people.list("a")).map(({ user }) => user).sort().join();
  for (const node of [first, second]) await until("both users", async () => await users(node) === "ann,bob");
  await two.close();
  await until("bob to leave", async () => await users(first) === "ann");
  await second.people.update("a", "backend", { n: 1 });
  await until("the update", async () => await users(first) === "ann,backend");
  assert.equal(await first.people.remove("a", "backend"), true);
  assert.equal(await users(second), "ann");
  const [ann] = await second.people.list("a");
  await second.people.update("a", ann!.client, { mood: "fine" });
  assert.deepEqual((await first.people.list("a"))[0]!.data, { mood: "fine" });
  assert.equal(await second.people.remove("a", ann!.client), false, "she is subscribed on the other node");
});

Deno.test("the clusters of a test answer each other and share no objects", async () => {
  const [one, two] = remoteClusters(2, reliable()) as [TestCluster, TestCluster];
  const question = { list: [1] };
  for (const each of [one, two]) {
    each.on("add", (given) => {
      (given as typeof question).list.push(2);
      return given;
    });
  }
  const { answers, silent } = await one.ask("add", question);
  assert.deepEqual(answers.map(({ answer }) => answer), [{ list: [1, 2] }, { list: [1, 2] }]);
  assert.deepEqual([question, silent], [{ list: [1] }, []]);
  const other = await one.ask("add", question, { node: two.node });
  assert.deepEqual(other.answers.map(({ node }) => node), ["node2"]);
});
