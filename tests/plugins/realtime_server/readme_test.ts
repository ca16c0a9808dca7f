/** Every code example of the original's README, and what its text says about it. */

import assert from "node:assert/strict";
import { persistence } from "../../../plugins/persistence.ts";
import { RealtimeServer } from "../../../plugins/servers/realtime_server.ts";
import { Client, until } from "../../kit/mod.ts";
import { listener, realtime, SECRET, token } from "./kit.ts";

Deno.test("S01 S02 the first lines: all subscribers receive a message instantly", async () => {
  await using server = await realtime({ port: 0 });
  const heard: unknown[] = [];
  server.subscribe("chat", (message) => heard.push(message));
  const { client } = await listener(server, "chat");
  assert.equal(await server.publish("chat", { user: "Alice", text: "Hello!" }), 2);
  assert.deepEqual((await client.nextJson()).data, { user: "Alice", text: "Hello!" });
  await until("the callback", () => heard.length === 1);
  assert.deepEqual(heard, [{ user: "Alice", text: "Hello!" }]);
  await client.close();
});

Deno.test("S01 S02 quick start, publishing: works on any address, until unsubscribed", async () => {
  // An open server on a public address needs an explicit `requireAuth: false`.
  await using server = await realtime({ port: 0, host: "0.0.0.0", requireAuth: false });
  const notifications: { title: string }[] = [];
  const unsubscribe = server.subscribe("notifications", (message) => {
    notifications.push(message as { title: string });
  });
  const order = { title: "New Order", message: "Order #123 placed", timestamp: Date.now() };
  assert.equal(await server.publish("notifications", order), 1);
  await until("the callback", () => notifications.length === 1);
  assert.deepEqual(notifications, [order]);
  unsubscribe();
  assert.equal(await server.publish("notifications", order), 0);
  await using client = await Client.connect(server.url.replace("0.0.0.0", "127.0.0.1"));
  assert.equal((await client.nextJson()).type, "connection:ack", "the path may be left out");
});

Deno.test("S03 quick start, presence: lists clients with their data and times", async () => {
  await using server = await realtime();
  const before = Date.now();
  const data = { name: "Alice", status: "online", avatar: "https://example.com/avatar.png" };
  server.updatePresence("client-123", "lobby", data);
  const users = server.getPresence("lobby");
  assert.deepEqual(users.map(({ client, data }) => [client, data]), [["client-123", data]]);
  const [{ joinedAt, lastSeenAt }] = users as [typeof users[0]];
  assert.ok(joinedAt >= before && new Date(joinedAt).toISOString() <= new Date().toISOString());
  assert.ok(lastSeenAt >= joinedAt);
  server.updatePresence("client-123", "lobby", { ...data, status: "away" });
  assert.equal((server.getPresence("lobby")[0]!.data as typeof data).status, "away");
  assert.equal(server.getPresence("lobby")[0]!.joinedAt, joinedAt);
});

Deno.test("S03 presence expires after the timeout, even if nothing else was called", async () => {
  const server = new RealtimeServer({ presenceTimeout: 120 });
  server.updatePresence("client-123", "lobby", { name: "Alice" });
  assert.equal(server.getPresence("lobby").length, 1);
  await until("the timeout", () => server.getPresence("lobby").length === 0);
  await server.stop();
});

Deno.test("S04 quick start, live queries: notified rows reach the subscribers, until unsubscribed", async () => {
  await using server = await realtime({ port: 0 });
  const { client, id } = await listener(server, "anything");
  const sql = "SELECT * FROM orders WHERE status = $1";
  const subscriptionId = await server.subscribeToQuery(id, sql, ["pending"]);
  const { type, channel, data } = await client.nextJson();
  assert.deepEqual([type, data.snapshot.rows], ["subscribed", []]);
  const rows = [{ id: 1, status: "pending", total: 99.99 }];
  assert.equal(await server.notifyQueryUpdate(sql, rows), 1);
  const update = await client.nextJson();
  assert.deepEqual([update.type, update.channel], ["message", channel]);
  assert.match(JSON.stringify(update.data), /99\.99/);
  assert.equal(await server.notifyQueryUpdate(sql, [], ["shipped"]), 0, "other parameters");
  assert.equal(await server.notifyQueryUpdate("SELECT 1", []), 0, "other queries");
  await server.unsubscribeFromQuery(subscriptionId);
  assert.equal((await client.nextJson()).type, "unsubscribed");
  await server.notifyQueryUpdate(sql, []);
  assert.equal(client.waiting, 0);
  // An unknown client is not an error.
  assert.equal(typeof await server.subscribeToQuery("client-123", sql, ["pending"]), "string");
  await client.close();
});

Deno.test("S05 live query subscriptions refresh when the database changes", async () => {
  const database = persistence({ path: ":memory:" });
  await using server = await realtime({ port: 0, store: database });
  await database.api.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, total REAL)");
  const { client, id } = await listener(server, "anything");
  await server.subscribeToQuery(id, "SELECT * FROM orders WHERE status = $1", ["pending"]);
  await client.nextJson();
  await database.api.write((tx) => void tx.run("INSERT INTO orders VALUES (1, 'pending', 99.99)"));
  assert.match(JSON.stringify((await client.nextJson()).data), /99\.99/);
  await client.close();
});

