import assert from "node:assert/strict";
import { channels } from "../../plugins/channels.ts";
import { presence, type PresenceEvent, type PresenceOptions } from "../../plugins/presence.ts";
import { channelProtocol } from "../kit/channel_protocol.ts";
import { FakeClock, serve, until } from "../kit/mod.ts";

async function servePresence(options: Omit<PresenceOptions, "channels"> = {}) {
  const bus = channels({ namespaces: { quiet: { presence: false } } });
  const people = presence({ channels: bus.api, ...options });
  const clock = new FakeClock();
  const events: string[] = [];
  people.api.listen(({ type, channel, present }: PresenceEvent) =>
    void events.push(`${type} ${channel} ${present.user}`)
  );
  const server = await serve({ clock }, bus, people, channelProtocol(bus.api));
  const join = async (user: string, channel: string) => {
    const client = await server.connect(`/t?user=${user}`);
    client.sendJson({ do: "subscribe", channel });
    await client.nextJson();
    return client;
  };
  return Object.assign(server, { people: people.api, bus: bus.api, clock, events, join });
}

Deno.test("S03 subscribers are present with joinedAt and lastSeenAt, and gone when they unsubscribe or disconnect", async () => {
  await using server = await servePresence();
  const start = server.clock.now();
  await using ann = await server.join("ann", "lobby");
  server.clock.advance(1_000);
  const bob = await server.join("bob", "lobby");
  const [first, second] = await server.people.list("lobby");
  assert.deepEqual([first!.user, first!.joinedAt, first!.lastSeenAt], ["ann", start, start]);
  assert.deepEqual([second!.user, second!.joinedAt], ["bob", start + 1_000]);
  assert.equal(first!.info!.client, first!.client);
  await bob.close();
  await until("bob to be gone", async () => (await server.people.list("lobby")).length === 1);
  ann.sendJson({ do: "unsubscribe", channel: "lobby" });
  await ann.nextJson();
  assert.deepEqual(await server.people.list("lobby"), []);
  assert.deepEqual(server.events, ["join lobby ann", "join lobby bob", "leave lobby bob", "leave lobby ann"]);
});

Deno.test("S03 updates put in, change and keep alive whoever has no connection; without them they are gone after the timeout", async () => {
  await using server = await servePresence();
  const { people, clock, events } = server;
  await people.update("lobby", "client-123", { name: "Alice" });
  const [present] = await people.list("lobby");
  assert.deepEqual(present!.data, { name: "Alice" });
  assert.deepEqual([present!.joinedAt, present!.lastSeenAt], [clock.now(), clock.now()]);
  clock.advance(59_000);
  await people.update("lobby", "client-123", { name: "Alice", status: "away" });
  await people.update("lobby", "client-456", {});
  clock.advance(59_000);
  assert.equal((await people.count("lobby")).clients, 2);
  await people.update("lobby", "client-456", {});
  clock.advance(2_000);
  assert.deepEqual((await people.list("lobby")).map(({ client }) => client), ["client-456"]);
  assert.deepEqual(events, [
    "join lobby client-123",
    "update lobby client-123",
    "join lobby client-456",
    "update lobby client-456",
    "leave lobby client-123",
  ]);
  assert.equal(await people.remove("lobby", "client-456"), true);
  assert.equal(await people.remove("lobby", "client-456"), false);
});

Deno.test("a subscriber stays beyond the timeout, may show data, and cannot be removed", async () => {
  await using server = await servePresence();
  await using _ann = await server.join("ann", "lobby");
  const { client } = (await server.people.list("lobby"))[0]!;
  await server.people.update("lobby", client, { mood: "fine" });
  server.clock.advance(300_000);
  const [present] = await server.people.list("lobby");
  assert.deepEqual(present!.data, { mood: "fine" });
  assert.ok(present!.lastSeenAt >= server.clock.now() - 30_000);
  assert.equal(await server.people.remove("lobby", client), false);
});

Deno.test("a client that was put in before it subscribed keeps its data and is not expired", async () => {
  await using server = await servePresence();
  await using client = await server.connect("/t?user=ann");
  await until("the client", () => server.bus.clients.size === 1);
  const [id] = server.bus.clients.keys();
  await server.people.update("lobby", id!, { name: "Ann" });
  client.sendJson({ do: "subscribe", channel: "lobby" });
  await client.nextJson();
  server.clock.advance(120_000);
  assert.deepEqual((await server.people.list("lobby")).map(({ user, data }) => [user, data]), [["ann", {
    name: "Ann",
  }]]);
});

Deno.test("a user with several connections counts once as a user", async () => {
  await using server = await servePresence();
  await using _one = await server.join("ann", "lobby");
  const two = await server.join("ann", "lobby");
  await using _three = await server.join("bob", "lobby");
  assert.deepEqual(await server.people.count("lobby"), { clients: 3, users: 2 });
  await two.close();
  await until("two to be gone", async () => (await server.people.count("lobby")).clients === 2);
  assert.deepEqual(await server.people.count("lobby"), { clients: 2, users: 2 });
  assert.deepEqual(await server.people.count("nobody"), { clients: 0, users: 0 });
});

Deno.test("a namespace without presence keeps none", async () => {
  await using server = await servePresence();
  await using _ann = await server.join("ann", "quiet:a");
  assert.deepEqual(await server.people.list("quiet:a"), []);
});

Deno.test("ten thousand members are counted without a list and expire without a scan of the living", async () => {
  await using server = await servePresence();
  for (let i = 0; i < 10_000; i++) await server.people.update("big", `client${i}`, {});
  assert.deepEqual(await server.people.count("big"), { clients: 10_000, users: 10_000 });
  server.clock.advance(61_000);
  assert.deepEqual(await server.people.count("big"), { clients: 0, users: 0 });
  assert.equal(server.events.length, 20_000);
});

Deno.test("a listener that throws harms nobody", async () => {
  await using server = await servePresence();
  server.people.listen(() => {
    throw new Error("thrown on purpose");
  });
  await server.people.update("lobby", "a", {});
  assert.deepEqual(server.events, ["join lobby a"]);
  assert.match((await server.log.next()).message, /listener failed/);
});
