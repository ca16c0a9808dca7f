import assert from "node:assert/strict";
import {
  type AnyPlugin,
  type Closed,
  type Connection,
  PlugboardError,
  type Plugin,
  refusalFor,
  Server,
} from "../../../core/mod.ts";
import { type Access, auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import {
  RateLimitError,
  type RateLimits,
  rateLimits,
  type RateLimitsOptions,
} from "../../../plugins/rate_limits.ts";
import { clientIpFrom } from "../../../plugins/shared/client_ip.ts";
import { metricsRegistry } from "../../../plugins/shared/metrics.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { type Client, FakeClock, Inbox, started, type TestServer, until } from "../../kit/mod.ts";
import { closed, me, passing, refusedUpgrade, SECRET, stopping, token } from "../auth/kit.ts";

/** A server with limits and a fake clock, which takes clients' addresses from `X-Forwarded-For`. */
async function serveLimits(
  options: RateLimitsOptions,
  more: (limits: RateLimits) => AnyPlugin[] = () => [echo()],
): Promise<TestServer & { limits: RateLimits; clock: FakeClock }> {
  const clock = new FakeClock();
  const server = new Server({
    port: 0,
    drainMs: 1_000,
    clock,
    clientIp: clientIpFrom({ trusted: ["loopback"] }),
  });
  const limits = server.use(rateLimits(options));
  for (const plugin of more(limits)) server.use(plugin);
  return Object.assign(await started(server), {
    limits,
    clock,
    [Symbol.asyncDispose]: stopping(server, clock),
  });
}

const from = (ip: string) => ({ "x-forwarded-for": ip });

/** Sign-in with `/me`, and two routes: `/guarded` for admins, and `/who` that tells who asks. */
function withRoutes(limits: RateLimits): AnyPlugin[] {
  const access = auth({ jwt: { secret: SECRET }, limits: limits.signIns });
  return [access, me(access.api), {
    name: "routes",
    routes(app) {
      app.get("/guarded", access.api.requireAuth(), (c) => c.text("welcome"));
      app.all("/who", async (c) => {
        try {
          return c.text((await access.api.requestIdentity(c.req.raw, c.env.ip)).user);
        } catch (error) {
          return refusalFor(error);
        }
      });
    },
  }];
}

/** Sends a message and returns the answer. */
async function ask(client: Client, message: unknown) {
  client.sendJson(message);
  return await client.nextJson();
}

Deno.test("messages beyond the limit do not reach the protocol, later ones do", async () => {
  await using server = await serveLimits({ limits: { messages: "5/10s" }, whenExceeded: "drop" });
  await using client = await server.connect("/echo");
  for (let i = 0; i < 8; i++) client.send(`m${i}`);
  for (let i = 0; i < 5; i++) assert.equal(await client.next(), `m${i}`);
  server.clock.advance(2_000);
  client.send("later");
  assert.equal(await client.next(), "later");
});

Deno.test("a clock that is set back or forward changes no limit", async () => {
  await using server = await serveLimits({ limits: { messages: "5/10s" }, whenExceeded: "drop" });
  await using client = await server.connect("/echo");
  for (let i = 0; i < 5; i++) client.send(`m${i}`);
  for (let i = 0; i < 5; i++) assert.equal(await client.next(), `m${i}`);
  for (const ms of [-3_600_000, 7_200_000]) {
    server.clock.set(ms);
    const [{ id }] = [...server.server.connections] as [Connection];
    assert.equal(server.limits.enforceRateLimit(id, "message"), false);
    server.clock.advance(10_000);
    for (let i = 0; i < 5; i++) client.send(`m${i}`);
    for (let i = 0; i < 5; i++) assert.equal(await client.next(), `m${i}`);
  }
});

Deno.test("bytes are limited", async () => {
  await using server = await serveLimits({ limits: { bytes: "1000/10s" }, whenExceeded: "drop" });
  await using client = await server.connect("/echo");
  client.send("x".repeat(900));
  client.send("y".repeat(200));
  client.send("z".repeat(100));
  assert.equal((await client.nextText())[0], "x");
  assert.equal((await client.nextText())[0], "z");
});

Deno.test("a limit of one client does not affect another", async () => {
  await using server = await serveLimits({ limits: { messages: "2/10s" }, whenExceeded: "drop" });
  await using greedy = await server.connect("/echo");
  await using modest = await server.connect("/echo");
  for (let i = 0; i < 10; i++) greedy.send("more");
  modest.send("hello");
  assert.equal(await modest.next(), "hello");
});

/** Adds an answer to refused messages. */
function answering(limits: RateLimits, plugin: Plugin = echo()): Plugin {
  return {
    ...plugin,
    start: () =>
      limits.answerWith(plugin.endpoints![0]!, (conn, message, error) => {
        conn.send(JSON.stringify({ refused: message, why: error.message, retryAfterMs: error.retryAfterMs }));
      }),
  };
}

Deno.test("S10 S14 a protocol answers refused messages with the limit and the time to wait", async () => {
  const options: RateLimitsOptions = { limits: { messages: "2/10s" }, whenExceeded: "error" };
  await using server = await serveLimits(options, (limits) => [answering(limits)]);
  await using client = await server.connect("/echo");
  for (const message of ["a", "b", "c"]) client.send(message);
  assert.deepEqual([await client.next(), await client.next()], ["a", "b"]);
  assert.deepEqual(await client.nextJson(), {
    refused: "c",
    why: "Rate limit exceeded: Too many messages sent, try again in 5 s",
    retryAfterMs: 5_000,
  });
});

Deno.test("a client that continues after refusals is disconnected", async () => {
  const limits = { messages: "10/10s", refusals: "20/10s" } as const;
  const ends = new Inbox<Closed>();
  const seen: unknown[] = [];
  const watch: Plugin = {
    name: "watch",
    message: (_conn, data) => void seen.push(data),
    close: (_conn, why) => ends.put(why),
  };
  await using server = await serveLimits({ limits }, (api) => [answering(api), watch]);
  await using client = await server.connect("/echo");
  for (let i = 0; i < 100; i++) client.send("flood");
  assert.deepEqual(await ends.next(), { code: 3013, reason: "too many requests", by: "server" });
  assert.equal(seen.length, 10);
});

Deno.test("S10 subscribes and publishes are limited per connection", async () => {
  const bus = channels();
  await using server = await serveLimits(
    { limits: { subscribes: "2/10s", publishes: "3/10s" } },
    (limits) => {
      bus.api.extend(limits.extension);
      return [bus, channelProtocol(bus.api)];
    },
  );
  await using client = await server.connect("/t");
  for (const channel of ["a", "b"]) await ask(client, { do: "subscribe", channel });
  assert.deepEqual(await ask(client, { do: "subscribe", channel: "c" }), { error: "too_many_requests" });
  for (let i = 0; i < 3; i++) {
    assert.ok("published" in await ask(client, { do: "publish", channel: "x", data: i }));
  }
  assert.deepEqual(await ask(client, { do: "publish", channel: "x", data: 4 }), {
    error: "too_many_requests",
  });
  server.clock.advance(5_000);
  assert.equal((await ask(client, { do: "subscribe", channel: "c" })).subscribed, "c");
  const [conn] = server.server.connections;
  for (const channel of ["d", "e", "f"]) {
    assert.equal(
      await bus.api.subscribeClients({ client: conn!.id }, channel),
      1,
      "the server has no limit",
    );
  }
  await bus.api.publish("x", "no limit either");
});

Deno.test("publishes to a channel are limited for all clients together", async () => {
  const bus = channels();
  await using server = await serveLimits({ limits: { publishesPerChannel: "3/10s" } }, (limits) => {
    bus.api.extend(limits.extension);
    return [bus, channelProtocol(bus.api)];
  });
  const answers: unknown[] = [];
  for (let i = 0; i < 5; i++) {
    await using client = await server.connect("/t");
    answers.push(Object.keys(await ask(client, { do: "publish", channel: "x", data: i }))[0]);
  }
  assert.deepEqual(answers, ["published", "published", "published", "error", "error"]);
  await using client = await server.connect("/t");
  assert.ok("published" in await ask(client, { do: "publish", channel: "y", data: 1 }));
});

/** Limits with sign-in, as in `main.ts`. */
function withSignIn(use: (access: Access) => AnyPlugin[] = (access) => [me(access)]) {
  return (limits: RateLimits): AnyPlugin[] => {
    const plugin = auth({ jwt: { secret: SECRET }, limits: limits.signIns });
    return [plugin, ...use(plugin.api)];
  };
}

Deno.test("a user's connections share one limit, which survives a reconnect", async () => {
  const limits = { messages: "10/10s", messagesPerUser: "12/10s" } as const;
  await using server = await serveLimits({ limits, whenExceeded: "error" }, (api) => {
    return withSignIn((access) => [answering(api, me(access))])(api);
  });
  async function through(user: string, messages: number): Promise<number> {
    await using client = await server.connect(`/me?token=${await token({ sub: user })}`);
    await client.next();
    for (let i = 0; i < messages; i++) client.send("m");
    let passed = 0;
    for (let i = 0; i < messages; i++) if (await client.next() === "m") passed++;
    return passed;
  }
  assert.equal(await through("alice", 8), 8);
  await until("the end of the first", () => server.server.connections.size === 0);
  assert.equal(await through("alice", 8), 4);
  assert.equal(await through("bob", 8), 8);
});

Deno.test("the connections of a user are limited", async () => {
  await using server = await serveLimits({ limits: { connectionsPerUser: 2 } }, withSignIn());
  const path = `/me?token=${await token({ sub: "alice" })}`;
  await using first = await server.connect(path);
  await using second = await server.connect(path);
  await Promise.all([first.next(), second.next()]);
  await using third = await server.connect(path);
  assert.deepEqual(await closed(third), { code: 3504, reason: "connection limit" });
  await first.close();
  await until("the end of the first", () => server.server.connections.size === 1);
  await using fourth = await server.connect(path);
  assert.deepEqual(await fourth.nextJson(), { user: "alice" });
  await using bob = await server.connect(`/me?token=${await token({ sub: "bob" })}`);
  assert.deepEqual(await bob.nextJson(), { user: "bob" });
});

Deno.test("S10 connections and attempts to connect are limited by address", async () => {
  await using server = await serveLimits({ limits: { connectionsPerIp: 2, connectsPerIp: "4/1m" } });
  await using first = await server.connect("/echo", [], from("203.0.113.7"));
  await using _second = await server.connect("/echo", [], from("203.0.113.7"));
  const full = await refusedUpgrade(server, "/echo", from("203.0.113.7"));
  assert.deepEqual([full.status, full.code, full.headers.get("retry-after")], [
    429,
    "too_many_requests",
    "5",
  ]);
  await using _other = await server.connect("/echo", [], from("203.0.113.8"));
  await first.close();
  await until("the end of the first", () => server.server.connections.size === 2);
  for (let i = 0; i < 2; i++) {
    await using again = await server.connect("/echo", [], from("203.0.113.7"));
    await again.close();
    await until("its end", () => server.server.connections.size === 2);
  }
  const often = await refusedUpgrade(server, "/echo", from("203.0.113.7"));
  assert.deepEqual([often.status, often.headers.get("retry-after")], [429, "15"]);
  server.clock.advance(15_000);
  await using _later = await server.connect("/echo", [], from("203.0.113.7"));
});

Deno.test("an IPv6 client counts by its /64, and cannot forge an address", async () => {
  await using server = await serveLimits({ limits: { connectsPerIp: "2/1m" } });
  await using _a = await server.connect("/echo", [], from("2001:db8::1"));
  await using _b = await server.connect("/echo", [], from("2001:db8::2"));
  assert.equal((await refusedUpgrade(server, "/echo", from("2001:db8:0:0:ffff::3"))).status, 429);
  assert.equal((await refusedUpgrade(server, "/echo", from("1.2.3.4, 2001:db8::4"))).status, 429);
  await using _c = await server.connect("/echo", [], from("2001:db8:0:1::1"));
});

Deno.test("a hundred thousand addresses use bounded memory and do not evict an active one", async () => {
  const plugin = rateLimits({ maxTracked: 10_000, limits: { connectsPerIp: "5/1h" } });
  const endpoint = echo().endpoints![0]!;
  const upgrade = (ip: string) =>
    plugin.upgrade!({
      connectionId: "",
      endpoint,
      url: "",
      params: {},
      headers: new Headers(),
      ip,
      offered: [],
      protocol: undefined,
    });
  // deno-lint-ignore no-explicit-any -- the runtime's own collector, where the flag allows it
  const collect = (globalThis as any).gc as (() => void) | undefined;
  collect?.();
  const before = Deno.memoryUsage().heapUsed;
  let refused = 0;
  for (let i = 0; i < 100_000; i++) {
    assert.equal(await upgrade(`${i >> 16}.${i >> 8 & 255}.${i & 255}.9`), undefined);
    if (i % 4_000 === 0 && await upgrade("203.0.113.7") !== undefined) refused++;
  }
  assert.equal(refused, 20, "an active address is not evicted: five of 25 passed");
  collect?.();
  const grown = (Deno.memoryUsage().heapUsed - before) / 1e6;
  assert.ok(grown < (collect === undefined ? 60 : 5), `${grown} MB more`);
});

Deno.test("guessing credentials is slowed down, then refused, even with valid ones; other addresses are not", async () => {
  await using server = await serveLimits({ limits: { failedSignIns: "20/1h" } }, withSignIn());
  const guess = (credentials: string) =>
    refusedUpgrade(server, `/me?token=${credentials}`, from("203.0.113.7"));
  const waits: number[] = [];
  for (let i = 0; i < 20; i++) {
    const start = server.clock.wallTime();
    assert.equal((await passing(server.clock, guess("nonsense"))).status, 401);
    waits.push(server.clock.wallTime() - start);
  }
  assert.ok(Math.max(...waits.slice(0, 3)) < Math.min(...waits.slice(-3)), `slower and slower: ${waits}`);
  const good = await token({ sub: "alice" });
  const refused = await guess(good);
  assert.deepEqual([refused.status, refused.code], [429, "too_many_requests"]);
  assert.ok(Number(refused.headers.get("retry-after")) > 60);
  await using elsewhere = await server.connect(`/me?token=${good}`, [], from("203.0.113.8"));
  assert.deepEqual(await elsewhere.nextJson(), { user: "alice" });
});

Deno.test("expired tokens do not count as guesses", async () => {
  await using server = await serveLimits({ limits: { failedSignIns: "1/1h" } }, withSignIn());
  const expired = await token({ sub: "alice", exp: 1 });
  for (let i = 0; i < 5; i++) {
    assert.equal((await refusedUpgrade(server, `/me?token=${expired}`)).code, "token_expired");
  }
});

Deno.test("pages of other sites cannot use up the failed sign-ins of their visitors", async () => {
  await using server = await serveLimits({ limits: { failedSignIns: "2/1h" } }, withRoutes);
  const status = async (path: string, headers: Record<string, string>, method = "GET") => {
    const response = await server.fetch(path, { method, headers: { ...from("203.0.113.7"), ...headers } });
    await response.body?.cancel();
    return response.status;
  };
  const good = await token({ sub: "alice", permissions: ["admin"] });
  const image = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" };
  for (let i = 0; i < 10; i++) {
    for (const credentials of ["token=x", "api_key=x", `token=${good}`]) {
      assert.equal(await status(`/guarded?${credentials}`, image), 403);
      assert.equal(await status(`/who?${credentials}`, image), 403);
      assert.equal(await status(`/who?${credentials}`, { origin: "https://evil.com" }, "POST"), 403);
      const socket = await refusedUpgrade(server, `/me?${credentials}`, { ...from("203.0.113.7"), ...image });
      assert.equal(socket.status, 403, "even without an origin");
    }
  }
  for (const site of ["same-origin", "same-site", "none"]) {
    assert.equal(await status(`/guarded?token=${good}`, { "sec-fetch-site": site }), 200, site);
  }
  assert.equal(await status("/who", image), 401, "without credentials nothing is checked");
  const guess = () => passing(server.clock, status("/guarded?token=x", {}));
  for (let i = 0; i < 2; i++) assert.equal(await guess(), 401);
  assert.equal(await guess(), 429, "other guesses count");
});

Deno.test("stopping the server ends the delays", async () => {
  const server = await serveLimits({ limits: { failedSignIns: "10/1h" } }, withSignIn());
  const guess = () => refusedUpgrade(server, "/me?token=nonsense");
  for (let i = 0; i < 2; i++) await passing(server.clock, guess());
  const slow = guess().then(({ status }) => status, () => "aborted");
  const stopped = server.server.stop();
  await passing(server.clock, stopped);
  await slow;
});

Deno.test("an accepted upgrade counts as a connect, a refused one as a request", async () => {
  await using server = await serveLimits(
    { limits: { requests: "3/1m", connectsPerIp: "2/1m" } },
    (limits) => [
      { name: "requests", routes: (app) => void app.use(limits.middleware()) },
      echo(),
    ],
  );
  const address = from("203.0.113.7");
  await using _first = await server.connect("/echo", [], address);
  await using _second = await server.connect("/echo", [], address);
  const refused = await refusedUpgrade(server, "/echo", address);
  assert.deepEqual([refused.status, refused.headers.get("ratelimit")], [429, `"requests";r=2;t=20`]);
  const missing = await refusedUpgrade(server, "/missing", address);
  assert.deepEqual([missing.status, missing.headers.get("ratelimit")], [404, `"requests";r=1;t=40`]);
});

Deno.test("HTTP responses tell the remaining quota, and 429 with the time to wait", async () => {
  await using server = await serveLimits({ limits: { requests: "2/1m" } }, (limits) => [{
    name: "api",
    routes(app) {
      app.use("/api/*", limits.middleware());
      app.get("/api/a", (c) => c.text("a"));
      app.get("/free", (c) => c.text("free"));
    },
  }]);
  const get = async (path: string, ip = "203.0.113.7") => {
    const response = await server.fetch(path, { headers: from(ip) });
    return { status: response.status, body: await response.text(), headers: response.headers };
  };
  const first = await get("/api/a");
  assert.equal(first.body, "a");
  assert.equal(first.headers.get("ratelimit-policy"), `"requests";q=2;w=60`);
  assert.equal(first.headers.get("ratelimit"), `"requests";r=1;t=30`);
  assert.equal((await get("/api/a")).headers.get("ratelimit"), `"requests";r=0;t=60`);
  const third = await get("/api/a");
  assert.equal(third.status, 429);
  assert.equal(third.headers.get("retry-after"), "30");
  assert.equal(third.headers.get("ratelimit"), `"requests";r=0;t=60`);
  assert.match(
    JSON.parse(third.body).error.message,
    /^Rate limit exceeded: Too many requests, try again in 30 s$/,
  );
  assert.equal((await get("/api/a", "203.0.113.8")).status, 200);
  assert.equal((await get("/free")).status, 200);
  server.clock.advance(30_000);
  assert.equal((await get("/api/a")).status, 200);
});

Deno.test("S10 enforceRateLimit counts by client and operation", async () => {
  const limits = { queries: "2/10s", calls: "1/10s" } as const;
  await using server = await serveLimits({ limits });
  const { enforceRateLimit } = server.limits;
  const answers = () => [enforceRateLimit("client-1", "query"), enforceRateLimit("client-1", "call")];
  assert.deepEqual(answers(), [true, true]);
  assert.deepEqual(answers(), [true, false]);
  assert.deepEqual(answers(), [false, false]);
  assert.equal(enforceRateLimit("client-2", "query"), true);
  server.clock.advance(5_000);
  assert.equal(enforceRateLimit("client-1", "query"), true);

  await using client = await server.connect("/echo");
  client.send("hello");
  await client.next();
  const [conn] = server.server.connections;
  server.limits.spend(conn!, "call");
  assert.equal(enforceRateLimit(conn!.id, "call"), false, "the id of a connection shares its meter");
  assert.throws(() => server.limits.spend(conn!, "call"), (error) => {
    assert.ok(error instanceof RateLimitError && error instanceof PlugboardError);
    assert.equal(error.message, "Rate limit exceeded: Too many calls, try again in 10 s");
    assert.equal(error.retryAfterMs, 10_000);
    return true;
  });
});

Deno.test("with limits disabled, nothing is limited and there are no hooks", async () => {
  const plugin = rateLimits({
    enabled: false,
    limits: { messages: "1/1h", calls: "1/1h", connectionsPerUser: 1 },
  });
  assert.deepEqual(Object.keys(plugin).sort(), ["api", "name"], "no hooks");
  await using server = await serveLimits({ enabled: false, limits: { connectionsPerUser: 1 } }, withSignIn());
  const path = `/me?token=${await token({ sub: "alice" })}`;
  await using first = await server.connect(path);
  await using second = await server.connect(path);
  for (const client of [first, second]) {
    await client.next();
    for (let i = 0; i < 10; i++) {
      client.send("m");
      assert.equal(await client.next(), "m");
    }
  }
  const [conn] = server.server.connections;
  for (let i = 0; i < 10_000; i++) server.limits.spend(conn!, "query");
  assert.equal(server.limits.enforceRateLimit("x", "query"), true);
});

Deno.test("metrics count refusals by limit", async () => {
  const metrics = metricsRegistry();
  await using server = await serveLimits({ limits: { messages: "1/10s", connectsPerIp: "1/1m" }, metrics });
  await using client = await server.connect("/echo", [], from("203.0.113.7"));
  for (let i = 0; i < 3; i++) client.send("m");
  await refusedUpgrade(server, "/echo", from("203.0.113.7"));
  await until("both refusals", () => metrics.totals()["plugboard_rate_limited_total"] === 3);
  assert.match(metrics.render(), /plugboard_rate_limited_total\{what="message"\} 2/);
  assert.match(metrics.render(), /plugboard_rate_limited_total\{what="connect"\} 1/);
});

Deno.test("a flood from one client does not slow down the others", async () => {
  await using server = await serveLimits({ limits: { messages: "100/1s" }, whenExceeded: "drop" });
  await using flooding = await server.connect("/echo");
  await using modest = await server.connect("/echo");
  // Messages beyond the limit are dropped unparsed, so other clients are served in between.
  for (let i = 0; i < 1_000; i++) flooding.send("flood");
  for (let i = 0; i < 50; i++) {
    modest.send(`${i}`);
    assert.equal(await modest.next(), `${i}`);
  }
  assert.equal(flooding.waiting, 100);
});

Deno.test("invalid options throw", () => {
  assert.throws(() => rateLimits({ maxTracked: 0 }), /"maxTracked"/);
  assert.throws(() => rateLimits({ whenExceeded: "panic" as "drop" }), /"whenExceeded" must be one of/);
  assert.throws(() => rateLimits({ limits: { bytes: "1 MB/s" as "1/s" } }), /"bytes" must be a rate/);
});
