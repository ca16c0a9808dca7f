import assert from "node:assert/strict";
import type { LogRecord } from "../../../core/mod.ts";
import { auth, type KeyValueStore } from "../../../plugins/auth.ts";
import { type Client, FakeClock, RawClient, serve, until } from "../../kit/mod.ts";
import { closed, codeOf, refusedUpgrade, SECRET, serveAuth, token } from "./kit.ts";

const jwt = { secret: SECRET };

/** Sends a message and returns the answer; the test server sends one for each message. */
async function ask(client: Client, message: unknown) {
  client.sendJson(message);
  return await client.nextJson();
}

/** Signs in and returns the user or the error. */
async function signIn(client: Client, connect?: string) {
  const { user, error } = await ask(client, { connect });
  return user ?? error;
}

const seconds = (clock: FakeClock, after: number) => clock.wallTime() / 1000 + after;

Deno.test("a client sends its token in a header, the query or a subprotocol", async () => {
  await using server = await serveAuth();
  const alice = await token();
  const ways: Parameters<typeof server.connect>[] = [
    ["/me", [], { authorization: `Bearer ${alice}` }],
    ["/me", [], { authorization: `bearer   ${alice}` }],
    [`/me?token=${alice}`],
    [`/me?a=b&token=${alice}`],
    ["/me", ["bearer", alice]],
    ["/me", ["chat", "bearer", alice]],
  ];
  for (const way of ways) {
    await using client = await server.connect(...way);
    assert.deepEqual(await client.nextJson(), { user: "alice" });
  }
});

Deno.test("the token in a subprotocol is not sent back", async () => {
  await using server = await serveAuth();
  await using client = await server.connect("/me", ["bearer", await token()]);
  assert.equal(client.socket.protocol, "bearer");
});

Deno.test("without a valid token the response is 401, for the path of another user 403", async () => {
  await using server = await serveAuth();
  const mine = await token({ sub: "alice", permissions: ["write:alice"] });
  const none = await refusedUpgrade(server, "/me/alice");
  assert.deepEqual([none.status, none.code], [401, "unauthorized"]);
  assert.equal(none.headers.get("www-authenticate"), "Bearer");
  const bad = await refusedUpgrade(server, "/me/alice?token=nonsense");
  assert.deepEqual([bad.status, bad.code], [401, "invalid_token"]);
  assert.equal(bad.headers.get("www-authenticate"), `Bearer error="invalid_token"`);
  const expired = await refusedUpgrade(server, `/me/alice?token=${await token({ sub: "alice", exp: 1 })}`);
  assert.deepEqual([expired.status, expired.code], [401, "token_expired"]);
  const others = await refusedUpgrade(server, `/me/bob?token=${mine}`);
  assert.deepEqual([others.status, others.code], [403, "permission_denied"]);
  await using client = await server.connect(`/me/alice?token=${mine}`);
  assert.deepEqual(await client.nextJson(), { user: "alice" });
});

Deno.test("other schemes and malformed credentials are ignored", async () => {
  await using server = await serveAuth();
  for (const authorization of ["Basic YTpi", "Bearer", "Bearer  ", "Bearer a b", "Negotiate abc"]) {
    assert.equal(
      (await refusedUpgrade(server, "/me", { authorization })).code,
      "unauthorized",
      authorization,
    );
  }
  for (const path of ["/me?token=", "/me?token", "/me?tokens=a", "/me?TOKEN=a"]) {
    assert.equal((await refusedUpgrade(server, path)).code, "unauthorized", path);
  }
  const marker = { "sec-websocket-protocol": "bearer" };
  assert.equal((await refusedUpgrade(server, "/me", marker)).code, "unauthorized");
});

Deno.test("S07 a client signs in by a message, and gets the reason of a refusal", async () => {
  await using server = await serveAuth();
  const answers: [connect: string | undefined, answer: string][] = [
    [await token({ sub: "alice" }), "alice"],
    [undefined, "unauthorized"],
    ["", "unauthorized"],
    ["nonsense", "invalid_token"],
    [await token({ sub: "alice", exp: 1 }), "token_expired"],
    [await token({ sub: "alice", channel: "news" }), "invalid_token"],
    [await token({ sub: "" }), "permission_denied"],
  ];
  for (const [connect, answer] of answers) {
    await using client = await server.connect("/by_message");
    assert.equal(await signIn(client, connect), answer, connect);
    if (answer === "invalid_token") assert.equal((await closed(client)).code, 3500);
  }
});

