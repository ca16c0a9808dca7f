/** Messages for sessions that are away. */

import assert from "node:assert/strict";
import { closeCodes, type Connection } from "../../../core/mod.ts";
import { channels, memoryBroker } from "../../../plugins/channels.ts";
import { auth } from "../../../plugins/auth.ts";
import { hub, type KeepOptions } from "../../../plugins/protocols/hub.ts";
import { sessionKey } from "../../../plugins/protocols/hub/names.ts";
import { awaySessions, prepareKeep } from "../../../plugins/protocols/hub/away_sessions.ts";
import { positionWriter } from "../../../plugins/protocols/hub/position_writer.ts";
import { type Client, FakeClock, RawClient, serve, turn, until } from "../../kit/mod.ts";

const apiKey = "a-long-secret-key";

async function keepingHub(keep: KeepOptions = {}, broker = memoryBroker()) {
  const clock = new FakeClock();
  const bus = channels({ broker });
  const access = auth({ anonymous: true });
  const options = { channels: bus.api, access: access.api, requireToken: false };
  // The test closes slow clients itself.
  const plugin = hub({ ...options, apiKey, keep, writeTimeoutMs: 1_000_000 });
  const server = await serve(
    { clock, maxQueuedBytes: 2 ** 26, pingIntervalMs: 1_000_000 },
    access,
    bus,
    plugin,
  );
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
      await until("the client to be added", () => count() > before);
      await until(
        "it to be subscribed",
        () => clients().every(({ subscriptions }) => subscriptions.size > 0),
      );
      return client;
    },
    async leave(client: Client) {
      const before = count();
      await client.close();
      await until("the client to be removed", () => count() < before);
    },
  });
}

const numbers = async (client: Client, count: number) => {
  const all = [];
  for (let i = 0; i < count; i++) all.push((await client.nextJson()).payload.n);
  return all;
};
const note = (n: number) => ({ type: "note", payload: { n } });

Deno.test("a session that returns gets the missed messages in the order in which they were sent", async () => {
  await using server = await keepingHub();
  const { users } = server;
  const first = await server.join("userId=ann&sessionId=tab");
  await users.sendToUser("ann", note(1));
  assert.deepEqual(await numbers(first, 1), [1]);
  await server.leave(first);

  // All in the same millisecond of the fake clock.
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

Deno.test("kept messages have an id, and a client without a session gets none of them", async () => {
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

Deno.test("a session is connected as long as one of its connections is", async () => {
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

Deno.test("another user with the same session id gets no kept messages", async () => {
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

Deno.test("a session that is away too long is removed", async () => {
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

Deno.test("a session that missed too many messages is notified", async () => {
  await using server = await keepingHub({ messages: 3 });
  const { users } = server;
  await server.leave(await server.join("userId=ann&sessionId=tab"));
  for (let n = 1; n <= 4; n++) await users.sendToUser("ann", note(n));
  await users.sendToSession("tab", note(5));
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 1), [5]);
  assert.equal((await ann.nextJson()).type, "messages_lost");
});

Deno.test("the number of sessions that are away is limited", async () => {
  await using server = await keepingHub({ maxAway: 2 });
  for (const session of ["1", "2", "3"]) {
    await server.leave(await server.join(`userId=u&sessionId=${session}`));
  }
  const known = async (session: string) =>
    (await server.users.sendToSession(session, note(1))).targets.session!.known;
  assert.deepEqual([await known("1"), await known("2"), await known("3")], [false, true, true]);
  assert.equal((await server.users.sendToUser("u", note(2))).targets.user!.known, true);
});

Deno.test("messages that may be lost with a broken connection are sent again", async () => {
  await using server = await keepingHub({ doubtMs: 50_000 });
  const { users, clock } = server;
  const raw = await RawClient.upgrade(server.port, "/ws?userId=ann&sessionId=tab");
  await until(
    "it to be subscribed",
    () => server.clients().some(({ subscriptions }) => subscriptions.size === 3),
  );
  await users.sendToUser("ann", note(1));
  clock.advance(50_000); // after two intervals it has certainly arrived
  await users.sendToUser("ann", note(2));
  clock.advance(25_000);
  await users.sendToUser("ann", note(3));
  raw.tcp.close(); // no close frame
  await until("the end of the connection", () => users.stats().total_connections === 0);
  await users.sendToUser("ann", note(4));
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 3), [2, 3, 4]);
});

Deno.test("a slow session that is closed loses nothing", async () => {
  await using server = await keepingHub({ messages: 1_000 });
  const { users, clock } = server;
  using _slow = await RawClient.upgrade(server.port, "/ws?userId=ann&sessionId=tab");
  await until(
    "it to be subscribed",
    () => server.clients().some(({ subscriptions }) => subscriptions.size === 3),
  );
  const { conn } = server.clients()[0]!;
  let sent = 0;
  await until("the network to take no more", async () => {
    await users.sendToUser("ann", { type: "note", payload: { n: ++sent, text: "x".repeat(100_000) } });
    return conn.queuedBytes > 131_072;
  });
  clock.advance(60_000);
  conn.close(closeCodes.slow);
  await until("the close", () => users.stats().total_connections === 0);
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, sent), Array.from({ length: sent }, (_, i) => i + 1));
  const cut = performance.now();
  // The kernel retries every 10 ms, and once more after the end.
  await until("the last retry", () => performance.now() > cut + 20);
});

Deno.test("positions of sessions survive a restart", async () => {
  const kept = new Map<string, string>();
  const store = {
    load: () => kept,
    set: (key: string, value: string) => void kept.set(key, value),
    delete: (key: string) => void kept.delete(key),
  };
  // A broker whose history survives the server.
  const durable = { ...memoryBroker(), stop() {} };
  {
    await using server = await keepingHub({ store }, durable);
    await server.join("userId=ann&sessionId=tab");
    const stopped = server.server.stop();
    server.clock.advance(1); // closes the connection
    await stopped;
  }
  assert.equal(kept.size, 1);
  {
    await using server = await keepingHub({ store }, durable);
    await server.users.sendToUser("ann", note(1));
    await using ann = await server.join("userId=ann&sessionId=tab");
    assert.deepEqual(await numbers(ann, 1), [1]);
  }
});

Deno.test("a session that is connected when the server is killed gets what was sent before its return", async () => {
  const kept = new Map<string, string>();
  const storeIn = (map: Map<string, string>) => ({
    load: () => map,
    set: (key: string, value: string) => void map.set(key, value),
    delete: (key: string) => void map.delete(key),
  });
  const durable = { ...memoryBroker(), stop() {} };
  await using server = await keepingHub({ store: storeIn(kept) }, durable);
  await using first = await server.join("userId=ann&sessionId=tab");
  await server.users.sendToUser("ann", note(1));
  server.clock.advance(100_000); // it has certainly arrived
  await server.users.sendToUser("ann", note(2));
  assert.deepEqual(await numbers(first, 2), [1, 2]);
  await until("the position to be stored", () => JSON.stringify([...kept]).includes('offset\\":1'));
  const killed = new Map(kept);

  await using next = await keepingHub({ store: storeIn(killed) }, durable);
  next.clock.advance(200_000);
  const { targets } = await next.users.sendToUser("ann", note(3));
  assert.equal(targets.user!.known, true);
  await using ann = await next.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 2), [2, 3]);
});

Deno.test("the stored position of a session that stays connected does not expire", async () => {
  const kept = new Map<string, string>();
  const store = {
    load: () => kept,
    set: (key: string, value: string) => void kept.set(key, value),
    delete: (key: string) => void kept.delete(key),
  };
  const clock = new FakeClock();
  const away = awaySessions(prepareKeep({ store }), () => clock, (error) => assert.fail(String(error)));
  const conn = { queuedBytes: 0 } as Connection;
  away.joined({ conn, user: "ann", session: sessionKey("tab") }, new Map());
  for (let passed = 0; passed < 3_600_000; passed += 25_000) {
    away.sweep();
    await away.settled();
    const left = JSON.parse(kept.get("tab")!).until - clock.wallTime();
    assert.ok(left >= 300_000, `${left} ms left`);
    clock.advance(25_000);
  }
});

Deno.test("a session that has got the missed messages does not get them again on each return", async () => {
  await using server = await keepingHub({ messages: 2 });
  const { users, clock } = server;
  await server.leave(await server.join("userId=ann&sessionId=tab"));
  for (let n = 1; n < 9; n += 2) {
    await users.sendToUser("ann", note(n));
    await users.sendToUser("ann", note(n + 1));
    const ann = await server.join("userId=ann&sessionId=tab");
    // Not `messages_lost`: the messages beyond the limit had arrived.
    assert.deepEqual(await numbers(ann, 2), [n, n + 1]);
    await server.leave(ann);
  }
  const raw = await RawClient.upgrade(server.port, "/ws?userId=ann&sessionId=tab");
  await until("it to be subscribed", () => server.clients().some((one) => one.subscriptions.size === 3));
  clock.advance(100_000);
  raw.tcp.close(); // no close frame
  await until("the end of the connection", () => users.stats().total_connections === 0);
  await users.sendToUser("ann", note(9));
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 1), [9]);
});

