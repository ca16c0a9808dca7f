/** The hub over real sockets and requests: the paths, fields and statuses of the seed, and additions. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { auth } from "../../plugins/auth.ts";
import { type Channels, channels } from "../../plugins/channels.ts";
import { hub, type HubOptions, type SendReport } from "../../plugins/protocols/hub.ts";
import { channelProtocol } from "../kit/channel_protocol.ts";
import { rateLimits } from "../../plugins/rate_limits.ts";
import { passing } from "./auth/kit.ts";
import { type Client, FakeClock, least, RawClient, serve, type TestServer, until } from "../kit/mod.ts";
import type { AnyPlugin, ServerOptions } from "../../core/mod.ts";

const apiKey = "the-key-of-the-backend";

interface HubServer extends TestServer {
  readonly bus: Channels;
  readonly hub: ReturnType<typeof hub>["api"];
  // deno-lint-ignore no-explicit-any -- the tests check the fields
  call(path: string, body: unknown, headers?: Record<string, string>): Promise<{ status: number; body: any }>;
  send(body: unknown): Promise<SendReport & { status: string; message: string }>;
  /** Connects, and waits until the server has added the client. */
  join(query: string): Promise<Client>;
}

async function hubServer(
  options: Partial<HubOptions> = {},
  server: ServerOptions = {},
  ...more: AnyPlugin[]
): Promise<HubServer> {
  const bus = channels();
  const access = auth({ anonymous: { permissions: [] }, origins: ["*"] });
  const requireToken = options.access === undefined ? { requireToken: false } : {};
  const plugin = hub({ channels: bus.api, access: access.api, apiKey, ...requireToken, ...options });
  const tested = await serve(server, ...(options.access ? [] : [access]), ...more, bus, plugin);
  const call: HubServer["call"] = async (path, body, headers = { "x-api-key": apiKey }) => {
    const response = await tested.fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  return {
    ...tested,
    bus: bus.api,
    hub: plugin.api,
    call,
    async send(body) {
      const response = await call("/api/send", body);
      assert.equal(response.status, 200);
      return response.body;
    },
    async join(query) {
      const before = plugin.api.stats().total_connections;
      const client = await tested.connect(`/ws?${query}`);
      await until("the client to be added", () => plugin.api.stats().total_connections > before);
      return client;
    },
  };
}

const note = (n: number | string = 1) => ({
  type: "notification",
  payload: { n },
  timestamp: "2024-01-01T00:00:00Z",
});

/** Checks that the clients have got nothing else: their next message is one that is sent now. */
async function nothingBefore(server: HubServer, ...clients: Client[]): Promise<void> {
  const text = `marker ${crypto.randomUUID()}`;
  await server.hub.broadcast({ type: text });
  for (const client of clients) assert.equal((await client.nextJson()).type, text);
}

Deno.test("H01 a client connects with its user and optionally its session; without a user it is refused", async () => {
  await using server = await hubServer();
  await using _both = await server.join("userId=user123&sessionId=session456");
  await using _user = await server.join("userId=user123");
  assert.deepEqual(server.hub.stats(), { total_users: 1, total_connections: 2, total_sessions: 1 });

  const long = "x".repeat(10_000);
  for (
    const query of [
      "",
      "?sessionId=a",
      "?userId=",
      `?userId=${long}`,
      `?userId=a&sessionId=${long}`,
      "?userId=a%00b",
    ]
  ) {
    using raw = await RawClient.connect(server.port);
    assert.match(await raw.request(`/ws${query}`), /^HTTP\/1.1 400 /, query.slice(0, 50));
  }
});

Deno.test("H02 a message to a user reaches all of the user's connections and no others", async () => {
  await using server = await hubServer();
  await using phone = await server.join("userId=ann&sessionId=phone");
  await using laptop = await server.join("userId=ann&sessionId=laptop");
  await using other = await server.join("userId=bob&sessionId=desk");

  assert.deepEqual(await server.send({ targetUserId: "ann", message: note() }), {
    status: "success",
    message: "Message sent successfully",
    delivered: 2,
    targets: { user: { delivered: 2, known: true } },
  });
  assert.deepEqual(await phone.nextJson(), note());
  assert.deepEqual(await laptop.nextJson(), note());
  await nothingBefore(server, phone, laptop, other);
});

Deno.test("H02 a message to a session reaches only that session", async () => {
  await using server = await hubServer();
  await using phone = await server.join("userId=ann&sessionId=phone");
  await using laptop = await server.join("userId=ann&sessionId=laptop");
  const report = await server.send({ targetSessionId: "phone", message: note() });
  assert.deepEqual([report.delivered, report.targets], [1, { session: { delivered: 1, known: true } }]);
  assert.deepEqual(await phone.nextJson(), note());
  await nothingBefore(server, phone, laptop);
});

Deno.test("H02 a message to a user and a session reaches each connection once", async () => {
  await using server = await hubServer();
  await using phone = await server.join("userId=ann&sessionId=phone");
  await using laptop = await server.join("userId=ann&sessionId=laptop");
  await using desk = await server.join("userId=bob&sessionId=desk");

  const own = await server.send({ targetUserId: "ann", targetSessionId: "phone", message: note("own") });
  assert.deepEqual([own.delivered, own.targets], [2, {
    user: { delivered: 2, known: true },
    session: { delivered: 1, known: true },
  }]);
  const foreign = await server.send({
    targetUserId: "ann",
    targetSessionId: "desk",
    message: note("foreign"),
  });
  assert.deepEqual([foreign.delivered, foreign.targets.session!.delivered], [3, 1]);
  for (const client of [phone, laptop]) {
    assert.deepEqual([await client.nextJson(), await client.nextJson()], [note("own"), note("foreign")]);
  }
  assert.deepEqual(await desk.nextJson(), note("foreign"));

  // Clients need no token here, so another user may have the same session id.
  await using shared = await server.join("userId=eve&sessionId=phone");
  const both = await server.send({ targetUserId: "ann", targetSessionId: "phone", message: note("both") });
  assert.deepEqual([both.delivered, both.targets.session!.delivered], [3, 2]);
  for (const client of [phone, laptop, shared]) assert.deepEqual(await client.nextJson(), note("both"));
  await nothingBefore(server, phone, laptop, desk, shared);
});

Deno.test("H02 an unknown target is reported, and a missing target is an error", async () => {
  await using server = await hubServer();
  const report = await server.send({ targetUserId: "nobody", targetSessionId: "none", message: note() });
  assert.deepEqual(report, {
    status: "success",
    message: "Nobody is connected under this target",
    delivered: 0,
    targets: { user: { delivered: 0, known: false }, session: { delivered: 0, known: false } },
  });
  for (const body of [{ message: note() }, { targetUserId: "", message: note() }]) {
    const refused = await server.call("/api/send", body);
    assert.equal(refused.status, 400);
    assert.match(refused.body.message, /targetUserId or targetSessionId is required/);
  }
});

Deno.test("H03 a broadcast reaches all clients", async () => {
  await using server = await hubServer();
  await using ann = await server.join("userId=ann&sessionId=phone");
  await using bob = await server.join("userId=bob");
  const response = await server.call("/api/broadcast", note("all"));
  assert.equal(response.status, 200);
  assert.deepEqual(response.body, {
    status: "success",
    message: "Broadcast sent successfully",
    delivered: 2,
  });
  assert.deepEqual(await ann.nextJson(), note("all"));
  assert.deepEqual(await bob.nextJson(), note("all"));
});

Deno.test("H04 nothing is sent without the right key", async () => {
  await using server = await hubServer();
  await using ann = await server.join("userId=ann");
  const wrong = ["", "x", apiKey.slice(1), `${apiKey}x`, apiKey.toUpperCase(), "🗝️"];
  const headers: Record<string, string>[] = [
    {},
    ...wrong.map((key) => ({ "x-api-key": encodeURIComponent(key) })),
  ];
  for (const each of headers) {
    for (const path of ["/api/send", "/api/broadcast"]) {
      const refused = await server.call(path, { targetUserId: "ann", message: note(), ...note() }, each);
      assert.equal(refused.status, 401);
      assert.equal(refused.body.status, "error");
    }
  }
  await nothingBefore(server, ann);
  const both = { "x-api-key": apiKey, authorization: "Bearer for-a-gateway" };
  assert.equal((await server.call("/api/broadcast", note(), both)).status, 200);
});

Deno.test("H04 a hub without a key does not start", () => {
  const { api: bus } = channels();
  for (const key of [undefined, ""]) {
    const { api: access } = auth({ anonymous: true });
    assert.throws(
      () => hub({ channels: bus, access, requireToken: false, apiKey: key }),
      /Cannot start hub: "apiKey" must be (given \(HUB_API_KEY\)|a non-empty string)/,
    );
  }
});

Deno.test("H05 health counts clients correctly while they connect and disconnect", async () => {
  await using server = await hubServer();
  const health = async () => await (await server.fetch("/health")).json();
  assert.deepEqual(await health(), {
    status: "healthy",
    stats: { total_users: 0, total_connections: 0, total_sessions: 0 },
  });

  const steps = fc.array(
    fc.record({
      user: fc.constantFrom("a", "b", "c"),
      session: fc.constantFrom(undefined, "1", "2"),
      go: fc.nat(5),
    }),
    { maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const here: { client: Client; user: string; session: string | undefined }[] = [];
      for (const { user, session, go } of all) {
        if (go > 2 && here.length > 0) {
          const [gone] = here.splice(go % here.length, 1);
          await gone!.client.close();
        } else {
          const query = `userId=${user}${session === undefined ? "" : `&sessionId=${session}`}`;
          here.push({ client: await server.join(query), user, session });
        }
        const sessions = new Set(here.flatMap((each) => each.session ?? []));
        const stats = {
          total_users: new Set(here.map((each) => each.user)).size,
          total_connections: here.length,
          total_sessions: sessions.size,
        };
        await until("the count", async () => (await health()).stats.total_connections === here.length);
        assert.deepEqual((await health()).stats, stats);
      }
      for (const { client } of here) await client.close();
      await until("no connections", async () => (await health()).stats.total_connections === 0);
    }),
    { numRuns: 10 },
  );
});

