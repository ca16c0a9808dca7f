import assert from "node:assert/strict";
import { systemClock } from "../../core/mod.ts";
import { channels } from "../../plugins/channels.ts";
import { presence, type PresenceEvent, type PresenceOptions, type Present } from "../../plugins/presence.ts";
import { channelProtocol } from "../kit/channel_protocol.ts";
import { type Client, FakeClock, serve, until } from "../kit/mod.ts";
import { everywhere, type Surroundings } from "../kit/remote.ts";
import { ask, logged } from "./channels/kit.ts";

/** A fake clock, except for the delays of retries. */
class RetryClock extends FakeClock {
  override after(ms: number, run: () => void): () => void {
    const isRetry = Number.isInteger(Math.log2(ms / 100)); // 100, 200, 400 …
    return isRetry ? systemClock.after(1, run) : super.after(ms, run);
  }
}

async function servePresence(where: Surroundings, options: Omit<PresenceOptions, "channels"> = {}) {
  const [cluster, store] = [where.cluster(), where.store()];
  const bus = channels({
    broker: where.broker(),
    namespaces: { quiet: { presence: false } },
    ...(cluster && { cluster }),
  });
  const plugin = presence({ channels: bus.api, ...(store && { store }), ...options });
  const people = where.patient(plugin.api);
  const clock = new RetryClock();
  const events: string[] = [];
  people.listen(({ type, channel, present }: PresenceEvent) =>
    void events.push(`${type} ${channel} ${present.user}`)
  );
  const server = await serve({ clock }, bus, plugin, channelProtocol(bus.api));
  return Object.assign(server, {
    people,
    bus: bus.api,
    clock,
    events,
    async join(user: string, channel: string) {
      const client = await server.connect(`/t?user=${user}`);
      assert.equal((await ask(client, { do: "subscribe", channel })).subscribed, channel);
      return client;
    },
    /** Lists the clients in a channel once there are so many. */
    async present(channel: string, count: number): Promise<readonly Present[]> {
      await until(`${count} in ${channel}`, async () => (await people.list(channel)).length === count);
      return await people.list(channel);
    },
  });
}

everywhere(
  "S03 subscribers are present with joinedAt and lastSeenAt until they unsubscribe or disconnect",
  async (where) => {
    await using server = await servePresence(where);
    const start = server.clock.wallTime();
    await using ann = await server.join("ann", "lobby");
    await server.present("lobby", 1);
    server.clock.advance(1_000);
    const bob = await server.join("bob", "lobby");
    const [first, second] = await server.present("lobby", 2);
    assert.deepEqual([first!.user, first!.joinedAt, first!.lastSeenAt], ["ann", start, start]);
    assert.deepEqual([second!.user, second!.joinedAt], ["bob", start + 1_000]);
    assert.equal(first!.info!.client, first!.client);
    await bob.close();
    await server.present("lobby", 1);
    ann.sendJson({ do: "unsubscribe", channel: "lobby" });
    await ann.nextJson();
    assert.deepEqual(await server.present("lobby", 0), []);
    await until("four events", () => server.events.length === 4);
    assert.deepEqual(server.events, [
      "join lobby ann",
      "join lobby bob",
      "leave lobby bob",
      "leave lobby ann",
    ]);
  },
);

everywhere(
  "what a refresh says about a client is shown in presence, publications, joins and leaves",
  async (where) => {
    await using server = await servePresence(where);
    const ann = await server.join("ann", "lobby");
    await server.present("lobby", 1);
    const [client] = server.bus.clients.values();
    const shown = async () =>
      (await server.people.list("lobby")).map(({ info }) => [info?.connInfo, info?.chanInfo]);
    const infos: unknown[] = [];
    const end = server.bus.subscribe("lobby", (_data, { info }) => void infos.push(info?.connInfo ?? null));

    client!.identify({ ...client!.identity, info: `"busy"` });
    await until("the new info", async () => (await shown())[0]?.[0] === `"busy"`);
    client!.renew("lobby", { chanInfo: `"editor"` });
    await until("the info of the channel", async () => (await shown())[0]?.[1] === `"editor"`);
    assert.deepEqual(server.events, ["join lobby ann", "update lobby ann", "update lobby ann"]);
    client!.identify({ ...client!.identity, expiresAt: Date.UTC(2100, 0) });
    assert.deepEqual(await shown(), [[`"busy"`, `"editor"`]]);
    ann.sendJson({ do: "publish", channel: "lobby", data: 1 });
    await until("the publication", () => infos.length === 1);
    assert.deepEqual(infos, [`"busy"`]);

    const left: unknown[] = [];
    const stop = server.bus.extend({ name: "test", left: (_, { info }) => void left.push(info) });
    await ann.close();
    await server.present("lobby", 0);
    assert.deepEqual(left, [{ user: "ann", client: client!.id, connInfo: `"busy"`, chanInfo: `"editor"` }]);
    stop();
    end();
  },
);

everywhere(
  "S03 an update adds, changes and keeps a client without a connection, until the timeout",
  async (where) => {
    await using server = await servePresence(where);
    const { people, clock, events } = server;
    await people.update("lobby", "client-123", { name: "Alice" });
    const [present] = await people.list("lobby");
    assert.deepEqual(present!.data, { name: "Alice" });
    assert.deepEqual([present!.joinedAt, present!.lastSeenAt], [clock.wallTime(), clock.wallTime()]);
    clock.advance(59_000);
    await people.update("lobby", "client-123", { name: "Alice", status: "away" });
    await people.update("lobby", "client-456", {});
    clock.advance(59_000);
    assert.equal((await people.count("lobby")).clients, 2);
    await people.update("lobby", "client-456", {});
    clock.advance(2_000);
    assert.deepEqual((await server.present("lobby", 1)).map(({ client }) => client), ["client-456"]);
    await until("five events", () => events.length === 5);
    assert.deepEqual(events, [
      "join lobby client-123",
      "update lobby client-123",
      "join lobby client-456",
      "update lobby client-456",
      "leave lobby client-123",
    ]);
    assert.equal(await people.remove("lobby", "client-456"), true);
    assert.equal(await people.remove("lobby", "client-456"), false);
  },
);

