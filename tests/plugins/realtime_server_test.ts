import assert from "node:assert/strict";
import { RealtimeServer } from "../../plugins/servers/realtime_server.ts";
import { Client, until, within } from "../kit/mod.ts";
import { listener, realtime, SECRET, token } from "./realtime_server/kit.ts";

Deno.test("S01 starts, serves and stops, with the defaults of the original", async () => {
  const server = new RealtimeServer({ port: 0 });
  assert.throws(() => server.url, { code: "not_listening" });
  await server.start();
  await assert.rejects(server.start(), { code: "started" });
  const client = await Client.connect(`${server.url}/ws`);
  assert.equal((await client.nextJson()).data.heartbeatInterval, 30_000);
  client.sendJson({ type: "subscribe", channel: "news" });
  await client.nextJson();
  assert.equal(await server.publish("news", { text: "hello" }), 1);
  assert.deepEqual((await client.nextJson()).data, { text: "hello" });
  await server.stop();
  assert.equal((await within("the close", client.closed)).code, 3001);
  await assert.rejects(Client.connect(`${server.url}/ws`));
});

Deno.test("S01 listens on port 8080, and reports a port in use without leaving anything running", async () => {
  using _taken = listenOn(8080);
  const server = new RealtimeServer();
  await assert.rejects(server.start(), /^PlugboardError: Cannot listen on 127\.0\.0\.1:8080: /);
});

/** Occupies the port, unless it is in use already. */
function listenOn(port: number): Disposable {
  try {
    return Deno.listen({ port, hostname: "127.0.0.1" });
  } catch {
    return { [Symbol.dispose]() {} };
  }
}

Deno.test("S06 lists channels, clients and connections", async () => {
  await using server = await realtime({ port: 0 });
  const { client, id } = await listener(server, "news");
  await server.handleConnection({ id: "backend" });
  await server.publish("news", 1);
  const [stats] = server.getChannelStats("news");
  assert.deepEqual([stats!.channel, stats!.subscribers, stats!.publications], ["news", 1, 1]);
  assert.deepEqual(server.getClientInfo(id).map(({ channels }) => channels), [["news"]]);
  assert.deepEqual(server.getClientInfo().map((info) => info.id).sort(), [id, "backend"].sort());
  assert.deepEqual(server.getClientInfo("nobody"), []);
  assert.equal(server.getActiveConnections(), 2);
  await client.close();
  await until("the client to be gone", () => server.getActiveConnections() === 1);
});

Deno.test("S13 without start it works in memory: publish, subscribe, presence, queries", async () => {
  const server = new RealtimeServer();
  const heard: unknown[] = [];
  const unsubscribe = server.subscribe("chat", (message) => heard.push(message));
  assert.equal(await server.publish("chat", { text: "one" }), 1);
  await until("the callback", () => heard.length === 1);
  unsubscribe();
  assert.equal(await server.publish("chat", { text: "two" }), 0);
  server.updatePresence("client-123", "lobby", { name: "Alice" });
  assert.equal(server.getPresence("lobby").length, 1);
  const sql = "SELECT * FROM orders WHERE status = $1";
  await server.handleConnection({ id: "client-123" });
  const subscription = await server.subscribeToQuery("client-123", sql, ["pending"]);
  assert.equal(await server.notifyQueryUpdate(sql, [{ id: 1 }], ["done"]), 0);
  assert.equal(await server.notifyQueryUpdate(sql, [{ id: 1 }]), 1);
  assert.equal(await server.unsubscribeFromQuery(subscription), true);
  assert.equal(await server.unsubscribeFromQuery(subscription), false);
  await server.stop();
});

Deno.test("S07 required sign-in refuses everyone without credentials, also before any key is added", async () => {
  for (const config of [{ requireAuth: true }, { requireAuth: true, jwtSecret: SECRET }]) {
    await using server = await realtime({ port: 0, ...config });
    await using client = await Client.connect(`${server.url}/ws`);
    assert.equal((await client.nextJson()).data.message, "Authentication required for WebSocket connection");
    assert.equal((await within("the close", client.closed)).code, 3500);
    await assert.rejects(server.handleConnection({ id: "nobody" }), { code: "unauthorized" });
    for (const nonsense of ["nonsense", "a\nb", "é☃", " ", "x".repeat(100_000)]) {
      for (const proof of [{ auth: nonsense }, { apiKey: nonsense }]) {
        await assert.rejects(server.handleConnection({ id: "bad", ...proof }), { code: "invalid_token" });
      }
    }
    assert.equal(server.getActiveConnections(), 0);
  }
});

Deno.test("S07 a public address needs an explicit requireAuth", () => {
  for (const config of [{ host: "0.0.0.0" }, { host: "::", jwtSecret: SECRET }]) {
    assert.throws(() => new RealtimeServer(config), /"requireAuth" must be true or false where others/);
  }
  new RealtimeServer({ host: "::1" });
  new RealtimeServer({ host: "0.0.0.0", requireAuth: true, jwtSecret: SECRET });
});