Deno.test("H06 a message without a timestamp gets one, and unknown fields are removed", async () => {
  await using server = await hubServer();
  await using ann = await server.join("userId=ann");
  const before = Date.now();
  await server.send({
    targetUserId: "ann",
    message: { type: "update", payload: [1, { a: null }], extra: 1 },
  });
  const { timestamp, ...rest } = await ann.nextJson();
  assert.deepEqual(rest, { type: "update", payload: [1, { a: null }] });
  assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(Date.parse(timestamp) >= before && Date.parse(timestamp) <= Date.now());

  await server.send({ targetUserId: "ann", message: { type: "ping" } });
  assert.deepEqual((await ann.nextJson()).payload, {});
});

Deno.test("payloads arrive as they were written, numbers included", async () => {
  await using server = await hubServer({ keep: { messages: 10, ms: 60_000 } });
  await using ann = await server.join("userId=ann&sessionId=1");
  const payload = `{ "big": 12345678901234567890, "exp": 1e400, "float": 1.0, "x": "}" }`;
  const message = `{"type":"update","payload":${payload}}`;
  const calls: [path: string, body: string][] = [
    ["/api/send", `{"targetUserId":"ann","message":${message}}`],
    ["/api/send", `{"targetSessionId":"1","message":${message}}`],
    ["/api/broadcast", message],
  ];
  for (const [path, body] of calls) {
    assert.equal((await server.call(path, body)).status, 200);
    const text = await ann.nextText();
    assert.ok(text.includes(`"payload":${payload},`), text);
    assert.equal(JSON.parse(text).type, "update");
  }
});