Deno.test("the credentials of the request are used if the message has none", async () => {
  await using server = await serveAuth();
  await using good = await server.connect(`/by_message?token=${await token({ sub: "alice" })}`);
  assert.equal(await signIn(good), "alice");
  await using bad = await server.connect("/by_message?token=nonsense");
  assert.equal(await signIn(bad), "invalid_token");
  await using both = await server.connect("/by_message?token=nonsense");
  assert.equal(await signIn(both, await token({ sub: "bob" })), "bob");
});

Deno.test("S07 S14 authenticateConnection returns the results of the seed", async () => {
  await using server = await serveAuth();
  const { access } = server;
  const permissions = ["read:*", "write:chat"];
  const good = await token({ id: "user-123", permissions });
  assert.deepEqual(await access.authenticateConnection(good), {
    success: true,
    userId: "user-123",
    permissions,
  });
  const failures: [string, string][] = [
    ["", "Authentication required for WebSocket connection"],
    ["nonsense", "Invalid token"],
    [await token({ sub: "a", exp: 1 }), "Token expired"],
  ];
  for (const [given, error] of failures) {
    assert.deepEqual(await access.authenticateConnection(given), { success: false, error });
  }
  assert.equal((await refusedUpgrade(server, "/me")).code, "unauthorized");
});

Deno.test("S07 anonymous clients are optional, and have fewer permissions", async () => {
  await using server = await serveAuth({ jwt, anonymous: true });
  assert.deepEqual(await server.access.authenticateConnection(""), {
    success: true,
    userId: "",
    permissions: ["read:*"],
  });
  await using client = await server.connect("/me");
  assert.deepEqual(await client.nextJson(), { user: "" });
  assert.equal(
    (await refusedUpgrade(server, "/me?token=nonsense")).code,
    "invalid_token",
    "invalid credentials are refused",
  );
  assert.equal((await refusedUpgrade(server, "/me/path")).status, 401, "writing requires credentials");
});

Deno.test("the user id of an anonymous client is none, made or given", async () => {
  for (
    const [user, expected] of [["none", /^$/], ["made", /^anonymous-[0-9a-f-]{36}$/], [
      "given",
      /^bob$/,
    ]] as const
  ) {
    await using server = await serveAuth({ jwt, anonymous: { user } });
    await using client = await server.connect("/by_message");
    const answer = await ask(client, { user: "bob" });
    assert.match(answer.user, expected);
    assert.deepEqual(answer.permissions, ["read:*"]);
  }
});

Deno.test("S08 an API key signs in by header or query", async () => {
  await using server = await serveAuth({
    apiKeys: [{
      key: "secret-api-key-123",
      name: "Dashboard",
      permissions: ["write:metrics"],
      user: "dashboard",
    }],
  });
  server.access.addApiKey("added-later", { name: "later", permissions: ["read:*"], user: "later" });
  const ways: [path: string, headers: Record<string, string>, user: string][] = [
    ["/me", { "x-api-key": "secret-api-key-123" }, "dashboard"],
    ["/me", { authorization: "apikey secret-api-key-123" }, "dashboard"],
    ["/me/metrics?api_key=secret-api-key-123", {}, "dashboard"],
    ["/me?api_key=added-later", {}, "later"],
  ];
  for (const [path, headers, user] of ways) {
    await using client = await server.connect(path, [], headers);
    assert.deepEqual(await client.nextJson(), { user });
  }
  assert.equal((await refusedUpgrade(server, "/me", { "x-api-key": "wrong" })).status, 401);
  assert.equal((await refusedUpgrade(server, "/me", { "x-api-key": "" })).status, 401);
  assert.equal(
    (await refusedUpgrade(server, "/me/other", { "x-api-key": "secret-api-key-123" })).status,
    403,
  );
  assert.equal(
    (await refusedUpgrade(server, `/me?token=secret-api-key-123`)).status,
    401,
    "a key is no token",
  );
});

