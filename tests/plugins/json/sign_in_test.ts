import assert from "node:assert/strict";
import { Server } from "../../../core/mod.ts";
import { auth, type AuthOptions } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { anonymousIdentity } from "../../../plugins/shared/identity.ts";
import { rateLimits, type RateLimitsOptions } from "../../../plugins/rate_limits.ts";
import { closed, SECRET, stopping, token } from "../auth/kit.ts";
import { type Client, FakeClock, started } from "../../kit/mod.ts";
import { ask, serveJson } from "./kit.ts";

/** A server whose clients sign in by token, with a clock that stands still. */
async function serveTokens(
  options: AuthOptions = {},
  limitOptions: RateLimitsOptions = {},
) {
  const clock = new FakeClock();
  const server = new Server({ port: 0, drainMs: 1_000, clock, pingIntervalMs: 600_000 });
  const limits = server.use(rateLimits(limitOptions));
  const access = server.use(auth({ jwt: { secret: SECRET }, limits: limits.signIns, ...options }));
  const bus = server.use(channels({ limits }));
  server.use(json({ channels: bus, access, limits, heartbeatMs: 600_000 }));
  return Object.assign(await started(server), {
    clock,
    access,
    bus,
    /** A token that expires in so many seconds. */
    tokenFor: (sub: string, seconds: number) => token({ sub, exp: clock.wallTime() / 1000 + seconds }),
    [Symbol.asyncDispose]: stopping(server, clock),
  });
}

/** The error and the close code of a client whose token is refused. */
async function refusal(client: Client): Promise<[string, string, number]> {
  const { type, data } = await client.nextJson();
  return [type, data.code, (await closed(client)).code];
}

Deno.test("S07 a refused sign-in gets an error, and a close code that tells whether to reconnect", async () => {
  await using server = await serveTokens();
  const connect = async (query: string) => await refusal(await server.connect(`/ws${query}`));
  assert.deepEqual(await connect(""), ["error", "UNAUTHORIZED", 3500]);
  assert.deepEqual(await connect("?token=nonsense"), ["error", "INVALID_TOKEN", 3500]);
  assert.deepEqual(await connect("?api_key=unknown"), ["error", "INVALID_TOKEN", 3500]);
  const expired = await server.tokenFor("ann", -60);
  assert.deepEqual(await connect(`?token=${expired}`), ["error", "TOKEN_EXPIRED", 3005]);
  const client = await server.connect(`/ws?token=${await server.tokenFor("ann", 60)}`);
  const { type, data } = await client.nextJson();
  assert.deepEqual([type, data.userId, data.expiresAt], [
    "connection:ack",
    "ann",
    server.clock.wallTime() + 60_000,
  ]);
  await client.close();
});

Deno.test("S07 messages before a refused sign-in have no effect", async () => {
  await using server = await serveTokens();
  const client = await server.connect("/ws?token=nonsense");
  client.sendJson({ type: "publish", channel: "news", data: "sneaked in" });
  assert.deepEqual(await refusal(client), ["error", "INVALID_TOKEN", 3500]);
  assert.equal((await server.bus.history("news")).publications.length, 0);
});

Deno.test("S07 a user with too many connections gets an error", async () => {
  await using server = await serveTokens({}, { limits: { connectionsPerUser: 1 } });
  const path = `/ws?token=${await server.tokenFor("ann", 60)}`;
  await using client = await server.connect(path);
  await client.nextJson();
  assert.deepEqual(await refusal(await server.connect(path)), ["error", "CONNECTION_LIMIT", 3504]);
});

Deno.test("a client learns that its token expires, can renew it, and is closed if it does not", async () => {
  await using server = await serveTokens({ warnMs: 30_000, graceMs: 10_000 });
  const { clock } = server;
  const client = await server.connect(`/ws?token=${await server.tokenFor("ann", 60)}`);
  await client.nextJson();
  await ask(client, { type: "subscribe", channel: "news" });
  const end = clock.wallTime() + 60_000;
  clock.advance(29_000);
  assert.equal((await ask(client, { type: "ping" })).type, "pong", "too early");
  clock.advance(1_000);
  const { type, data } = await client.nextJson();
  assert.deepEqual([type, data], ["connection:expiring", { expiresAt: end }]);

  const fresh = await server.tokenFor("ann", 100);
  const refreshed = await ask(client, { type: "refresh", id: "r", data: { token: fresh } });
  assert.deepEqual([refreshed.type, refreshed.id], ["refreshed", "r"]);
  assert.deepEqual(refreshed.data, { expiresAt: clock.wallTime() + 100_000 });
  await server.bus.publish("news", "still here");
  assert.equal((await client.nextJson()).data, "still here");

  clock.advance(70_000);
  assert.equal((await client.nextJson()).type, "connection:expiring", "before the new expiry too");
  clock.advance(40_000);
  assert.equal((await closed(client)).code, 3005);
});

