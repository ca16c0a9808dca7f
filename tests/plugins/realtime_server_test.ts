import assert from "node:assert/strict";
import { SignJWT } from "jose";
import { type RealtimeConfig, RealtimeServer } from "../../plugins/realtime_server.ts";
import { Client, until } from "../kit/mod.ts";

const secret = "a secret of thirty-two bytes or more";

function token(user: string, permissions: string[]): Promise<string> {
  return new SignJWT({ sub: user, permissions }).setProtectedHeader({ alg: "HS256" }).sign(
    new TextEncoder().encode(secret),
  );
}

async function started(config: RealtimeConfig = {}) {
  const server = new RealtimeServer({ port: 0, ...config });
  await server.start();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}

Deno.test("S01 it starts, serves and stops, with the defaults of its original", async () => {
  await using server = await started();
  await using client = await Client.connect(`${server.url}/ws`);
  const ack = await client.nextJson();
  assert.equal(ack.data.heartbeatInterval, 30_000);
  client.sendJson({ type: "subscribe", channel: "news" });
  await client.nextJson();
  assert.equal(await server.publish("news", { text: "hello" }), 1);
  assert.deepEqual((await client.nextJson()).data, { text: "hello" });
  assert.equal(server.getActiveConnections(), 1);
  assert.equal(server.getClientInfo()[0]!.channels[0], "news");
  assert.equal(server.getChannelStats("news")[0]!.subscribers, 1);
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
  const [present] = server.getPresence("lobby");
  assert.deepEqual([present!.client, present!.data], ["client-123", { name: "Alice" }]);
  const sql = "SELECT * FROM orders WHERE status = $1";
  await server.handleConnection({ id: "client-123" });
  const subscription = await server.subscribeToQuery("client-123", sql, ["pending"]);
  assert.equal(await server.notifyQueryUpdate(sql, [{ id: 1 }], ["done"]), 0);
  assert.equal(await server.notifyQueryUpdate(sql, [{ id: 1 }]), 1);
  assert.equal(server.unsubscribeFromQuery(subscription), true);
  await server.stop();
});

Deno.test("S12 a client subscribes and publishes only where its permissions allow", async () => {
  const server = new RealtimeServer({ requireAuth: true, jwtSecret: secret });
  assert.deepEqual(await server.authenticateConnection(await token("ann", ["read:metrics"])), {
    success: true,
    userId: "ann",
    permissions: ["read:metrics"],
  });
  assert.equal((await server.authenticateConnection("nonsense")).success, false);
  assert.equal(await server.handleConnection({ id: "nobody" }), false);
  assert.equal(await server.handleConnection({ id: "bad", auth: "nonsense" }), false);
  assert.equal(
    await server.handleConnection({ id: "ann", auth: await token("ann", ["read:metrics"]) }),
    true,
  );
  server.addApiKey("secret-api-key-123-long-enough", {
    name: "Dashboard Server",
    permissions: ["read:metrics", "write:metrics"],
  });
  assert.equal(
    await server.handleConnection({ id: "dashboard", apiKey: "secret-api-key-123-long-enough" }),
    true,
  );
  assert.equal(server.checkChannelPermission("ann", "metrics"), true);
  assert.equal(server.checkChannelPermission("ann", "other"), false);
  assert.equal(await server.subscribeClient("ann", "metrics"), true);
  assert.equal(await server.subscribeClient("ann", "other"), false);
  assert.equal(await server.publishFromClient("dashboard", "metrics", { cpu: 45.2 }), 1);
  await assert.rejects(server.publishFromClient("ann", "metrics", 1), { code: "permission_denied" });
  await assert.rejects(server.publishFromClient("unknown", "metrics", 1), {
    message: "Authentication required for WebSocket connection",
  });
  await server.stop();
});

Deno.test("S10 S12 publishes of a client beyond the limit are refused with the original's words", async () => {
  const server = new RealtimeServer({ rateLimit: { maxMessagesPerMinute: 3 } });
  await server.handleConnection({ id: "ann" });
  const allowed = Array.from({ length: 5 }, () => server.enforceRateLimit("ann", "message"));
  assert.deepEqual(allowed, [true, true, true, false, false]);
  await server.stop();
});

Deno.test("S11 messages are checked for size and script", () => {
  const server = new RealtimeServer();
  assert.equal(server.validateMessage({ text: "hello" }), true);
  assert.equal(server.validateMessage({ text: "<script>alert(1)</script>" }), false);
  assert.equal(server.validateMessage({ text: "x".repeat(100_000) }), false);
});

Deno.test("on another address it does not open by default", async () => {
  const server = new RealtimeServer({ host: "0.0.0.0", port: 0 });
  await assert.rejects(server.start());
  await server.stop();
});