Deno.test("the server warns of keys that are too short, once each", async () => {
  const key = (length: number) => ({ key: "k".repeat(length), name: `of ${length}`, permissions: [] });
  await using server = await serveAuth({ apiKeys: [key(15), key(16)] }, {
    more: (access) => {
      access.addApiKey("a", { name: "added before the start", permissions: [] });
      return [];
    },
  });
  server.access.addApiKey("b", { name: "added later", permissions: [] });
  const warning = (name: string) =>
    `the API key "${name}" has fewer than 16 characters and can be guessed; use a longer one`;
  assert.deepEqual(
    server.log.take().map(({ message }) => message),
    ["of 15", "added before the start", "added later"].map(warning),
  );
});

Deno.test("S08 revoking a key closes its connections and makes it invalid", async () => {
  await using server = await serveAuth({ apiKeys: [{ key: "one", name: "one", permissions: ["*"] }] });
  server.access.addApiKey("two", { name: "two", permissions: ["*"] });
  await using first = await server.connect("/me?api_key=one");
  await using second = await server.connect("/me?api_key=two");
  await Promise.all([first.next(), second.next()]);
  assert.equal(await server.access.revokeApiKey("one"), true);
  assert.deepEqual(await closed(first), { code: 3500, reason: "token revoked" });
  assert.equal(await server.access.revokeApiKey("one"), false);
  assert.equal((await refusedUpgrade(server, "/me?api_key=one")).status, 401);
  second.send("still here");
  assert.equal(await second.next(), "still here");
  assert.deepEqual(server.access.apiKeys().map(({ name }) => name), ["two"]);
});

Deno.test("a client is warned before its token expires, and closed after a grace period", async () => {
  const clock = new FakeClock();
  await using server = await serveAuth({ jwt }, { clock });
  await using client = await server.connect("/by_message");
  const exp = seconds(clock, 60);
  const answer = await ask(client, { connect: await token({ sub: "alice", exp }) });
  assert.equal(answer.expiresAt, exp * 1000);
  clock.advance(29_000);
  client.sendJson({ connect: "" });
  assert.equal((await client.nextJson()).user, "alice", "no warning yet");
  clock.advance(1_000);
  assert.deepEqual(await client.nextJson(), { expiring: exp * 1000 });
  clock.advance(54_000);
  client.sendJson({ connect: "" });
  assert.equal((await client.nextJson()).user, "alice", "still in the grace period, and warned only once");
  clock.advance(1_000);
  assert.deepEqual(await closed(client), { code: 3005, reason: "connection expired" });
});

Deno.test("a client refreshes its sign-in, with a token of the same user", async () => {
  const clock = new FakeClock();
  await using server = await serveAuth({ jwt }, { clock });
  await using client = await server.connect("/by_message");
  const exp = seconds(clock, 60);
  await ask(client, { connect: await token({ sub: "alice", exp }) });
  clock.advance(50_000);
  assert.deepEqual(await client.nextJson(), { expiring: exp * 1000 });
  const later = seconds(clock, 600);
  const renewed = await ask(client, {
    refresh: await token({ sub: "alice", exp: later, permissions: ["read:a"] }),
  });
  assert.deepEqual(renewed, { user: "alice", permissions: ["read:a"], expiresAt: later * 1000 });
  clock.advance(500_000);
  const expired = await ask(client, { refresh: await token({ sub: "alice", exp: seconds(clock, -60) }) });
  assert.equal(expired.error, "token_expired");
  clock.advance(70_000);
  assert.deepEqual(await client.nextJson(), { expiring: later * 1000 }, "it warns of the new expiry");
  const others = await ask(client, { refresh: await token({ sub: "bob" }) });
  assert.equal(others.error, "invalid_token");
  assert.equal((await closed(client)).code, 3500);
});

Deno.test("connections that cannot refresh are closed too", async () => {
  const clock = new FakeClock();
  await using server = await serveAuth({ jwt }, { clock });
  await using client = await server.connect(
    `/me?token=${await token({ sub: "alice", exp: seconds(clock, 60) })}`,
  );
  await client.next();
  clock.advance(86_000);
  assert.equal((await closed(client)).code, 3005);
});