Deno.test("a refresh without a token is an error, and with a refused token it closes the connection", async () => {
  await using server = await serveTokens();
  const refresh = async (data: unknown) => {
    const client = await server.connect(`/ws?token=${await server.tokenFor("ann", 60)}`);
    await client.nextJson();
    client.sendJson({ type: "refresh", id: "r", data });
    return client;
  };
  for (const data of [undefined, {}, { token: "" }, { token: 5 }, "token"]) {
    await using client = await refresh(data);
    const answer = await client.nextJson();
    assert.deepEqual([answer.id, answer.data.code], ["r", "INVALID_MESSAGE"]);
    assert.equal((await ask(client, { type: "ping" })).type, "pong");
  }
  const cases: [string, string, number][] = [
    ["nonsense", "INVALID_TOKEN", 3500],
    [await server.tokenFor("bob", 60), "INVALID_TOKEN", 3500],
    [await server.tokenFor("ann", -60), "TOKEN_EXPIRED", 3005],
  ];
  for (const [jwt, code, closeCode] of cases) {
    assert.deepEqual(await refusal(await refresh({ token: jwt })), ["error", code, closeCode]);
  }
});

Deno.test("a refresh with fewer permissions ends subscriptions that are no longer allowed", async () => {
  await using server = await serveTokens();
  const client = await server.connect(
    `/ws?token=${await token({ sub: "ann", permissions: ["read:news", "read:secrets"] })}`,
  );
  await client.nextJson();
  for (const channel of ["news", "secrets"]) await ask(client, { type: "subscribe", channel });
  const less = await token({ sub: "ann", permissions: ["read:news"] });
  assert.equal((await ask(client, { type: "refresh", data: { token: less } })).type, "refreshed");
  const ended = await client.nextJson();
  assert.deepEqual([ended.type, ended.channel], ["unsubscribed", "secrets"]);
  await client.close();
});

Deno.test("the client learns that the server changes the expiry of its sign-in", async () => {
  await using server = await serveTokens();
  const client = await server.connect(`/ws?token=${await server.tokenFor("ann", 60)}`);
  const { data: { clientId } } = await client.nextJson();
  const expiresAt = server.clock.wallTime() + 600_000;
  assert.equal(await server.bus.refresh({ client: clientId }, { expiresAt }), 1);
  const { type, data } = await client.nextJson();
  assert.deepEqual([type, data], ["refreshed", { expiresAt }]);
  await client.close();
});

Deno.test("S10 S14 messages above the limit get an error with their id and the time to wait", async () => {
  await using server = await serveTokens({}, { limits: { messages: "3/1m", refusals: "5/1m" } });
  const client = await server.connect(`/ws?token=${await server.tokenFor("ann", 600)}`);
  await client.nextJson();
  for (let i = 0; i < 3; i++) assert.equal((await ask(client, { type: "ping" })).type, "pong");
  const { type, id, channel, data } = await ask(client, { type: "publish", channel: "news", id: 7, data: 1 });
  assert.deepEqual([type, id, channel, data], ["error", "7", "news", {
    code: "TOO_MANY_REQUESTS",
    message: "Rate limit exceeded: Too many messages sent, try again in 20 s",
    retryAfterMs: 20_000,
  }]);
  client.send("nonsense");
  assert.equal((await client.nextJson()).data.code, "TOO_MANY_REQUESTS");
  server.clock.advance(20_000);
  assert.equal((await ask(client, { type: "ping" })).type, "pong");
  for (let i = 0; i < 10; i++) client.send("nonsense");
  assert.equal((await closed(client)).code, 3013, "a client that continues is disconnected");
});

