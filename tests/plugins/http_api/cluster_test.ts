// deno-lint-ignore-file no-explicit-any -- reads the answers by name
import assert from "node:assert/strict";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { httpApi } from "../../../plugins/http_api.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { Network, remoteBrokers, remoteClusters } from "../../kit/remote.ts";
import { serve, until } from "../../kit/mod.ts";
import { ask } from "../channels/kit.ts";

/** Starts two servers with one broker and one cluster. */
async function serveNodes() {
  const network = new Network({ failures: 0 });
  const [brokers, clusters] = [remoteBrokers(2, network), remoteClusters(2, network)];
  const nodes = await Promise.all([0, 1].map(async (i) => {
    const access = auth();
    const bus = channels({ broker: brokers[i]!, cluster: clusters[i]! });
    const api = httpApi({ channels: bus.api, access: access.api, cluster: clusters[i]! });
    const server = await serve({}, access, bus, channelProtocol(bus.api), api);
    const call = async (method: string, params: object): Promise<any> => {
      const response = await server.fetch(`/api/${method}`, { method: "POST", body: JSON.stringify(params) });
      return await response.json();
    };
    return Object.assign(server, { call, bus: bus.api, cluster: clusters[i]! });
  }));
  return {
    nodes: nodes as [typeof nodes[0], typeof nodes[0]],
    async [Symbol.asyncDispose]() {
      for (const node of nodes) await node[Symbol.asyncDispose]();
    },
  };
}

Deno.test("B09 channels, connections and nodes of the whole server are listed by any node, in pages", async () => {
  await using server = await serveNodes();
  const [first, second] = server.nodes;
  await using ann = await first.connect("/t?user=ann");
  await using bob = await second.connect("/t?user=bob");
  await until("both clients", () => first.bus.clients.size === 1 && second.bus.clients.size === 1);
  for (const channel of ["a", "c"]) await ask(ann, { do: "subscribe", channel });
  for (const channel of ["b", "c", "d"]) await ask(bob, { do: "subscribe", channel });

  const { result: { channels } } = await second.call("channels", {});
  const one = { num_clients: 1 };
  assert.deepEqual(channels, { a: one, b: one, c: { num_clients: 2 }, d: one });
  const seen: string[] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined;) {
    const { result }: any = await first.call("channels", { limit: 2, cursor });
    seen.push(...Object.keys(result.channels));
    cursor = result.cursor;
  }
  assert.deepEqual(seen, ["a", "b", "c", "d"]);

  const { result: { connections } } = await first.call("connections", { limit: 1_000 });
  const users = Object.entries<{ user: string }>(connections).map(([id, { user }]) => [user, id]).sort();
  assert.deepEqual(users.map(([user]) => user), ["ann", "bob"]);
  const { result: about } = await first.call("connection", { client: users[1]![1]! });
  assert.deepEqual([about.user, Object.keys(about.channels)], ["bob", ["b", "c", "d"]]);
  const { result: { nodes } } = await first.call("info", {});
  assert.deepEqual(nodes.map(({ num_subs }: { num_subs: number }) => num_subs).sort(), [2, 3]);
  assert.deepEqual(new Set(nodes.map(({ uid }: { uid: string }) => uid)).size, 2);
});

Deno.test("B14 answers about all nodes name those that do not answer", async () => {
  await using server = await serveNodes();
  const [first, second] = server.nodes;
  second.cluster.silent = true;
  const { result } = await first.call("info", {});
  assert.deepEqual([result.nodes.length, result.silent], [1, [second.cluster.node]]);
  assert.equal((await first.call("channels", {})).error.code, 100, "an incomplete list would be wrong");
});