Deno.test("the server changes the expiry of a sign-in", async () => {
  const clock = new FakeClock();
  await using server = await serveAuth({ jwt }, { clock });
  await using client = await server.connect(
    `/me?token=${await token({ sub: "alice", exp: seconds(clock, 60) })}`,
  );
  await client.next();
  const [conn] = server.server.connections;
  assert.equal(server.access.prolong(conn!, undefined)?.expiresAt, undefined);
  clock.advance(86_000);
  client.send("still here");
  assert.equal(await client.next(), "still here");
  await using lasting = await server.connect(`/me?token=${await token()}`);
  await lasting.next();
  for (const each of server.server.connections) {
    assert.equal(server.access.prolong(each, clock.wallTime() - 25_000)?.user, "alice");
  }
  clock.advance(1_000);
  for (const each of [client, lasting]) assert.equal((await closed(each)).code, 3005);
});

/** A store that survives the server. */
function memory(): KeyValueStore & { entries: Map<string, string> } {
  const entries = new Map<string, string>();
  return {
    entries,
    load: () => [...entries],
    set: async (key, value) => void await Promise.resolve(entries.set(key, value)),
    delete: (key) => void entries.delete(key),
  };
}

Deno.test("tokens are revoked by id, by user and by age, and their connections are closed", async () => {
  const clock = new FakeClock();
  const iat = seconds(clock, -10);
  const keep = memory();
  const tokens = {
    t1: await token({ sub: "alice", jti: "t1", iat }),
    t2: await token({ sub: "alice", jti: "t2", iat }),
    undated: await token({ sub: "alice" }),
    bob: await token({ sub: "bob", iat: seconds(clock, -1) }),
    eve: await token({ sub: "eve", iat: seconds(clock, -100) }),
  };
  async function refused(server: Awaited<ReturnType<typeof serveAuth>>) {
    const checked = Object.entries(tokens).map(async ([name, each]) =>
      (await server.access.authenticateConnection(each)).success ? [] : [name]
    );
    return (await Promise.all(checked)).flat();
  }
  {
    await using server = await serveAuth({ jwt, keep }, { clock });
    const clients = Object.fromEntries(
      await Promise.all(
        Object.entries(tokens).map(async ([name, each]) => {
          const client = await server.connect(`/me?token=${each}`);
          await client.next();
          return [name, client] as const;
        }),
      ),
    );
    assert.equal(await server.access.revoke({ jti: "t1" }), 1);
    assert.deepEqual(await closed(clients["t1"]!), { code: 3500, reason: "token revoked" });
    assert.equal(await server.access.revoke({ user: "alice" }), 2);
    await Promise.all([closed(clients["t2"]!), closed(clients["undated"]!)]);
    assert.equal(await server.access.revoke({ issuedBefore: clock.wallTime() - 50_000 }), 1);
    await closed(clients["eve"]!);
    clients["bob"]!.send("still here");
    assert.equal(await clients["bob"]!.next(), "still here");
    assert.deepEqual(await refused(server), ["t1", "t2", "undated", "eve"]);
    await clients["bob"]!.close();
  }
  clock.advance(2_000);
  await using again = await serveAuth({ jwt, keep }, { clock });
  assert.deepEqual(await refused(again), ["t1", "t2", "undated", "eve"], "revocations survive a restart");
  const fresh = await token({ sub: "alice", iat: seconds(clock, 0) });
  assert.equal(
    (await again.access.authenticateConnection(fresh)).success,
    true,
    "alice may sign in with a new token",
  );
});

Deno.test("a revoked API key stays revoked while the settings still have it", async () => {
  const keep = memory();
  const options = { keep, apiKeys: [{ key: "leaked", name: "backend", permissions: ["admin"] }] };
  {
    await using server = await serveAuth(options);
    await server.access.revokeApiKey("backend");
  }
  await using again = await serveAuth(options);
  assert.equal((await refusedUpgrade(again, "/me?api_key=leaked")).status, 401);
});

