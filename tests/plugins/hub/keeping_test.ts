/** Messages for sessions that are away. */

import assert from "node:assert/strict";
import { closeCodes } from "../../../core/mod.ts";
import { channels, memoryBroker } from "../../../plugins/channels.ts";
import { hub, type KeepOptions } from "../../../plugins/protocols/hub.ts";
import { type Client, FakeClock, RawClient, serve, until } from "../../kit/mod.ts";

const apiKey = "secret";

async function keepingHub(keep: KeepOptions = {}, broker = memoryBroker()) {
  const clock = new FakeClock();
  const bus = channels({ broker });
  // Slow clients are cut off by hand here, and by nobody else.
  const plugin = hub({ channels: bus.api, apiKey, keep, writeTimeoutMs: 1_000_000 });
  const server = await serve({ clock, maxQueuedBytes: 2 ** 26, pingIntervalMs: 1_000_000 }, bus, plugin);
  const users = plugin.api;
  const count = () => users.stats().total_connections;
  const clients = () => [...bus.api.clients.values()];
  return Object.assign(server, {
    clients,
    clock,
    users,
    async join(query: string) {
      const before = count();
      const client = await server.connect(`/ws?${query}`);
      await until("the arrival", () => count() > before);
      await until("its place", () => clients().every(({ subscriptions }) => subscriptions.size > 0));
      return client;
    },
    async leave(client: Client) {
      const before = count();
      await client.close();
      await until("the leave", () => count() < before);
    },
  });
}

const numbers = async (client: Client, count: number) => {
  const all = [];
  for (let i = 0; i < count; i++) all.push((await client.nextJson()).payload.n);
  return all;
};
const note = (n: number) => ({ type: "note", payload: { n } });

Deno.test("a session that returns gets what it missed, in the order in which it was sent", async () => {
  await using server = await keepingHub();
  const { users } = server;
  const first = await server.join("userId=ann&sessionId=tab");
  await users.sendToUser("ann", note(1));
  assert.deepEqual(await numbers(first, 1), [1]);
  await server.leave(first);

  // All within the same millisecond: the clock stands still.
  assert.deepEqual((await users.sendToSession("tab", note(2))).targets.session, {
    delivered: 0,
    known: true,
  });
  assert.deepEqual((await users.sendToUser("ann", note(3))).targets.user, { delivered: 0, known: true });
  await users.broadcast(note(4));
  await users.send({ user: "ann", session: "tab" }, note(5));
  await users.sendToUser("bob", note(99));

  await using second = await server.join("userId=ann&sessionId=tab");
  await users.sendToUser("ann", note(6));
  assert.deepEqual(await numbers(second, 5), [2, 3, 4, 5, 6]);
  assert.equal(second.waiting, 0);
});

Deno.test("kept messages carry an id, and a client without a session gets none of them", async () => {
  await using server = await keepingHub();
  const { users } = server;
  await using ann = await server.join("userId=ann");
  await users.sendToUser("ann", note(1));
  assert.match((await ann.nextJson()).id, /^[\w-]{36}$/);
  await server.leave(ann);
  assert.equal((await users.sendToUser("ann", note(2))).targets.user!.known, false);
  await using again = await server.join("userId=ann");
  await users.sendToUser("ann", note(3));
  assert.deepEqual(await numbers(again, 1), [3]);
});

Deno.test("a session stays here as long as one of its connections does", async () => {
  await using server = await keepingHub();
  const { users } = server;
  await using one = await server.join("userId=ann&sessionId=tab");
  const two = await server.join("userId=ann&sessionId=tab");
  await server.leave(two);
  await users.sendToSession("tab", note(1));
  await using three = await server.join("userId=ann&sessionId=tab");
  await users.sendToSession("tab", note(2));
  assert.deepEqual(await numbers(one, 2), [1, 2]);
  assert.deepEqual(await numbers(three, 1), [2]);
});

Deno.test("another user who names the same session gets nothing that was kept", async () => {
  await using server = await keepingHub();
  const { users } = server;
  await server.leave(await server.join("userId=ann&sessionId=tab"));
  await users.sendToSession("tab", note(1));
  await using eve = await server.join("userId=eve&sessionId=tab");
  await users.broadcast(note(2));
  assert.deepEqual(await numbers(eve, 1), [2]);
  await using ann = await server.join("userId=ann&sessionId=tab");
  await users.broadcast(note(3));
  assert.deepEqual(await numbers(ann, 3), [1, 2, 3]);
});

