/** Signing in and renewing the sign-in. */

import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
import type { LineClient } from "../../kit/protobuf_client.ts";
import {
  type CentrifugeServer,
  centrifugeServer,
  connectIn,
  type Encoding,
  fakeAccess,
  type FakeToken,
  inEach,
  TRANSPORTS,
} from "../../kit/centrifuge.ts";
import { FakeClock, until, within } from "../../kit/mod.ts";

const tokens: Record<string, FakeToken> = {
  alice: { user: "alice", expiresInMs: 60_000 },
  longer: { user: "alice", expiresInMs: 600_000 },
  forever: { user: "alice" },
  bob: { user: "bob" },
  comma: { user: "bob,alice" },
  sub: { user: "alice", grant: { expiresInMs: 60_000 } },
  plain: { user: "alice", grant: {} },
};

async function withAccess(overrides: Partial<ReturnType<typeof fakeAccess>> = {}): Promise<CentrifugeServer> {
  const access = { ...fakeAccess(tokens), ...overrides };
  return await centrifugeServer({ centrifuge: { access, personalChannels: true } });
}

// deno-lint-ignore no-explicit-any -- tests look into what they expect
async function ask(client: LineClient, command: unknown): Promise<any> {
  client.sendJson(command);
  return await client.nextJson();
}

async function signedIn(server: CentrifugeServer, encoding: Encoding, token = "alice"): Promise<LineClient> {
  const client = await connectIn(server, encoding);
  const { connect } = await ask(client, { id: 1, connect: { token } });
  assert.ok(connect !== undefined);
  return client;
}

async function closedAfter(client: LineClient, command: unknown): Promise<[number, string]> {
  client.sendJson(command);
  const { code, reason } = await within("the close", client.closed);
  return [code, reason];
}

inEach("the reply to connect has the time to live and the server's subscriptions", async (encoding) => {
  await using server = await withAccess();
  await using client = await connectIn(server, encoding);
  const { connect } = await ask(client, { id: 1, connect: { token: "alice" } });
  assert.deepEqual([connect.expires, connect.ttl], [true, 60]);
  const { epoch, ...rest } = connect.subs["#alice"];
  assert.ok(epoch !== "");
  assert.deepEqual(rest, { recoverable: true, positioned: true });
});

inEach(
  "a client recovers the server's subscriptions, and adds none that it may not have",
  async (encoding) => {
    await using server = await centrifugeServer({
      channels: { namespaces: { closed: { subscribe: "nobody" } }, maxChannelsPerClient: 3 },
      centrifuge: { access: fakeAccess(tokens), personalChannels: true },
    });
    const { epoch } = await server.bus.publish("#alice", 1);
    await server.bus.publish("#alice", 2);
    await using client = await connectIn(server, encoding);
    const from = { recover: true, epoch, offset: 1 };
    const { connect } = await ask(client, {
      id: 1,
      connect: {
        token: "alice",
        subs: {
          "#alice": from,
          "#bob": from,
          "closed:a": from,
          "a/../b": from,
          ["__proto__"]: from,
          open: from,
          "beyond the limit": from,
        },
      },
    });
    assert.deepEqual(Object.keys(connect.subs).sort(), ["#alice", "__proto__", "open"]);
    const { recovered, publications, offset } = connect.subs["#alice"];
    assert.deepEqual([recovered, offset, publications], [true, 1, [{ data: 2, offset: 2 }]]);
  },
);

inEach("the server's subscriptions need no permission of the client", async (encoding) => {
  const access = fakeAccess(tokens);
  await using server = await centrifugeServer({
    channels: { defaults: { subscribe: "nobody" } },
    centrifuge: { access, personalChannels: true },
  });
  await using client = await connectIn(server, encoding);
  const { connect } = await ask(client, { id: 1, connect: { token: "alice" } });
  assert.deepEqual(Object.keys(connect.subs), ["#alice"]);
  assert.equal((await ask(client, { id: 2, subscribe: { channel: "other" } })).error.code, 103);
});

inEach(
  "a client that leaves during its sign-in does not become a client of the channels",
  async (encoding) => {
    const checked = Promise.withResolvers<void>();
    const { connect, ...access } = fakeAccess(tokens);
    await using server = await withAccess({
      ...access,
      async connect(...request) {
        await checked.promise;
        return await connect(...request);
      },
    });
    await using client = await connectIn(server, encoding);
    client.sendJson({ id: 1, connect: { token: "alice" } });
    await client.close();
    await until("the connection to end", () => server.test.server.connections.size === 0);
    checked.resolve();
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(server.bus.clients.size, 0);
  },
);

inEach("a user whose id has a comma has no personal channel", async (encoding) => {
  await using server = await withAccess();
  await using client = await connectIn(server, encoding);
  const { connect } = await ask(client, { id: 1, connect: { token: "comma" } });
  assert.equal(connect.subs, undefined);
});

const refusals: [code: string, expected: { code: number; temporary?: true } | number][] = [
  ["unauthorized", { code: 101 }],
  ["permission_denied", { code: 103 }],
  ["token_expired", { code: 109 }],
  ["too_many_requests", { code: 111, temporary: true }],
  ["unavailable", { code: 100, temporary: true }],
  ["invalid_token", 3500],
  ["token_mismatch", 3500],
  ["connection_limit", 3504],
];