Deno.test("H06 an invalid message is refused with 400 and a reason", async () => {
  await using server = await hubServer();
  const bad: [unknown, RegExp][] = [
    [undefined, /a message must be an object/],
    ["text", /a message must be an object/],
    [[note()], /a message must be an object/],
    [{ payload: {} }, /type must be a non-empty string/],
    [{ type: "" }, /type must be a non-empty string/],
    [{ type: 1 }, /type must be a non-empty string/],
    [{ type: "a", timestamp: 1 }, /timestamp must be in ISO 8601/],
    [{ type: "a", timestamp: "yesterday" }, /timestamp must be in ISO 8601/],
  ];
  for (const [message, reason] of bad) {
    const response = await server.call("/api/send", { targetUserId: "ann", message });
    assert.equal(response.status, 400);
    assert.match(response.body.message, reason);
  }
  for (const body of ["", "{", "null", "[]", '"text"']) {
    assert.equal((await server.call("/api/send", body)).status, 400, body);
    assert.equal((await server.call("/api/broadcast", body)).status, 400, body);
  }
  const odd = [{ targetUserId: 5 }, { targetUserId: "a".repeat(300) }, { targetSessionId: "a\nb" }];
  for (const body of odd) {
    assert.equal((await server.call("/api/send", { ...body, message: note() })).status, 400);
  }
});