Deno.test("S10 production configuration: 10 connections per address, 60 messages per minute", async () => {
  await using server = await realtime({
    port: 0,
    host: "0.0.0.0",
    requireAuth: true,
    jwtSecret: SECRET,
    rateLimit: { maxConnections: 10, maxMessagesPerMinute: 60, windowMs: 60_000 },
    pingInterval: 30_000,
    presenceTimeout: 60_000,
  });
  const url = `${server.url.replace("0.0.0.0", "127.0.0.1")}/ws?token=${await token({ sub: "ann" })}`;
  const clients = await Promise.all(Array.from({ length: 10 }, () => Client.connect(url)));
  await assert.rejects(Client.connect(url), /429/);
  await assert.rejects(
    server.handleConnection({ id: "one-more", auth: await token({ sub: "ann" }) }),
    /^PlugboardError: Rate limit exceeded: Too many connections from your address/,
  );
  const [client] = clients as [Client];
  await client.nextJson();
  for (let i = 0; i < 60; i++) {
    client.sendJson({ type: "ping" });
    assert.equal((await client.nextJson()).type, "pong");
  }
  client.sendJson({ type: "ping", id: "one-more" });
  const refused = await client.nextJson();
  assert.equal(refused.id, "one-more");
  assert.match(refused.data.message, /^Rate limit exceeded: Too many messages sent/);
  await Promise.all(clients.map((each) => each.close()));
});

Deno.test("S02 S03 example 1, chat: presence, a callback that stores messages, and a list of users", async () => {
  const database = persistence({ path: ":memory:" });
  await using server = await realtime({ store: database });
  await database.api.exec("CREATE TABLE messages (room_id TEXT, user_id TEXT, text TEXT)");
  const said = (message: unknown) => message as { userId: string; user: string; text: string };
  server.updatePresence("alice", "chat-room-1", { name: "Alice", status: "online" });
  server.subscribe("chat-room-1", async (message) => {
    const { userId, text } = said(message);
    await database.api.write((tx) =>
      void tx.run("INSERT INTO messages VALUES (?, ?, ?)", ["chat-room-1", userId, text])
    );
  });
  const message = { userId: "alice", user: "Alice", text: "Hello everyone!", timestamp: Date.now() };
  assert.equal(await server.publish("chat-room-1", message), 1);
  await until("the message in the database", () => database.api.all("SELECT * FROM messages").length === 1);
  assert.equal(database.api.all("SELECT text FROM messages")[0]!["text"], "Hello everyone!");
  assert.equal(server.getPresence("chat-room-1").length, 1);
});

Deno.test("S04 example 2, a document: an async callback applies each change and updates the query", async () => {
  await using server = await realtime({ port: 0 });
  const documents = new Map([["abc", ""]]);
  const sql = "SELECT * FROM documents WHERE id = $1";
  const cursor = { name: "Bob", cursor: { line: 10, column: 5 }, color: "#3b82f6" };
  server.updatePresence("user-123", "document:abc", cursor);
  server.subscribe("document:abc", async (change) => {
    await Promise.resolve();
    documents.set("abc", (change as { content: string }).content);
    await server.notifyQueryUpdate(sql, [{ id: "abc", content: documents.get("abc")! }], ["abc"]);
  });
  const { client, id } = await listener(server, "elsewhere");
  await server.subscribeToQuery(id, sql, ["abc"]);
  await client.nextJson();
  await server.publish("document:abc", {
    userId: "user-123",
    delta: { ops: [{ insert: "Hello" }] },
    content: "Hello",
  });
  assert.match(JSON.stringify((await client.nextJson()).data), /"content":"Hello"/);
  assert.deepEqual(server.getPresence("document:abc")[0]!.data, cursor);
  await client.close();
});

Deno.test("S07 S08 S12 example 3, a dashboard: tokens and keys decide who may subscribe and publish", async () => {
  await using server = await realtime({ port: 0, requireAuth: true, jwtSecret: SECRET });
  const connectClient = async (jwt: string, id: string) => {
    const authResult = await server.authenticateConnection(jwt);
    if (!authResult.success) throw new Error(authResult.error);
    assert.equal(await server.handleConnection({ id, auth: jwt, ip: "192.168.1.1" }), true);
    return authResult;
  };
  const jwt = await token({ id: "user-123", permissions: ["read:metrics", "write:metrics"] });
  assert.deepEqual(await connectClient(jwt, "client-123"), {
    success: true,
    userId: "user-123",
    permissions: ["read:metrics", "write:metrics"],
  });
  await assert.rejects(connectClient("nonsense", "client-124"), /Invalid token/);
  assert.deepEqual(
    server.getClientInfo("client-123").map(({ id, ip, user }) => [id, ip, user]),
    [["client-123", "192.168.1.1", "user-123"]],
  );
  server.addApiKey("secret-api-key-123", {
    name: "Dashboard Server",
    permissions: ["read:metrics", "write:metrics"],
  });
  assert.equal(await server.handleConnection({ id: "backend", apiKey: "secret-api-key-123" }), true);
  assert.equal(await server.subscribeClient("client-123", "metrics"), true);
  assert.equal(await server.subscribeClient("client-123", "secrets"), false);
  const metrics = { cpu: 45.2, memory: 62.1, requests: 1234, timestamp: Date.now() };
  assert.equal(await server.publishFromClient("client-123", "metrics", metrics), 1);
  assert.equal(await server.publishFromClient("backend", "metrics", metrics), 1);
  await assert.rejects(server.publishFromClient("backend", "secrets", metrics), {
    code: "permission_denied",
  });
  const { client, id } = await listener(server, "metrics", `?token=${jwt}`);
  assert.equal(await server.publishFromClient(id, "metrics", metrics), 2, "includes clients with a socket");
  assert.deepEqual((await client.nextJson()).data, metrics);
  assert.equal(server.getActiveConnections(), 3);
  await client.close();
});