Deno.test("a revocation expires, and a shorter one does not replace a longer one", async () => {
  const clock = new FakeClock();
  const keep = memory();
  await using server = await serveAuth({ jwt, keep }, { clock });
  await server.access.revoke({ jti: "short", until: clock.wallTime() + 1_000 });
  await server.access.revoke({ jti: "long" });
  await server.access.revoke({ jti: "long", until: clock.wallTime() + 1_000 });
  await server.access.revoke({ user: "alice", issuedBefore: clock.wallTime() });
  await server.access.revoke({ user: "alice", issuedBefore: clock.wallTime() - 100_000 });
  clock.advance(3_600_000);
  assert.deepEqual([...keep.entries.keys()], ["jti:long", "user:alice"]);
  const old = await token({ sub: "alice", iat: seconds(clock, -3_610) });
  assert.equal(await codeOf(server.access.verify(old)), "invalid_token");
  assert.equal(await codeOf(server.access.verify(await token({ sub: "bob", jti: "long" }))), "invalid_token");
});

Deno.test("a token that is revoked during the handshake is refused", async () => {
  const clock = new FakeClock();
  const revoked = Promise.withResolvers<void>();
  await using server = await serveAuth({ jwt }, {
    clock,
    more: (access) => [{
      name: "slow",
      upgrade: async () => {
        await access.revoke({ user: "alice" });
        revoked.resolve();
        return undefined;
      },
    }],
  });
  await using client = await server.connect(`/me?token=${await token({ sub: "alice" })}`);
  await revoked.promise;
  assert.equal((await closed(client)).code, 3500);
});

Deno.test("without sign-in every client on this machine has all permissions, and the log warns once", async () => {
  await using server = await serveAuth({});
  const said = await server.log.next();
  assert.match(said.message, /every client on this machine has all permissions/);
  assert.equal(server.log.size, 0);
  assert.equal(server.access.open, true);
  for (const path of ["/me", "/me/anything", "/me?token=whatever"]) {
    await using client = await server.connect(path);
    assert.deepEqual(await client.nextJson(), { user: "" });
  }
  await using client = await server.connect("/by_message");
  const answer = await ask(client, { connect: "whatever", user: "bob" });
  assert.deepEqual(answer.permissions, ["admin"]);
  await using named = await server.connect("/by_message");
  assert.equal((await ask(named, { user: "bob" })).user, "bob", "clients may give a name");
});

Deno.test("a server without sign-in refuses clients on other machines", async () => {
  const clientIp = (request: Request, peer: string) => request.headers.get("x-forwarded-for") ?? peer;
  await using server = await serveAuth({}, { clientIp });
  assert.equal((await refusedUpgrade(server, "/me", { "x-forwarded-for": "203.0.113.7" })).status, 401);
  await using client = await server.connect("/by_message", [], { "x-forwarded-for": "203.0.113.7" });
  assert.equal(await signIn(client), "unauthorized");
  assert.equal((await ask(client, { connect: "whatever" })).error, "unauthorized");
  await using local = await server.connect("/me", [], { "x-forwarded-for": "::1" });
  assert.deepEqual(await local.nextJson(), { user: "" });
});

Deno.test("a server without sign-in refuses clients of other machines behind a local proxy", async () => {
  await using server = await serveAuth({});
  const forwarded: Record<string, string>[] = [
    { "x-forwarded-for": "203.0.113.7" },
    { "x-forwarded-for": "127.0.0.1, 203.0.113.7" },
    { "x-forwarded-for": "203.0.113.7, 127.0.0.1" },
    { "x-forwarded-for": "unknown" },
    { forwarded: "for=203.0.113.7;proto=https" },
    { forwarded: 'for="[2001:db8::7]:80"' },
  ];
  for (const headers of forwarded) {
    assert.equal((await refusedUpgrade(server, "/me", headers)).status, 401, JSON.stringify(headers));
  }
  await using local = await server.connect("/me", [], { "x-forwarded-for": "::1, 127.0.0.1" });
  assert.deepEqual(await local.nextJson(), { user: "" });
});

Deno.test("a mounted server without sign-in takes nobody for local whose address it does not know", async () => {
  await using server = await serveAuth({});
  const request = () => new Request("http://127.0.0.1/", { headers: { host: "127.0.0.1" } });
  assert.equal(await codeOf(server.access.authorize(request(), "unknown", "read", "a")), "unauthorized");
  assert.equal(await codeOf(server.access.requestIdentity(request())), "unauthorized");
  await server.access.authorize(request(), "127.0.0.1", "read", "a");
});