Deno.test("S09 S12 permissions are checked for clients with and without a socket", async () => {
  await using server = await realtime({ port: 0, requireAuth: true, jwtSecret: SECRET });
  const jwt = await token({ sub: "ann", permissions: ["read:metrics"] });
  await server.handleConnection({ id: "ann", auth: jwt });
  const { client, id } = await listener(server, "metrics", `?token=${jwt}`);
  for (const who of ["ann", id]) {
    assert.equal(server.checkChannelPermission(who, "metrics"), true);
    assert.equal(server.checkChannelPermission(who, "other"), false);
    assert.equal(await server.subscribeClient(who, "metrics"), true, "also if already subscribed");
    assert.equal(await server.subscribeClient(who, "other"), false);
    await assert.rejects(server.publishFromClient(who, "metrics", 1), { code: "permission_denied" });
  }
  assert.equal(server.checkChannelPermission("unknown", "metrics"), false);
  for (const call of ["subscribeClient", "publishFromClient"] as const) {
    await assert.rejects(server[call]("unknown", "metrics", 1), {
      message: "Authentication required for WebSocket connection",
    });
  }
  await client.close();
});

Deno.test("S12 a client that the app subscribes is informed, then receives messages", async () => {
  await using server = await realtime({ port: 0 });
  const { client, id } = await listener(server, "news");
  assert.equal(await server.subscribeClient(id, "sports"), true);
  const { type, channel } = await client.nextJson();
  assert.deepEqual([type, channel], ["subscribed", "sports"]);
  assert.equal(await server.publish("sports", "goal"), 1);
  assert.equal((await client.nextJson()).data, "goal");
  await client.close();
});

Deno.test("S12 connecting a client again replaces it, and revoking its token disconnects it", async () => {
  await using server = await realtime({ requireAuth: true, jwtSecret: SECRET });
  await server.handleConnection({ id: "ann", auth: await token({ sub: "ann", permissions: ["read:*"] }) });
  await server.subscribeClient("ann", "news");
  await server.handleConnection({ id: "ann", auth: await token({ sub: "ann", permissions: ["write:*"] }) });
  assert.equal(server.getActiveConnections(), 1);
  assert.equal(await server.publishFromClient("ann", "news", 1), 0, "the replaced client is unsubscribed");
  assert.equal(server.checkChannelPermission("ann", "news"), false);
  await server.access.revoke({ user: "ann" });
  assert.equal(server.getActiveConnections(), 0);
  await assert.rejects(server.publishFromClient("ann", "news", 1), { code: "unauthorized" });
});

Deno.test("S10 the message limit applies per client", async () => {
  await using server = await realtime({ rateLimit: { maxMessagesPerMinute: 3 } });
  await server.handleConnection({ id: "ann" });
  const allowed = (client: string) =>
    Array.from({ length: 5 }, () => server.enforceRateLimit(client, "message"));
  assert.deepEqual(allowed("ann"), [true, true, true, false, false]);
  assert.deepEqual(allowed("bob"), [true, true, true, false, false]);
  assert.equal(server.enforceRateLimit("ann", "subscribe"), true, "another operation");
});

Deno.test("S11 checks messages for size and script", () => {
  const server = new RealtimeServer();
  assert.equal(server.validateMessage({ text: "hello" }), true);
  assert.equal(server.validateMessage({ text: "<script>alert(1)</script>" }), false);
  assert.equal(server.validateMessage({ text: "x".repeat(100_000) }), false);
});

Deno.test("adds custom plugins until it starts", async () => {
  const server = new RealtimeServer({ port: 0 });
  const counted = server.use({
    name: "counter",
    api: { count: 0 },
    open: () => void counted.count++,
  });
  await server.start();
  assert.throws(() => server.use({ name: "late" }), { code: "started" });
  await using client = await Client.connect(`${server.url}/ws`);
  await client.nextJson();
  assert.equal(counted.count, 1);
  await server.stop();
});

Deno.test("refuses options that are not positive numbers, by name", () => {
  const cases = [
    [{ pingInterval: 0 }, /"pingInterval" must be a positive integer, got 0/],
    [{ presenceTimeout: -1 }, /"presenceTimeout"/],
    [{ rateLimit: { maxConnections: 0 } }, /"rateLimit.maxConnections"/],
    [{ rateLimit: { maxMessagesPerMinute: 1.5 } }, /"rateLimit.maxMessagesPerMinute"/],
    [{ rateLimit: { windowMs: NaN } }, /"rateLimit.windowMs"/],
  ] as const;
  for (const [config, sentence] of cases) assert.throws(() => new RealtimeServer(config), sentence);
});
