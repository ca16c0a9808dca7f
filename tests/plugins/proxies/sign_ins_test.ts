/** Sign-ins that a backend decides about, over every kind of protocol. */

import assert from "node:assert/strict";
import { heard, sdkClient, transportNames } from "../../kit/centrifuge.ts";
import { FakeClock, until } from "../../kit/mod.ts";
import { Client } from "../../kit/client.ts";
import { type Answer, backendServer, proxyServer } from "./kit.ts";

const MINUTE = 60_000;

for (const transport of transportNames) {
  Deno.test(`a backend signs a client in and subscribes it, over ${transport}`, async () => {
    await using backend = backendServer(() => ({
      result: {
        user: "ann",
        info: { name: "Ann" },
        data: { theme: "dark" },
        channels: ["news"],
        subs: { "room:1": { data: { topic: "cats" }, info: { role: "host" } } },
      },
    }));
    await using server = await proxyServer({ connect: { url: `${backend.url}/connect` } });
    await using client = sdkClient(server.url, transport, { data: { app: 7 }, name: "shop", version: "1.2" });
    const subscribed = heard(client.sdk, "subscribed");
    const connected = heard(client.sdk, "connected");
    client.sdk.connect();
    const { client: id, data } = await connected.next();
    assert.deepEqual(data, { theme: "dark" });
    const first = await subscribed.next();
    const second = await subscribed.next();
    assert.deepEqual([first, second].map(({ channel }) => channel).sort(), ["news", "room:1"]);
    assert.deepEqual([first, second].find(({ channel }) => channel === "room:1")?.data, { topic: "cats" });

    const { path, body } = await backend.asked.next();
    assert.equal(path, "/connect");
    assert.deepEqual(body, {
      client: id,
      transport,
      protocol: "json",
      encoding: "json",
      data: { app: 7 },
      name: "shop",
      version: "1.2",
    });
    const known = server.bus.clientOf(id)!;
    assert.equal(known.identity.user, "ann");
    assert.equal(known.info.connInfo, `{"name":"Ann"}`);
    assert.equal(known.subscriptions.get("room:1")?.info.chanInfo, `{"role":"host"}`);
  });
}

Deno.test("a backend's answer is obeyed by protocols that sign in by the request, with the connection's id", async () => {
  await using backend = backendServer(({ headers }) =>
    headers.get("cookie") === "session=ann"
      ? { result: { user: "ann", permissions: ["read:path:acme"] } }
      : { error: { code: 1001, message: "log in first" } }
  );
  await using server = await proxyServer({ connect: { url: backend.url, httpHeaders: ["Cookie"] } });
  const opened: string[] = [];
  for (const path of ["/relay/acme", "/relay/other", "/ws"]) {
    const request = server.test.connect(path, [], { cookie: "session=ann" });
    if (path === "/relay/other") await assert.rejects(request);
    else await (await request).close();
    const { body } = await backend.asked.next();
    opened.push(body.client);
  }
  assert.equal(new Set(opened).size, 3);

  await assert.rejects(server.test.connect("/relay/acme"), /403/);
  await using refused = await server.test.connect("/ws");
  const { data } = await refused.nextJson();
  assert.deepEqual(data, { code: "BACKEND_ERROR", message: "log in first", number: 1001 });
  assert.equal((await refused.closed).code, 3500);
});

Deno.test("a client learns the error or the disconnect of the backend", async () => {
  await using backend = backendServer(() => ({
    error: { code: 1000, message: "no seats", temporary: true },
  }));
  await using server = await proxyServer({ connect: { url: backend.url } });
  const connect = async () => {
    const client = await server.test.connect("/connection/websocket");
    client.sendJson({ id: 1, connect: {} });
    return client;
  };
  await using waiting = await connect();
  assert.deepEqual(await waiting.nextJson(), {
    id: 1,
    error: { code: 1000, message: "no seats", temporary: true },
  });
  backend.answer = () => ({ disconnect: { code: 4501, reason: "banned" } });
  await using banned = await connect();
  assert.deepEqual(await banned.closed, { code: 4501, reason: "banned" });
});

Deno.test("only listed headers reach the backend, and a client cannot add others", async () => {
  await using backend = backendServer(() => ({ result: { user: "ann" } }));
  await using server = await proxyServer({
    connect: {
      url: backend.url,
      httpHeaders: ["Cookie", "X-Trace"],
      emulatedHeaders: ["authorization", "x-trace"],
      staticHeaders: { "x-secret": "s3cret" },
    },
  });
  await using client = await server.test.connect("/connection/websocket", [], {
    cookie: "a=1",
    "x-secret": "forged",
    "x-other": "no",
    "x-trace": "from-request",
  });
  const headers = {
    Authorization: "Bearer x",
    "X-Trace": "from-command",
    "x-secret": "forged",
    "x-bad": "a",
    cookie: "forged=1",
    host: "elsewhere.example",
  };
  client.sendJson({ id: 1, connect: { headers } });
  await client.nextJson();
  const { headers: got } = await backend.asked.next();
  assert.equal(got.get("cookie"), "a=1");
  assert.equal(got.get("authorization"), "Bearer x");
  assert.equal(got.get("x-secret"), "s3cret");
  assert.equal(got.get("x-trace"), "from-request");
  assert.equal(got.get("x-other"), null);
  assert.equal(got.get("host"), new URL(backend.url).host);

  await using hostile = await server.test.connect("/connection/websocket");
  hostile.sendJson({ id: 1, connect: { headers: { authorization: "a\r\nx-injected: 1", "x-trace": 7 } } });
  await hostile.nextJson();
  const { headers: clean } = await backend.asked.next();
  assert.equal(clean.get("x-injected"), null);
  assert.equal(clean.get("authorization"), null);
});