Deno.test("H07 a dead peer is removed within two ping intervals", async () => {
  const pingIntervalMs = 500;
  await using server = await hubServer({}, { pingIntervalMs, pongTimeoutMs: 200 });
  await using alive = await server.join("userId=alive");
  const bound = 2 * pingIntervalMs + 250;
  const took = await least(bound, async () => {
    // Answers no ping and does not close, like a host that lost its power.
    using _silent = await RawClient.upgrade(server.port, "/ws?userId=silent&sessionId=s");
    await until("it to be added", () => server.hub.stats().total_connections === 2);
    const since = performance.now();
    await until("it to be removed", () => server.hub.stats().total_connections === 1);
    return performance.now() - since;
  });
  assert.ok(took < bound, `it took ${Math.round(took)} ms`);
  assert.deepEqual(server.hub.stats(), { total_users: 1, total_connections: 1, total_sessions: 0 });
  assert.equal((await server.hub.sendToUser("silent", note())).targets.user!.known, false);
  assert.equal((await server.hub.sendToUser("alive", note())).delivered, 1);
  assert.deepEqual(await alive.nextJson(), note());
});

Deno.test("H08 of a session's two connections, closing one leaves the other reachable", async () => {
  await using server = await hubServer();
  await using first = await server.join("userId=ann&sessionId=tab");
  await using second = await server.join("userId=ann&sessionId=tab");
  assert.equal((await server.hub.sendToSession("tab", note(1))).delivered, 2);
  assert.deepEqual([await first.nextJson(), await second.nextJson()], [note(1), note(1)]);

  await second.close();
  await until("the close", () => server.hub.stats().total_connections === 1);
  assert.deepEqual(server.hub.stats(), { total_users: 1, total_connections: 1, total_sessions: 1 });
  assert.equal((await server.hub.sendToSession("tab", note(2))).delivered, 1);
  assert.deepEqual(await first.nextJson(), note(2));
});

Deno.test("H11 a web page may connect only from an allowed origin", async () => {
  await using server = await hubServer({ allowedOrigins: ["https://app.example.com"] });
  const status = async (headers: Record<string, string>) => {
    using raw = await RawClient.connect(server.port);
    return (await raw.request("/ws?userId=ann", headers)).split(" ")[1];
  };
  assert.equal(await status({ origin: "https://app.example.com" }), "101");
  assert.equal(await status({}), "101");
  const refused = [
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com.evil.example",
    "null",
  ];
  for (const origin of refused) assert.equal(await status({ origin }), "403", origin);
});

Deno.test("clients of other protocols can neither subscribe to the hub's channels nor publish there", async () => {
  const bus = channels();
  const access = auth({ anonymous: true });
  const plugin = hub({ channels: bus.api, access: access.api, apiKey });
  const server = await serve({}, access, bus, plugin, channelProtocol(bus.api));
  await using _ = server;
  await using spy = await server.connect("/t?user=ann");
  for (const channel of ["@hub:all", "@hub:user:ann", "@hub:session:s"]) {
    for (const what of ["subscribe", "publish", "history"]) {
      spy.sendJson({ do: what, channel, data: {} });
      assert.match((await spy.nextJson()).error, /permission_denied|not_available/, `${what} ${channel}`);
    }
  }
});

Deno.test("ids with special characters of channel names are not mixed up", async () => {
  await using server = await hubServer();
  const ids = [
    "a",
    "a/b",
    "/a",
    "a/",
    "a//b",
    "a..b",
    "a.b",
    "a%2Fb",
    "%",
    "#a",
    "a#b",
    "a?b",
    "a\\b",
    "a,b",
    "a b",
    "ü",
  ];
  const clients = new Map<string, Client>();
  for (const id of ids) clients.set(id, await server.join(`userId=${encodeURIComponent(id)}`));
  for (const id of ids) assert.equal((await server.hub.sendToUser(id, note(id))).delivered, 1, id);
  for (const [id, client] of clients) {
    assert.deepEqual(await client.nextJson(), note(id));
    assert.equal(client.waiting, 0);
    await client.close();
  }
});