Deno.test("S10 publishes above the limit get the time to wait", async () => {
  await using server = await serveTokens({}, { limits: { publishes: "1/1m" } });
  const client = await server.connect(`/ws?token=${await server.tokenFor("ann", 600)}`);
  await client.nextJson();
  const publish = { type: "publish", channel: "news", data: 1 };
  assert.equal((await ask(client, publish)).type, "published");
  const { data } = await ask(client, publish);
  assert.deepEqual([data.code, data.retryAfterMs], ["TOO_MANY_REQUESTS", 60_000]);
  await client.close();
});

Deno.test("S07 a client that has not signed in receives no broadcasts", async () => {
  const clock = new FakeClock();
  const [asked, allowed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const access = {
    async connect() {
      asked.resolve();
      await allowed.promise;
      return { identity: anonymousIdentity, permissions: [], channels: new Map() };
    },
    refresh: () => Promise.reject(new Error("not here")),
    signsInByMessage() {},
  };
  await using server = await serveJson({ access, heartbeatMs: 1_000 }, { clock });
  const client = await server.connect("/ws");
  await asked.promise;
  const secret = { type: "error", channel: "", data: { code: "SECRET", message: "secret" } } as const;
  assert.equal(server.json.broadcast(secret), 0);
  clock.advance(1_000);
  assert.equal(server.json.clientCount(), 0);
  allowed.resolve();
  assert.equal((await client.nextJson()).type, "connection:ack", "the first message");
  assert.equal(server.json.broadcast(secret), 1);
  assert.equal((await client.nextJson()).data.code, "SECRET");
  await client.close();
});

Deno.test("a sign-in that fails in the server closes one connection and is logged", async () => {
  const failing = () => Promise.reject(new Error("the keys are lost"));
  const access = { connect: failing, refresh: failing, signsInByMessage() {} };
  await using server = await serveJson({ access });
  const client = await server.connect("/ws");
  assert.deepEqual((await client.nextJson()).data, { code: "INTERNAL", message: "Internal server error" });
  assert.equal((await closed(client)).code, 3004);
  const { plugin, level, fields } = await server.log.next();
  assert.deepEqual([plugin, level, (fields["error"] as Error).message], [
    "json",
    "error",
    "the keys are lost",
  ]);
});

Deno.test("a client is subscribed to the channels in its token", async () => {
  await using server = await serveTokens();
  const jwt = await token({ sub: "ann", permissions: [], channels: ["inbox", "collaboration"] });
  const client = await server.connect(`/ws?token=${jwt}`);
  assert.equal((await client.nextJson()).type, "connection:ack");
  const subscribed = [await client.nextJson(), await client.nextJson()];
  assert.deepEqual(subscribed.map(({ type, channel }) => [type, channel]), [
    ["subscribed", "inbox"],
    ["subscribed", "collaboration"],
  ]);
  assert.equal((await client.nextJson()).type, "user:joined");
  await server.bus.publish("inbox", "for ann");
  assert.equal((await client.nextJson()).data, "for ann");
  await client.close();
});

Deno.test("every client is subscribed to the allowed channels of autoSubscribe, and can unsubscribe", async () => {
  await using server = await serveJson({ autoSubscribe: ["news", "secret:a"] });
  const { client } = await server.join("ann");
  const { type, channel, data } = await client.nextJson();
  assert.deepEqual([type, channel, data.position.offset], ["subscribed", "news", 0]);
  await server.bus.publish("secret:a", "not for clients");
  await server.bus.publish("news", "hello");
  assert.equal((await client.nextJson()).data, "hello");
  assert.equal((await ask(client, { type: "unsubscribe", channel: "news" })).type, "unsubscribed");
  await client.close();
});

Deno.test("the name that a client gives itself counts only without sign-in", async () => {
  const nameOf = async (access: ReturnType<typeof auth>, query: string) => {
    await using server = await serveJson({ access: access.api }, {}, access);
    const client = await server.connect(`/ws?userId=${query}`);
    const { type, data } = await client.nextJson();
    await client.close();
    return type === "error" ? data.code : data.userId;
  };
  assert.equal(await nameOf(auth(), "J%C3%B6rg"), "Jörg");
  assert.equal(await nameOf(auth({ jwt: { secret: SECRET }, anonymous: true }), "ann"), "");
  assert.equal(await nameOf(auth(), "x".repeat(129)), "BAD_REQUEST");
});