Deno.test("S02 example 4, notifications: to one user, and to all", async () => {
  await using server = await realtime();
  const [toasts, global]: unknown[][] = [[], []];
  server.subscribe("user:alice:notifications", (notification) => toasts!.push(notification));
  server.subscribe("global:notifications", (notification) => global!.push(notification));
  const notification = { title: "New Message", message: "You have a new message from Bob", type: "info" };
  await server.publish("user:alice:notifications", { ...notification, read: false });
  await server.publish("user:bob:notifications", notification);
  await server.publish("global:notifications", notification);
  await until("both", () => toasts!.length + global!.length === 2);
  assert.deepEqual([toasts, global], [[{ ...notification, read: false }], [notification]]);
});

Deno.test("S02 example 5, data sync: one event per table change, in order", async () => {
  const database = persistence({ path: ":memory:" });
  await using server = await realtime({ store: database });
  await database.api.exec("CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, name TEXT)");
  const events: { type: string }[] = [];
  server.subscribe("table:users", async (event) => {
    await Promise.resolve();
    events.push(event as { type: string });
  });
  const createUser = async (email: string, name: string) => {
    const [user] = await database.api.write((tx) =>
      tx.all("INSERT INTO users (email, name) VALUES (?, ?) RETURNING *", [email, name])
    );
    await server.publish("table:users", { type: "INSERT", data: user });
  };
  await createUser("ann@example.com", "Ann");
  await createUser("bob@example.com", "Bob");
  await until("both", () => events.length === 2);
  assert.deepEqual(events, [
    { type: "INSERT", data: { id: 1, email: "ann@example.com", name: "Ann" } },
    { type: "INSERT", data: { id: 2, email: "bob@example.com", name: "Bob" } },
  ]);
});

Deno.test("S07 S14 issue 1: a missing token is an error, unless no sign-in is required", async () => {
  await using server = await realtime({ requireAuth: true, jwtSecret: SECRET });
  await assert.rejects(server.handleConnection({ id: "client-123" }), {
    message: "Authentication required for WebSocket connection",
  });
  const jwt = await token({ id: "user-123", permissions: ["read:*", "write:*"] });
  assert.equal(await server.handleConnection({ id: "client-123", auth: jwt }), true);
  await using open = await realtime({ requireAuth: false });
  assert.equal(await open.handleConnection({ id: "client-123" }), true);
  assert.equal(await open.publishFromClient("client-123", "anything", 1), 0);
});

Deno.test("S10 S14 issue 2: the error names the exceeded limit, and a higher limit accepts the message", async () => {
  const publishAll = async (maxMessagesPerMinute: number) => {
    await using server = await realtime({
      rateLimit: { maxConnections: 50, maxMessagesPerMinute, windowMs: 60_000 },
    });
    await server.handleConnection({ id: "client-123" });
    for (let i = 0; i < 5; i++) await server.publishFromClient("client-123", "news", i);
  };
  await assert.rejects(publishAll(4), /Rate limit exceeded: Too many messages sent, try again in 15 s/);
  await publishAll(120);
});

Deno.test("S02 issue 3: channel names must match exactly", async () => {
  await using server = await realtime();
  server.subscribe("notifications", () => {});
  assert.equal(await server.publish("notification", "lost"), 0);
  assert.equal(await server.publish("notifications", "found"), 1);
});

Deno.test("S11 issue 4: names with path traversal are refused with the original's message", async () => {
  await using server = await realtime();
  const message = "Invalid channel name format";
  assert.throws(() => server.subscribe("../admin/secrets", () => {}), { message });
  await assert.rejects(server.publish("../admin/secrets", 1), { message });
  assert.throws(() => server.updatePresence("ann", "../admin/secrets", {}), { message });
  server.subscribe("admin:secrets", () => {})();
});

Deno.test("S02 issue 5: unsubscribing leaves nothing behind", async () => {
  await using server = await realtime();
  for (let i = 0; i < 100; i++) server.subscribe(`channel-${i}`, () => {})();
  assert.deepEqual(server.getChannelStats(), []);
});