Deno.test("missed messages that are sent to a broken connection are sent again", async () => {
  await using server = await keepingHub();
  const { users } = server;
  await server.leave(await server.join("userId=ann&sessionId=tab"));
  await users.sendToUser("ann", note(1));
  const raw = await RawClient.upgrade(server.port, "/ws?userId=ann&sessionId=tab");
  await until("it to be subscribed", () => server.clients().some((one) => one.subscriptions.size === 3));
  raw.tcp.close();
  await until("the end of the connection", () => users.stats().total_connections === 0);
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 1), [1]);
});

Deno.test("the positions of any number of sessions are stored without flooding the store", async () => {
  let running = 0;
  let most = 0;
  const stored = new Map<string, string>();
  const writer = positionWriter({
    load: () => [],
    async set(key, value) {
      most = Math.max(most, ++running);
      await turn();
      running--;
      stored.set(key, value);
    },
    delete: (key) => void stored.delete(key),
  }, (error) => assert.fail(String(error)));
  for (let i = 0; i < 3_000; i++) writer.write(`${i}`, "first");
  for (let i = 0; i < 3_000; i++) writer.write(`${i}`, i < 2_000 ? "last" : undefined);
  await writer.settled();
  assert.deepEqual([stored.size, new Set(stored.values()).size], [2_000, 1]);
  assert.ok(most <= 500, `${most} writes at once`);
});

Deno.test("a failure of the store is logged and affects no client", async () => {
  const store = {
    load: () => [],
    set: () => Promise.reject(new Error("disk full")),
    delete: () => {},
  };
  await using server = await keepingHub({ store });
  await server.leave(await server.join("userId=ann&sessionId=tab"));
  assert.match((await server.log.next()).message, /cannot store the positions/);
  await server.users.sendToUser("ann", note(1));
  await using ann = await server.join("userId=ann&sessionId=tab");
  assert.deepEqual(await numbers(ann, 1), [1]);
});