for (const [code, expected] of refusals) {
  inEach(`a sign-in refused with ${code} gets that code, on a stream after a delay`, async (encoding) => {
    await using server = await withAccess({ connect: () => Promise.reject(new PlugboardError(code, "no")) });
    await using client = await connectIn(server, encoding);
    const command = { id: 1, connect: { token: "x" } };
    if (typeof expected === "number") assert.equal((await closedAfter(client, command))[0], expected);
    else assert.deepEqual(await ask(client, command), { id: 1, error: { message: "no", ...expected } });
    const started = performance.now();
    const response = await server.test.fetch(TRANSPORTS.http_stream, {
      method: "POST",
      body: JSON.stringify(command),
    });
    const reader = response.body!.getReader();
    const { error, push } = JSON.parse(new TextDecoder().decode((await reader.read()).value));
    if (typeof expected === "number") assert.equal(push.disconnect.code, expected);
    else assert.equal(error.code, expected.code);
    assert.ok(performance.now() - started > 40);
    await reader.cancel();
  });
}

inEach("a sign-in that fails because of the server is logged, and the client may retry", async (encoding) => {
  await using server = await withAccess({ connect: () => Promise.reject(new Error("the disk is full")) });
  await using client = await connectIn(server, encoding);
  const { error } = await ask(client, { id: 1, connect: {} });
  assert.deepEqual(error, { code: 100, message: "internal server error", temporary: true });
  assert.match(String((await server.test.log.next()).fields.error), /the disk is full/);
});

inEach("the reply to a renewed sign-in has its time to live", async (encoding) => {
  await using server = await withAccess();
  await using client = await signedIn(server, encoding);
  const { refresh: longer } = await ask(client, { id: 2, refresh: { token: "longer" } });
  const [{ id } = assert.fail()] = server.bus.clients.values();
  assert.deepEqual(longer, { client: id, version: "plugboard", expires: true, ttl: 600 });
  const { refresh: forever } = await ask(client, { id: 3, refresh: { token: "forever" } });
  assert.deepEqual(forever, { client: id, version: "plugboard" });
});

inEach("a sign-in that the server extends causes a push", async (encoding) => {
  await using server = await withAccess();
  await using client = await signedIn(server, encoding);
  await server.bus.refresh({ user: "alice" }, { expiresAt: Date.now() + 90_000 });
  assert.deepEqual(await client.nextJson(), { push: { refresh: { expires: true, ttl: 90 } } });
});

const renewals: [what: string, command: Record<string, unknown>, close: [number, string]][] = [
  ["no token", { refresh: {} }, [3501, "bad request"]],
  ["an invalid token", { refresh: { token: "bad" } }, [3500, "invalid token"]],
  ["another user's token", { refresh: { token: "bob" } }, [3500, "invalid token"]],
  ["an expired token", { refresh: { token: "expired" } }, [3005, "connection expired"]],
  ["an invalid subscription token", { sub_refresh: { channel: "$doc", token: "bad" } }, [
    3500,
    "invalid token",
  ]],
  ["another user's subscription token", { sub_refresh: { channel: "$doc", token: "bob" } }, [
    3500,
    "invalid token",
  ]],
  ["an expired subscription token", { sub_refresh: { channel: "$doc", token: "expired" } }, [
    3006,
    "subscription expired",
  ]],
];

for (const [what, command, close] of renewals) {
  inEach(`renewing with ${what} ends the connection with ${close[0]}`, async (encoding) => {
    await using server = await withAccess();
    await using client = await signedIn(server, encoding);
    await ask(client, { id: 2, subscribe: { channel: "$doc", token: "sub" } });
    await ask(client, { id: 3, subscribe: { channel: "open" } });
    assert.deepEqual(await closedAfter(client, { id: 4, ...command }), close);
  });
}

inEach("the reply to a renewed subscription has its time to live", async (encoding) => {
  await using server = await withAccess();
  await using client = await signedIn(server, encoding);
  const { subscribe } = await ask(client, { id: 2, subscribe: { channel: "$doc", token: "sub" } });
  assert.deepEqual([subscribe.expires, subscribe.ttl], [true, 60]);
  const renew = async (token: string) =>
    await ask(client, { id: 3, sub_refresh: { channel: "$doc", token } });
  assert.deepEqual((await renew("sub")).sub_refresh, { expires: true, ttl: 60 });
  assert.equal((await renew("")).error.code, 107);
  assert.deepEqual((await renew("plain")).sub_refresh, {});
});

inEach(
  "a subscription that does not expire can be renewed by a token, and expires if that does",
  async (encoding) => {
    const clock = new FakeClock(Date.now());
    await using server = await centrifugeServer({
      server: { clock, pingIntervalMs: 1_000_000 },
      centrifuge: { access: fakeAccess(tokens) },
    });
    await using client = await signedIn(server, encoding, "forever");
    assert.ok((await ask(client, { id: 2, subscribe: { channel: "open" } })).subscribe);
    const renew = async (token: string) =>
      (await ask(client, { id: 3, sub_refresh: { channel: "open", token } })).sub_refresh;
    assert.deepEqual(await renew("plain"), {});
    assert.equal((await renew("sub")).expires, true);
    clock.advance(90_000);
    const { push } = await client.nextJson();
    assert.deepEqual(push, { channel: "open", unsubscribe: { code: 2501, reason: "expired" } });
  },
);

inEach("without sign-in tokens are ignored", async (encoding) => {
  await using server = await centrifugeServer();
  await using client = await signedIn(server, encoding, "whatever");
  assert.ok((await ask(client, { id: 2, subscribe: { channel: "$doc", token: "sub" } })).subscribe);
  assert.ok((await ask(client, { id: 3, subscribe: { channel: "doc", token: "sub" } })).subscribe);
  assert.deepEqual(await ask(client, { id: 4, sub_refresh: { channel: "doc", token: "sub" } }), {
    id: 4,
    sub_refresh: {},
  });
});