Deno.test("a server that listens beyond this machine requires sign-in or an explicit option", async () => {
  for (const hostname of ["0.0.0.0", "::", "192.168.1.5", "example.com"]) {
    await assert.rejects(
      serve({ hostname }, auth()),
      /Cannot start auth: the server listens on .*JWT_SECRET, JWKS_URL or API_KEYS.*ALLOW_ANONYMOUS=1/,
      hostname,
    );
  }
  for (const hostname of ["127.0.0.1", "::1", "localhost"]) {
    await using _server = await serve({ hostname }, auth());
  }
  await assert.rejects(
    serve({}, auth({ hostname: "0.0.0.0" })),
    /the server listens on 0.0.0.0/,
    "by option",
  );
  await using _signIn = await serve({ hostname: "0.0.0.0" }, auth({ jwt }));
  await using anonymous = await serveAuth({ anonymous: true }, { hostname: "0.0.0.0" });
  assert.equal(anonymous.access.open, false);
  await using client = await anonymous.connect("/by_message");
  assert.deepEqual((await ask(client, {})).permissions, ["read:*"]);
});

Deno.test("H11 web pages may connect only if their origin is listed", async () => {
  await using server = await serveAuth({ jwt, origins: ["https://*.example.com"] }, { hostname: "0.0.0.0" });
  const alice = await token();
  for (
    const origin of ["https://evil.com", "https://evil-example.com", "null", "https://example.com.evil.com"]
  ) {
    for (const path of [`/me?token=${alice}`, "/by_message"]) {
      const { status, code } = await refusedUpgrade(server, path, { origin });
      assert.deepEqual([status, code], [403, "origin_not_allowed"], origin);
    }
  }
  for (const origin of ["https://app.example.com", server.url]) {
    await using client = await server.connect(`/me?token=${alice}`, [], { origin });
    assert.deepEqual(await client.nextJson(), { user: "alice" });
  }
});

Deno.test("HTTP routes answer 401 without credentials and 403 without the permission", async () => {
  await using server = await serveAuth({
    jwt,
    apiKeys: [{ key: "backend-key", name: "backend", permissions: ["admin"] }],
  }, {
    more: (access) => [{
      name: "api",
      routes(app) {
        app.use("/api/*", access.requireAuth());
        app.get("/api/stats", async (c) => c.json((await access.requestIdentity(c.req.raw)).user));
        app.get("/me", async (c) => c.json((await access.requestIdentity(c.req.raw)).user));
        app.get("/news", access.requireAuth("read", "news"), (c) => c.text("news"));
      },
    }],
  });
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await server.fetch(path, { headers });
    await response.body?.cancel();
    return response.status;
  };
  const user = { authorization: `Bearer ${await token()}` };
  assert.equal(await get("/api/stats"), 401);
  for (const path of ["/api/stats", "/me"]) {
    const { error } = await (await server.fetch(path)).json();
    assert.equal(error.message, "Authentication required", path);
  }
  assert.equal(await get("/api/stats", user), 403, "a user is not an admin");
  assert.equal(await get("/api/stats", { "x-api-key": "backend-kez" }), 401);
  assert.equal(await get("/api/stats", { "x-api-key": "backend-key" }), 200);
  assert.equal(await get("/api/stats", { "x-api-key": "backend-key", origin: "https://evil.com" }), 403);
  assert.equal(await get("/news", user), 200);
  assert.equal(
    await get("/news", { authorization: `Bearer ${await token({ sub: "a", permissions: [] })}` }),
    403,
  );
  assert.equal(await get("/news?token=" + await token()), 200);
});

Deno.test("a DNS-rebinding page cannot use the HTTP routes of a server without sign-in", async () => {
  await using server = await serveAuth({}, {
    more: (
      access,
    ) => [{ name: "api", routes: (app) => void app.get("/api", access.requireAuth(), (c) => c.text("x")) }],
  });
  using raw = await RawClient.connect(server.port);
  assert.match(await raw.request("/api", { host: "evil.com", upgrade: "" }), /^HTTP\/1.1 403/);
  assert.equal(await server.fetch("/api").then((response) => response.text()), "x");
});

