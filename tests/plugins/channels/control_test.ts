import assert from "node:assert/strict";
import { closeCode } from "../../../core/mod.ts";
import type { ChannelExtension } from "../../../plugins/channels.ts";
import { until } from "../../kit/mod.ts";
import { everywhere } from "../../kit/remote.ts";
import { ask, type ChannelServer, serveChannels, subscribed } from "./kit.ts";

everywhere("a client can subscribe to a limited number of channels, and to each once", async (where) => {
  await using server = await serveChannels(where, { maxChannelsPerClient: 2 });
  await using client = await subscribed(server, "a");
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "a" }), { error: "already_subscribed" });
  assert.equal((await ask(client, { do: "subscribe", channel: "b" })).subscribed, "b");
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "c" }), { error: "limit_exceeded" });
  assert.deepEqual(await ask(client, { do: "unsubscribe", channel: "c" }), { left: false });
});

everywhere("joins and leaves reach the clients that asked, a join also the client itself", async (where) => {
  await using server = await serveChannels(where);
  await using first = await subscribed(server, "a", { joinLeave: true });
  const self = await first.nextJson();
  assert.equal(self.join, "a");
  await using other = await subscribed(server, "a");
  const joined = await first.nextJson();
  assert.equal(joined.join, "a");
  const second = await subscribed(server, "a", { joinLeave: true });
  const [third, own] = [await first.nextJson(), await second.nextJson()];
  assert.equal(third.client, own.client);
  await second.close();
  assert.deepEqual(await first.nextJson(), { leave: "a", client: third.client });
  await server.bus.publish("a", 1);
  assert.equal((await other.nextJson()).pub, "a", "no joins or leaves before it");
});

everywhere("joins and leaves are not sent in a channel above the limit", async (where) => {
  await using server = await serveChannels(where, { defaults: { joinLeave: "all", joinLeaveLimit: 2 } });
  await using first = await subscribed(server, "a");
  assert.ok((await first.nextJson()).join);
  await using _second = await subscribed(server, "a");
  assert.ok((await first.nextJson()).join);
  await using _third = await subscribed(server, "a");
  await server.bus.publish("a", 1);
  assert.equal((await first.nextJson()).pub, "a");
});

everywhere("the server subscribes, unsubscribes and disconnects users and clients", async (where) => {
  await using server = await serveChannels(where);
  await using one = await server.connect("/t?user=ann");
  await using two = await server.connect("/t?user=ann");
  await using other = await server.connect("/t?user=bob");
  await until("all clients", () => server.bus.clients.size === 3);
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

everywhere(
  "the server subscribes all of a user's clients, though some are subscribed or about to be",
  async (where) => {
    const asked = Promise.withResolvers<void>();
    const decided = Promise.withResolvers<void>();
    const slow: ChannelExtension = {
      name: "slow",
      async beforeSubscribe(_client, _channel, { serverSide }) {
        if (serverSide) return;
        asked.resolve();
        await decided.promise;
      },
    };
    await using server = await serveChannels(where);
    await using there = await subscribed(server, "a", {}, "ann");
    const end = server.bus.extend(slow);
    await using coming = await server.connect("/t?user=ann");
    coming.sendJson({ do: "subscribe", channel: "a" });
    await asked.promise;
    await using other = await server.connect("/t?user=ann");
    await until("all to be clients", () => server.bus.clients.size === 3);
    assert.equal(await server.bus.subscribeClients({ user: "ann" }, "a"), 3);
    assert.equal((await other.nextJson()).pushed, "a");
    decided.resolve();
    assert.equal((await coming.nextJson()).subscribed, "a");
    await server.bus.publish("a", 1);
    for (const client of [there, coming, other]) assert.equal((await client.nextJson()).data, 1);
    end();
  },
);

everywhere(
  "an identity with fewer permissions ends the subscriptions that they do not allow",
  async (where) => {
    await using server = await serveChannels(where);
    await using client = await subscribed(server, "secret", {}, "ann");
    const [ann] = server.bus.clients.values();
    ann!.identify({ ...ann!.identity, can: (_, what) => what !== "secret" });
    assert.deepEqual(await client.nextJson(), { unsubscribed: "secret", code: 2000 });
    assert.deepEqual(await ask(client, { do: "subscribe", channel: "secret" }), {
      error: "permission_denied",
    });
    assert.equal((await ask(client, { do: "subscribe", channel: "open" })).subscribed, "open");
  },
);

everywhere("S06 channel statistics are correct", async (where) => {
  await using server = await serveChannels(where);
  await using _client = await subscribed(server, "a");
  const stop = server.bus.subscribe("a", () => {});
  await server.bus.publish("a", 1);
  const { channels: [stats] } = await statsOf(server, "a");
  assert.deepEqual([stats!.subscribers, stats!.callbacks, stats!.publications], [1, 1, 1]);
  assert.ok(Math.abs(Date.now() - stats!.lastPublishedAt!) < 10_000);
  stop();
  assert.deepEqual(await statsOf(server, "unknown"), { channels: [], silent: [] });
  assert.deepEqual((await statsOf(server)).channels.map(({ channel }) => channel), ["a"]);
});

/** Lists what channels do, once all nodes have answered. */
async function statsOf({ bus }: Pick<ChannelServer, "bus">, channel?: string) {
  for (;;) {
    const listing = await bus.stats(channel);
    if (listing.silent.length === 0) return listing;
  }
}