everywhere("a client without a connection expires, although the clock is set", async (where) => {
  await using server = await servePresence(where);
  const { people, clock } = server;
  for (const ms of [-3_600_000, 7_200_000]) {
    await people.update("lobby", "client-123", {});
    clock.advance(1_000);
    clock.set(ms);
    clock.advance(57_000);
    assert.equal((await people.count("lobby")).clients, 1);
    clock.advance(33_000);
    await server.present("lobby", 0);
  }
});

everywhere("a subscriber stays after the timeout, can have data, and cannot be removed", async (where) => {
  await using server = await servePresence(where);
  await using _ann = await server.join("ann", "lobby");
  const [{ client }] = await server.present("lobby", 1) as [Present];
  await server.people.update("lobby", client, { mood: "fine" });
  server.clock.advance(300_000);
  await until("being seen", async () => {
    const [present] = await server.people.list("lobby");
    return present!.lastSeenAt >= server.clock.wallTime() - 30_000;
  });
  const [present] = await server.people.list("lobby");
  assert.deepEqual(present!.data, { mood: "fine" });
  assert.equal(await server.people.remove("lobby", client), false);
});

everywhere(
  "a client that an update added before it subscribed keeps its data and does not expire",
  async (where) => {
    await using server = await servePresence(where);
    await using client = await server.connect("/t?user=ann");
    await until("the client", () => server.bus.clients.size === 1);
    const [id] = server.bus.clients.keys();
    await server.people.update("lobby", id!, { name: "Ann" });
    await ask(client, { do: "subscribe", channel: "lobby" });
    await until("the join", () => server.events.length === 3);
    server.clock.advance(120_000);
    const present = await server.present("lobby", 1);
    assert.deepEqual(present.map(({ user, data }) => [user, data]), [["ann", { name: "Ann" }]]);
  },
);

everywhere("a user with several connections counts once as a user", async (where) => {
  await using server = await servePresence(where);
  await using _one = await server.join("ann", "lobby");
  const two = await server.join("ann", "lobby");
  await using _three = await server.join("bob", "lobby");
  await server.present("lobby", 3);
  assert.deepEqual(await server.people.count("lobby"), { clients: 3, users: 2 });
  await two.close();
  await server.present("lobby", 2);
  assert.deepEqual(await server.people.count("lobby"), { clients: 2, users: 2 });
  assert.deepEqual(await server.people.count("nobody"), { clients: 0, users: 0 });
});

everywhere(
  "joins and leaves carry the number of people: each user, and each anonymous client",
  async (where) => {
    await using server = await servePresence(where);
    await using observer = await server.connect("/t?user=observer");
    await ask(observer, { do: "subscribe", channel: "lobby", joinLeave: true });
    assert.equal((await observer.nextJson()).people, 1);
    const clients: Client[] = [];
    for (const [user, people] of [["ann", 2], ["ann", 2], ["", 3], ["", 4]] as const) {
      clients.push(await server.join(user, "lobby"));
      assert.equal((await observer.nextJson()).people, people);
    }
    for (const people of [3, 2, 2, 1]) {
      await clients.pop()!.close();
      const { leave, people: left } = await observer.nextJson();
      assert.deepEqual([leave, left], ["lobby", people]);
    }
  },
);

everywhere("a namespace without presence has no present clients", async (where) => {
  await using server = await servePresence(where);
  await using _ann = await server.join("ann", "quiet:a");
  assert.deepEqual(await server.people.list("quiet:a"), []);
});

everywhere(
  "ten thousand members are counted without a list, and expire without a scan of the others",
  async (where) => {
    await using server = await servePresence(where);
    const count = where.remote ? 1_000 : 10_000;
    await Promise.all(Array.from({ length: count }, (_, i) => server.people.update("big", `client${i}`, {})));
    assert.deepEqual(await server.people.count("big"), { clients: count, users: count });
    server.clock.advance(61_000);
    await server.present("big", 0);
    assert.deepEqual(await server.people.count("big"), { clients: 0, users: 0 });
    assert.equal(server.events.length, 2 * count);
  },
);

everywhere("a client that joins and leaves quickly is not present afterwards", async (where) => {
  await using server = await servePresence(where);
  await using client = await server.join("ann", "lobby");
  const [own] = server.bus.clients.values();
  for (let i = 0; i < 20; i++) {
    own!.unsubscribe("lobby");
    await ask(client, { do: "subscribe", channel: "lobby" });
  }
  own!.unsubscribe("lobby");
  await until("all events", () => server.events.length === 42);
  assert.deepEqual(await server.people.list("lobby"), []);
  assert.deepEqual(server.events.filter((_, i) => i % 2 === 0), Array(21).fill("join lobby ann"));
});

everywhere("a listener that throws affects no other", async (where) => {
  await using server = await servePresence(where);
  server.people.listen(() => {
    throw new Error("thrown on purpose");
  });
  await server.people.update("lobby", "a", {});
  assert.deepEqual(server.events, ["join lobby a"]);
  await logged(server, /listener failed/);
});