Deno.test("the app's own check takes precedence, by a cookie for example", async () => {
  await using server = await serveAuth({
    jwt,
    signIn: ({ headers }) => {
      const session = headers.get("cookie")?.match(/session=(\w+)/)?.[1];
      return session === undefined
        ? undefined
        : { user: session, permissions: ["write:mine"], info: { of: session } };
    },
  });
  const cookie = "session=carol";
  await using client = await server.connect("/me/mine", [], { cookie });
  assert.deepEqual(await client.nextJson(), { user: "carol" });
  await using later = await server.connect("/by_message", [], { cookie });
  assert.equal(await signIn(later), "carol");
  await using both = await server.connect("/by_message", [], { cookie });
  assert.equal(await signIn(both, await token({ sub: "alice" })), "carol", "the app's own check comes first");
  assert.equal((await refusedUpgrade(server, "/me")).status, 401);
  await using other = await server.connect(`/me?token=${await token()}`);
  assert.deepEqual(await other.nextJson(), { user: "alice" });
  assert.equal(await server.access.revoke({ user: "carol" }), 3);
});

Deno.test("an app's check that throws refuses the client, and the server continues", async () => {
  await using server = await serveAuth({
    signIn: () => {
      throw new Error("the database is down");
    },
  });
  assert.equal((await refusedUpgrade(server, "/me")).status, 500);
  assert.equal((await server.log.next()).plugin, "auth");
});

Deno.test("the app's rule takes precedence over permissions, and denies if it throws", async () => {
  await using server = await serveAuth({
    jwt,
    rule: ({ identity, verb, resource }) => {
      if (resource === "broken") throw new Error("oops");
      if (resource === "closed") return false;
      return resource === `diary-${identity.user}` && verb === "write" ? true : undefined;
    },
  });
  const { identity } = await server.access.verify(await token({ sub: "alice", permissions: ["read:*"] }));
  assert.equal(identity.can("write", "diary-alice"), true);
  assert.equal(identity.can("write", "diary-bob"), false);
  assert.equal(identity.can("read", "anything"), true);
  assert.equal(identity.can("read", "closed"), false);
  assert.equal(identity.can("read", "broken"), false);
  assert.match((await server.log.next()).message, /rule failed/);
});

Deno.test("the log contains no token, key or secret", async () => {
  const lines: LogRecord[] = [];
  await using server = await serveAuth({
    jwt,
    apiKeys: [{ key: "secret-api-key-123", name: "a", permissions: [] }],
  }, {
    more: () => [{ name: "listener", log: (record) => void lines.push(record) }],
  });
  const alice = await token();
  const wrong = await token({ sub: "a" }, { secret: "another secret of thirty-two bytes" });
  for (const each of [alice, wrong, "garbage-token-1234567"]) {
    await refusedUpgrade(server, `/me/x?token=${each}`).catch(() => {});
    await refusedUpgrade(server, "/me/x", { authorization: `Bearer ${each}` }).catch(() => {});
    await using client = await server.connect(`/by_message?token=${each}`);
    await signIn(client, each);
  }
  await refusedUpgrade(server, "/me?api_key=secret-api-key-124");
  await refusedUpgrade(server, "/me/x?api_key=secret-api-key-123");
  const text = lines.map((line) => Deno.inspect(line, { depth: 20 })).join("\n");
  assert.match(text, /sign-in refused/);
  for (const secret of [alice, wrong, SECRET, "garbage-token", "secret-api-key", alice.split(".")[2]!]) {
    assert.ok(!text.includes(secret), secret);
  }
});

Deno.test("a connection that ends during the check of its token leaves no session", async () => {
  await using server = await serveAuth();
  const client = await server.connect("/by_message");
  client.sendJson({ connect: await token({ sub: "alice" }) });
  await client.close();
  await until("the end", () => server.server.connections.size === 0);
  assert.equal(await server.access.revoke({ user: "alice" }), 0);
});

Deno.test("invalid options throw", () => {
  assert.throws(() => auth({ warnMs: -1 }), /"warnMs"/);
  assert.throws(() => auth({ graceMs: 1.5 }), /"graceMs"/);
  assert.throws(() => auth({ hostname: "" }), /"hostname"/);
  assert.throws(() => auth({ jwt: {} }), /"jwt"/);
  const key = { key: "a", name: "a", permissions: [] };
  assert.throws(() => auth({ apiKeys: [key, key] }), /the name is taken/);
});