Deno.test("a repeated call with the same idempotency key sends once and gets the same response", async () => {
  await using server = await hubServer();
  await using ann = await server.join("userId=ann");
  const headers = { "x-api-key": apiKey, "idempotency-key": "1" };
  const answers = [];
  for (let n = 0; n < 3; n++) {
    answers.push((await server.call("/api/send", { targetUserId: "ann", message: note() }, headers)).body);
  }
  assert.equal(answers[0].delivered, 1);
  assert.deepEqual(answers, [answers[0], answers[0], answers[0]]);
  assert.deepEqual(await ann.nextJson(), note());
  await nothingBefore(server, ann);
  // A refused call may be retried.
  const refused = { "x-api-key": apiKey, "idempotency-key": "2" };
  assert.equal((await server.call("/api/send", {}, refused)).status, 400);
  const again = await server.call("/api/send", { targetUserId: "ann", message: note() }, refused);
  assert.equal(again.status, 200);
});

Deno.test("messages of clients are ignored", async () => {
  await using server = await hubServer();
  await using ann = await server.join("userId=ann");
  ann.send("hello");
  ann.send('{"type":"notification"}');
  ann.send(new Uint8Array([1, 2, 3]));
  await server.hub.sendToUser("ann", note());
  assert.deepEqual(await ann.nextJson(), note());
});

Deno.test("a body that is too large or too slow is refused", async () => {
  await using server = await hubServer({ maxMessageBytes: 1_000, readTimeoutMs: 50 });
  const payload = "x".repeat(2_000);
  const large = await server.call("/api/broadcast", { type: "a", payload });
  assert.equal(large.status, 413);
  using raw = await RawClient.connect(server.port);
  const head =
    `POST /api/broadcast HTTP/1.1\r\nhost: test\r\nx-api-key: ${apiKey}\r\ncontent-length: 100\r\n\r\n{`;
  await raw.write(new TextEncoder().encode(head));
  const answer = new TextDecoder().decode(await raw.read() ?? undefined);
  assert.match(answer, /^HTTP\/1.1 408 /);
});

Deno.test("a client whose messages wait too long is closed with a code", async () => {
  const ends: number[] = [];
  const clock = new FakeClock();
  await using server = await hubServer({ writeTimeoutMs: 200 }, { clock, maxQueuedBytes: 2 ** 26 }, {
    name: "watch",
    close: (_, { code }) => void ends.push(code),
  });
  await using quick = await server.join("userId=quick");
  using _slow = await RawClient.upgrade(server.port, "/ws?userId=slow");
  await until("it to be added", () => server.hub.stats().total_connections === 2);
  const conn = [...server.bus.clients.values()].find(({ identity }) => identity.user === "slow")!.conn;
  await until("the network to take no more", async () => {
    await server.hub.sendToUser("slow", { type: "flood", payload: "x".repeat(100_000) });
    return conn.queuedBytes > 131_072;
  });
  const full = clock.monotonicTime();
  clock.advance(150);
  assert.deepEqual(ends, []);
  await until("the close", () => (clock.advance(10), ends.length > 0));
  const took = clock.monotonicTime() - full;
  assert.ok(took < 1_000, `it took ${took} ms`);
  assert.deepEqual(ends, [3008]);
  const closed = performance.now();
  assert.equal((await server.hub.sendToUser("quick", note())).delivered, 1);
  assert.deepEqual(await quick.nextJson(), note());
  // The kernel retries every 10 ms, and once more after the end.
  await until("the last retry", () => performance.now() > closed + 20);
});

Deno.test("with sign-in, a token must be for the user that the client names", async () => {
  const access = auth({
    signIn: ({ token }) => token === undefined ? undefined : { user: token },
    anonymous: true,
    apiKeys: [{ key: "admin-key", name: "backend", permissions: ["admin"] }],
  });
  await using server = await hubServer({ access: access.api, apiKey: undefined }, {}, access);
  const status = async (query: string) => {
    using raw = await RawClient.connect(server.port);
    return (await raw.request(`/ws?${query}`)).split(" ")[1];
  };
  assert.equal(await status("userId=ann&token=ann"), "101");
  assert.equal(await status("userId=ann&token=bob"), "403");
  assert.equal(await status("userId=ann"), "401");

  await using ann = await server.join("userId=ann&sessionId=s&token=ann");

  const body = { targetUserId: "ann", message: note() };
  assert.equal((await server.call("/api/send", body, { "x-api-key": "ann" })).status, 401);
  assert.equal((await server.call("/api/send", body, { authorization: "Bearer ann" })).status, 403);
  assert.equal((await server.call("/api/send", body, { "x-api-key": "admin-key" })).status, 200);
  assert.deepEqual(await ann.nextJson(), note());
});

