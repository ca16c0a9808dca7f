import assert from "node:assert/strict";
import { until } from "../../kit/mod.ts";
import { token } from "../auth/kit.ts";
import { apiServer } from "./kit.ts";

Deno.test("B14 search finds channels, users and connections by a part of their name", async () => {
  await using server = await apiServer();
  await using ada = await server.user("Ada <b>");
  await using _other = await server.user("grace");
  const subscription = ada.sdk.newSubscription("Chat:Lobby");
  subscription.subscribe();
  await subscription.ready(30_000);
  const { channels } = await server.result("search", { text: "lobb" });
  assert.deepEqual(channels, [{ channel: "Chat:Lobby", num_clients: 1 }]);
  const { users } = await server.result("search", { text: "ada" });
  assert.deepEqual(users, [{ user: "Ada <b>", num_clients: 1 }]);
  const [id] = Array.from(server.bus.clients).find(([, { identity }]) => identity.user === "Ada <b>")!;
  const { clients } = await server.result("search", { text: id.slice(0, 10) });
  assert.deepEqual(clients, [{ client: id, user: "Ada <b>" }]);
  const all = await server.result("search", { text: "", limit: 1 });
  assert.deepEqual([all.channels.length, all.users.length, all.clients.length], [1, 1, 1]);
});

Deno.test("B14 a channel's description says what it lacks, and why", async () => {
  await using server = await apiServer({
    channels: { namespaces: { chat: { historySize: 0, presence: false }, kept: {} } },
  });
  const { notes, namespace } = await server.result("channel", { channel: "chat:1" });
  assert.ok(
    notes.includes("No history: historySize is 0 in the namespace chat. So nothing can be recovered."),
  );
  assert.ok(notes.includes("No presence: presence is false in the namespace chat."));
  assert.equal(namespace.historySize, 0);
  assert.ok(!("broker" in namespace));

  await server.bus.publish("kept:1", 1);
  const kept = await server.result("channel", { channel: "kept:1" });
  assert.equal(kept.position.offset, 1);
  assert.ok(!kept.notes.some((note: string) => note.startsWith("No history")));
  const wrong = await server.call("channel", { channel: "a\u0000b" });
  assert.equal(wrong.status, 400);
});

Deno.test("B14 a verdict names the rule that decides, for a token, a user and a connection", async () => {
  await using server = await apiServer({ channels: { namespaces: { news: { publish: "nobody" } } } });
  const may = async (params: object) => {
    const { verdicts } = await server.result("verdict", params);
    return verdicts;
  };
  const ofToken = await may({
    channel: "news:1",
    token: await token({ sub: "ada", permissions: ["read:news:*"] }),
  });
  assert.deepEqual(ofToken.subscribe, { allowed: true, rule: "permission" });
  assert.deepEqual(ofToken.publish, { allowed: false, rule: "nobody" });

  await using _ada = await server.user("ada");
  assert.equal((await may({ channel: "$secret", user: "ada" })).subscribe.rule, "private channel");
  assert.equal(
    (await may({ channel: "dialog#bob", user: "ada" })).subscribe.rule,
    "users in the channel's name",
  );
  const [id] = [...server.bus.clients.keys()];
  assert.equal((await may({ channel: "any", client: id })).publish.allowed, true);

  const refused = await server.call("verdict", { channel: "any", token: "no token" });
  assert.deepEqual([refused.status, refused.body.error.message], [400, "token: Invalid token"]);
  assert.equal((await server.call("verdict", { channel: "any", user: "nobody" })).status, 404);
  assert.equal((await server.call("verdict", { channel: "any", anonymous: true })).status, 400);
  assert.equal((await server.call("verdict", { channel: "any" })).status, 400);
});

Deno.test("B14 the journal tells when a user came and went, and why a recovery failed", async () => {
  await using server = await apiServer({ channels: { namespaces: { short: { historySize: 1 } } } });
  await using ada = await server.user("ada");
  const subscription = ada.sdk.newSubscription("short:1");
  subscription.subscribe();
  await subscription.ready(30_000);
  await server.bus.publish("short:1", 1);
  ada.sdk.disconnect();
  await until("the disconnect", () => server.bus.clients.size === 0);
  for (let i = 0; i < 3; i++) await server.bus.publish("short:1", i);
  ada.sdk.connect();
  await subscription.ready(30_000);
  const { entries } = await server.result("journal", { user: "ada" });
  assert.deepEqual(entries.map(({ event }: { event: string }) => event), [
    "not recovered",
    "connected",
    "disconnected",
    "connected",
  ]);
  assert.match(entries[0].reason, /not kept any more: historySize 1/);
  const [id] = [...server.bus.clients.keys()];
  const own = await server.result("journal", { client: id });
  assert.equal(own.entries.length, 2);
});

Deno.test("B14 closing a channel ends its subscriptions", async () => {
  await using server = await apiServer();
  await using ada = await server.user("ada");
  const subscription = ada.sdk.newSubscription("news");
  subscription.subscribe();
  await subscription.ready(30_000);
  const ended = new Promise<{ code: number }>((resolve) => subscription.on("unsubscribed", resolve));
  assert.deepEqual(await server.result("channel/close", { channel: "news" }), { closed: 1 });
  assert.equal((await ended).code, 2000);
});