Deno.test("who was away too long is forgotten", async () => {
  await using server = await keepingHub({ ms: 60_000 });
  const { users, clock } = server;
  await server.leave(await server.join("userId=ann&sessionId=tab"));
  clock.advance(59_000);
  assert.equal((await users.sendToSession("tab", note(1))).targets.session!.known, true);
  clock.advance(30_000);
  assert.equal((await users.sendToSession("tab", note(2))).targets.session!.known, false);
  assert.equal((await users.sendToUser("ann", note(2))).targets.user!.known, false);
  await using ann = await server.join("userId=ann&sessionId=tab");
  await users.sendToUser("ann", note(3));
  assert.deepEqual(await numbers(ann, 1), [3]);
});

Deno.test("a session that missed more than is kept is told so", async () => {
  await using server = await keepingHub({ messages: 3 });
  const { users } = server;
  await server.leave(await server.join("userId=ann&sessionId=tab"));
  for (let n = 1; n <= 4; n++) await users.sendToUser("ann", note(n));
  await users.sendToSession("tab", note(5));
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 1), [5]);
  assert.equal((await ann.nextJson()).type, "messages_lost");
});

Deno.test("only so many sessions are remembered", async () => {
  await using server = await keepingHub({ maxAway: 2 });
  for (const session of ["1", "2", "3"]) {
    await server.leave(await server.join(`userId=u&sessionId=${session}`));
  }
  const known = async (session: string) =>
    (await server.users.sendToSession(session, note(1))).targets.session!.known;
  assert.deepEqual([await known("1"), await known("2"), await known("3")], [false, true, true]);
  assert.equal((await server.users.sendToUser("u", note(2))).targets.user!.known, true);
});

Deno.test("when a line breaks, what may have been lost on it is sent again", async () => {
  await using server = await keepingHub({ doubtMs: 50_000 });
  const { users, clock } = server;
  const raw = await RawClient.upgrade(server.port, "/ws?userId=ann&sessionId=tab");
  await until("its place", () => server.clients().some(({ subscriptions }) => subscriptions.size === 3));
  await users.sendToUser("ann", note(1));
  clock.advance(50_000); // whoever is still here after two intervals has got it
  await users.sendToUser("ann", note(2));
  clock.advance(25_000);
  await users.sendToUser("ann", note(3));
  raw.tcp.close(); // no close frame
  await until("the break", () => users.stats().total_connections === 0);
  await users.sendToUser("ann", note(4));
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 3), [2, 3, 4]);
});

Deno.test("a slow session that is cut off loses nothing", async () => {
  await using server = await keepingHub({ messages: 1_000 });
  const { users, clock } = server;
  using _slow = await RawClient.upgrade(server.port, "/ws?userId=ann&sessionId=tab");
  await until("its place", () => server.clients().some(({ subscriptions }) => subscriptions.size === 3));
  const { conn } = server.clients()[0]!;
  let sent = 0;
  await until("the network to take no more", async () => {
    await users.sendToUser("ann", { type: "note", payload: { n: ++sent, text: "x".repeat(100_000) } });
    return conn.queuedBytes > 131_072;
  });
  clock.advance(60_000);
  conn.close(closeCodes.slow);
  await until("the cut", () => users.stats().total_connections === 0);
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, sent), Array.from({ length: sent }, (_, i) => i + 1));
  const cut = performance.now();
  // The kernel looks for room every 10 ms, and once more after the end.
  await until("the last look for room", () => performance.now() > cut + 20);
});

Deno.test("where sessions stood is kept over a restart", async () => {
  const kept = new Map<string, string>();
  const store = {
    load: () => kept,
    set: (key: string, value: string) => void kept.set(key, value),
    delete: (key: string) => void kept.delete(key),
  };
  // A broker whose logs outlive the server, as a durable one does.
  const lasting = { ...memoryBroker(), stop() {} };
  {
    await using server = await keepingHub({ store }, lasting);
    await server.join("userId=ann&sessionId=tab");
    const stopped = server.server.stop();
    server.clock.advance(1); // its turn to be told
    await stopped;
  }
  assert.equal(kept.size, 1);
  {
    await using server = await keepingHub({ store }, lasting);
    await server.users.sendToUser("ann", note(1));
    await using ann = await server.join("userId=ann&sessionId=tab");
    assert.deepEqual(await numbers(ann, 1), [1]);
    assert.equal(kept.size, 0);
  }
});

Deno.test("a store that fails harms nobody and is told", async () => {
  const store = {
    load: () => [],
    set: () => Promise.reject(new Error("disk full")),
    delete: () => {},
  };
  await using server = await keepingHub({ store });
  await server.leave(await server.join("userId=ann&sessionId=tab"));
  assert.match((await server.log.next()).message, /could not be stored/);
  await server.users.sendToUser("ann", note(1));
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 1), [1]);
});