Deno.test("with sign-in, a client that takes another user's session id first gets none of its messages", async () => {
  const access = auth({ signIn: ({ token }) => token === undefined ? undefined : { user: token } });
  await using server = await hubServer({ access: access.api, keep: {} }, {}, access);
  const join = (user: string) => server.join(`userId=${user}&sessionId=s&token=${user}`);
  await using eve = await join("eve");
  assert.equal((await server.hub.sendToSession("s", note(1))).delivered, 1, "only one user has the id");
  assert.equal((await eve.nextJson()).payload.n, 1);
  const ann = await join("ann");
  await using tab = await join("ann");
  const { status, body } = await server.call("/api/send", { targetSessionId: "s", message: note(2) });
  assert.deepEqual([status, body.code], [409, "ambiguous_session"]);
  const report = await server.hub.send({ user: "ann", session: "s" }, note(3));
  assert.deepEqual([report.delivered, report.targets.session], [2, { delivered: 2, known: true }]);
  for (const client of [ann, tab]) assert.equal((await client.nextJson()).payload.n, 3);

  await Promise.all([ann.close(), tab.close()]);
  await until("Ann's session to be away", () => server.hub.stats().total_connections === 1);
  await assert.rejects(server.hub.sendToSession("s", note(4)), { code: "ambiguous_session" });
  await server.hub.send({ user: "ann", session: "s" }, note(5));
  await using back = await join("ann");
  assert.equal((await back.nextJson()).payload.n, 5);
  await nothingBefore(server, eve, back);
});

Deno.test("guesses of the hub's key are slowed down, then refused", async () => {
  const limits = rateLimits({ limits: { failedSignIns: "3/1h" } });
  const access = auth({ anonymous: { permissions: [] }, limits: limits.api.signIns });
  const clock = new FakeClock();
  const bus = channels();
  const plugin = hub({ channels: bus.api, access: access.api, apiKey });
  await using server = await serve({ clock }, limits, access, bus, plugin);
  const guess = async (headers: Record<string, string>, query = "") => {
    const body = JSON.stringify(note());
    const call = server.fetch(`/api/broadcast${query}`, { method: "POST", headers, body });
    const response = await passing(clock, call);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await guess({ "x-api-key": apiKey }), 200);
  const started = clock.wallTime();
  assert.equal(await guess({ "x-api-key": "a guess" }), 401);
  assert.equal(await guess({ authorization: "apikey guess" }), 401);
  assert.equal(await guess({}, "?api_key=guess"), 401);
  assert.ok(clock.wallTime() - started > 200, "each guess takes longer");
  for (const key of ["another guess", apiKey]) assert.equal(await guess({ "x-api-key": key }), 429);
});

Deno.test("without sign-in, a client may name any user, and every local client may send", async () => {
  const access = auth();
  await using server = await hubServer({ access: access.api, apiKey: undefined }, {}, access);
  await using ann = await server.join("userId=ann");
  assert.equal((await server.call("/api/send", { targetUserId: "ann", message: note() }, {})).status, 200);
  assert.deepEqual(await ann.nextJson(), note());
});

Deno.test("a client that the app subscribes to another channel gets it in the hub's format", async () => {
  await using server = await hubServer();
  await using ann = await server.join("userId=ann");
  await server.bus.subscribeClients({ user: "ann" }, "news");
  assert.deepEqual((await ann.nextJson()).type, "subscribed");
  await server.bus.publish("news", { title: "x" });
  const { timestamp, ...rest } = await ann.nextJson();
  assert.deepEqual(rest, { type: "publication", payload: { channel: "news", data: { title: "x" } } });
  assert.ok(Date.parse(timestamp) > 0);
  server.bus.unsubscribeClients({ user: "ann" }, "news");
  assert.deepEqual((await ann.nextJson()).payload.channel, "news");
});

Deno.test("the hub works with a path prefix", async () => {
  await using server = await hubServer({ path: "/hub" });
  await using ann = await server.connect("/hub/ws?userId=ann");
  await until("the client to be added", () => server.hub.stats().total_connections === 1);
  assert.equal((await server.call("/hub/api/send", { targetUserId: "ann", message: note() })).status, 200);
  assert.deepEqual(await ann.nextJson(), note());
  const statusOf = async (path: string) => {
    const response = await server.fetch(path);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await statusOf("/hub/health"), 200);
  assert.equal(await statusOf("/health"), 404);
});