/** A connected client of a server whose backend renews sign-ins, with a clock that the test advances. */
async function expiring(refreshed: Answer, withRefresh = true) {
  const clock = new FakeClock();
  const backend = backendServer(({ path }) =>
    path === "/connect"
      ? { result: { user: "ann", expire_at: clock.wallTime() / 1_000 + 60, meta: { plan: 1 } } }
      : refreshed
  );
  const server = await proxyServer({
    connect: { url: `${backend.url}/connect` },
    ...(withRefresh && { refresh: { url: `${backend.url}/refresh`, includeMeta: true } }),
  }, { server: { clock } });
  const client = await server.test.connect("/connection/websocket");
  client.sendJson({ id: 1, connect: {} });
  const { connect } = await client.nextJson();
  assert.equal(connect.ttl, undefined); // The server renews it, not the client.
  await backend.asked.next();
  const advance = async (ms: number) => {
    clock.advance(ms);
    await until("an answer", () => backend.asked.size > 0);
    return (await backend.asked.next()).body;
  };
  const id: string = connect.client;
  return {
    clock,
    backend,
    server,
    client,
    id,
    advance,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

Deno.test("a sign-in is renewed when it expires, and others see the new info", async () => {
  await using test = await expiring({
    result: { info: { name: "Ann" }, meta: { plan: 2 }, expire_at: 1_700_000_120 },
  });
  const { id, server: { bus } } = test;
  assert.deepEqual(await test.advance(MINUTE), {
    client: id,
    transport: "websocket",
    protocol: "json",
    encoding: "json",
    user: "ann",
    meta: { plan: 1 },
  });
  await until("the new info", () => bus.clientOf(id)?.info.connInfo === `{"name":"Ann"}`);
  assert.deepEqual(server(test).meta, { plan: 2 });
  assert.deepEqual((await test.advance(MINUTE)).meta, { plan: 2 });
});

function server({ server: { access, bus }, id }: Awaited<ReturnType<typeof expiring>>) {
  return access.signInOf(bus.clientOf(id)!.conn)!;
}

Deno.test("an expired sign-in ends the connection, so that its client connects again", async (t) => {
  const answers: Record<string, Answer> = {
    "expired": { result: { expired: true } },
    "no result": {},
    "an error": { error: { code: 1001, message: "gone" } },
  };
  for (const [name, answer] of Object.entries(answers)) {
    await t.step(name, async () => {
      await using test = await expiring(answer);
      await test.advance(MINUTE);
      assert.equal((await test.client.closed).code, 3005);
    });
  }
  await t.step("a disconnect with its own code", async () => {
    await using test = await expiring({ disconnect: { code: 4500, reason: "bye" } });
    await test.advance(MINUTE);
    assert.deepEqual(await test.client.closed, { code: 4500, reason: "bye" });
  });
  await t.step("without a URL to renew it", async () => {
    await using test = await expiring({}, false);
    test.clock.advance(MINUTE);
    assert.equal((await test.client.closed).code, 3005);
  });
});

Deno.test("a backend's outage ends no connection: its sign-in is renewed a minute later", async () => {
  await using test = await expiring(new Response("broken", { status: 500 }));
  await test.advance(MINUTE);
  await until("the failure", () => test.server.test.log.size > 0);
  test.backend.answer = () => ({ result: { expired: true } });
  assert.equal((await test.advance(MINUTE)).user, "ann");
  assert.equal((await test.client.closed).code, 3005);
});

Deno.test("a token needs no backend, unless the backend decides always", async () => {
  const secret = "at least thirty-two bytes of secret";
  const { SignJWT } = await import("jose");
  const token = await new SignJWT({ sub: "bob" }).setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(secret));
  await using backend = backendServer(() => ({ result: { user: "ann" } }));
  for (const always of [false, true]) {
    await using server = await proxyServer({ connect: { url: backend.url, always } }, {
      auth: { jwt: { secret } },
    });
    await using client = await server.test.connect("/connection/websocket");
    client.sendJson({ id: 1, connect: { token } });
    const { connect } = await client.nextJson();
    assert.equal(server.bus.clientOf(connect.client)?.identity.user, always ? "ann" : "bob");
    await using other = await Client.connect(`${server.url}/ws?token=${token}`);
    const ack = await other.nextJson();
    assert.equal(ack.data.userId, always ? "ann" : "bob");
    await using third = await Client.connect(`${server.url}/relay/acme?token=${token}`);
    void third;
    // An invalid token is not an absent one.
    if (always) continue;
    await using forged = await server.test.connect("/connection/websocket");
    forged.sendJson({ id: 1, connect: { token: "x.y.z" } });
    assert.equal((await forged.closed).code, 3500);
  }
  assert.equal(backend.count, 3);
});

Deno.test("capabilities become permissions", async () => {
  await using backend = backendServer(() => ({
    result: { user: "ann", caps: [{ channels: ["news", "chat:*"], allow: ["sub"], match: "wildcard" }] },
  }));
  await using server = await proxyServer({ connect: { url: backend.url } });
  await using client = await server.test.connect("/connection/websocket");
  client.sendJson({ id: 1, connect: {} });
  const { connect } = await client.nextJson();
  const { can } = server.bus.clientOf(connect.client)!.identity;
  assert.deepEqual([can("read", "chat:1"), can("write", "chat:1"), can("read", "other")], [
    true,
    false,
    false,
  ]);
});
