import assert from "node:assert/strict";
import { Server } from "../../../core/mod.ts";
import { type Access, auth, type AuthOptions } from "../../../plugins/auth.ts";
import { type ChannelAction, channels } from "../../../plugins/channels.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { type Client, FakeClock, started, type TestServer } from "../../kit/mod.ts";
import { ACTIONS, allowed, IDENTITIES, NAMESPACES, QUESTIONS } from "./decisions.ts";
import { closed, SECRET, serveAuth, stopping, token } from "./kit.ts";

/** A server with sign-in and the protocols for channels. */
async function serveProtocols(
  options: AuthOptions,
  clock = new FakeClock(),
): Promise<TestServer & { access: Access; clock: FakeClock }> {
  // No pings: they would require answers.
  const pingIntervalMs = 600_000;
  const server = new Server({ port: 0, drainMs: 1_000, clock, pingIntervalMs });
  const access = server.use(auth({ jwt: { secret: SECRET }, ...options }));
  const bus = server.use(channels({ namespaces: NAMESPACES }));
  const people = server.use(presence({ channels: bus }));
  server.use(centrifuge({ channels: bus, presence: people, access }));
  server.use(json({ channels: bus, presence: people, access }));
  return Object.assign(await started(server), {
    access,
    clock,
    [Symbol.asyncDispose]: stopping(server, clock),
  });
}

/** A client of a protocol: connects, and asks for one action; the answer is `allowed` or the error. */
interface ProtocolClient {
  readonly name: string;
  connect(server: TestServer, jwt: string | undefined): Promise<Client>;
  ask(client: Client, action: ChannelAction, channel: string): Promise<string>;
  readonly denied: string;
}

/** Sends a message and returns the answer with the same id. */
async function answered(client: Client, message: Record<string, unknown>): Promise<Record<string, unknown>> {
  client.sendJson(message);
  for (;;) {
    for (const line of (await client.nextText()).split("\n")) {
      const answer = JSON.parse(line);
      if (answer.id === message["id"]) return answer;
    }
  }
}

let lastId = 1;

const protocolClients: readonly ProtocolClient[] = [{
  name: "centrifuge",
  async connect(server, jwt) {
    const client = await server.connect("/connection/websocket");
    await answered(client, { id: 1, connect: { ...(jwt !== undefined && { token: jwt }) } });
    return client;
  },
  async ask(client, action, channel) {
    const request = { channel, ...(action === "publish" && { data: {} }) };
    const { error } = await answered(client, { id: ++lastId, [action]: request });
    return error === undefined ? "allowed" : JSON.stringify(error);
  },
  denied: `{"code":103,"message":"Permission denied"}`,
}, {
  name: "json",
  async connect(server, jwt) {
    const client = await server.connect(jwt === undefined ? "/ws" : `/ws?token=${jwt}`);
    await client.next();
    return client;
  },
  async ask(client, action, channel) {
    const { type, data } = await answered(client, { id: String(++lastId), type: action, channel, data: {} });
    return type === "error" ? JSON.stringify(data) : "allowed";
  },
  denied: `{"code":"PERMISSION_DENIED","message":"Permission denied"}`,
}];

for (const { name, connect, ask, denied } of protocolClients) {
  Deno.test(`S09 ${name}: rule and identity decide every operation, and a refusal is answered`, async () => {
    await using server = await serveProtocols({ anonymous: true });
    for (const identity of IDENTITIES) {
      const jwt = identity.claims === undefined ? undefined : await token(identity.claims);
      await using client = await connect(server, jwt);
      for (const [action, rule] of QUESTIONS) {
        const expected = allowed(identity, action, rule) ? "allowed" : denied;
        assert.equal(
          await ask(client, action, `${rule}:x`),
          expected,
          `${identity.name}, ${action}, rule ${rule}`,
        );
      }
    }
  });
}

/** What each client may do in `$team:secret` without a subscription token. */
const PRIVATE:
  readonly (readonly [claims: Record<string, unknown> | undefined, reads: boolean, writes: boolean])[] = [
    [undefined, false, false],
    [{ sub: "alice" }, false, false],
    [{ sub: "alice", permissions: ["*", "read:*", "write:*:*"] }, false, false],
    [{ sub: "alice", permissions: ["read:team:*", "write:team:secret"] }, false, false],
    [{ sub: "alice", permissions: ["read:$team:*"] }, true, false],
    [{ sub: "alice", permissions: ["write:$team:secret"] }, false, true],
    [{ sub: "root", permissions: ["admin"] }, true, true],
  ];

for (const { name, connect, ask, denied } of protocolClients) {
  Deno.test(`${name}: a channel that begins with $ is closed to everybody without a permission that names it`, async () => {
    await using server = await serveProtocols({ anonymous: true });
    for (const [claims, reads, writes] of PRIVATE) {
      await using client = await connect(server, claims && await token(claims));
      for (const action of ACTIONS) {
        const expected = (action === "publish" ? writes : reads) ? "allowed" : denied;
        const answer = await ask(client, action, "$team:secret");
        assert.equal(answer, expected, `${JSON.stringify(claims)}, ${action}`);
      }
    }
  });

  Deno.test(`${name}: the rule "anyone" does not open a channel that begins with $`, async () => {
    await using server = await serveProtocols({ anonymous: true });
    for (const claims of [undefined, { sub: "alice" }]) {
      await using client = await connect(server, claims && await token(claims));
      for (const action of ACTIONS) {
        for (const rule of ["anyone", "signed_in"]) {
          assert.equal(await ask(client, action, `$${rule}:x`), denied, `${action}, ${rule}`);
        }
      }
    }
  });
}

Deno.test("a subscription token opens a $ channel for its subscriber, also after a new sign-in", async () => {
  await using server = await serveProtocols({});
  const [{ ask, denied, connect }] = protocolClients as [ProtocolClient];
  const subscribe = async (client: Client) => {
    const jwt = await token({ sub: "alice", channel: "$team:secret" });
    return await answered(client, { id: ++lastId, subscribe: { channel: "$team:secret", token: jwt } });
  };
  await using client = await connect(server, await token({ sub: "alice" }));
  assert.ok("subscribe" in await subscribe(client));
  await answered(client, { id: ++lastId, refresh: { token: await token({ sub: "alice" }) } });
  for (const action of ["publish", "presence", "history"] as const) {
    assert.equal(await ask(client, action, "$team:secret"), "allowed", action);
    assert.equal(await ask(client, action, "$team:other"), denied, "another channel");
  }
  await using reader = await connect(server, await token({ sub: "alice", permissions: ["read:*"] }));
  assert.ok("subscribe" in await subscribe(reader));
  assert.equal(await ask(reader, "publish", "$team:secret"), denied, "the token adds no right to publish");
  await answered(client, { id: ++lastId, unsubscribe: { channel: "$team:secret" } });
  for (const action of ["publish", "presence", "history"] as const) {
    assert.equal(await ask(client, action, "$team:secret"), denied, `${action} after the subscription`);
  }
});

Deno.test("on a server without sign-in $ channels are ordinary, and subscription tokens are ignored", async () => {
  await using server = await serveProtocols({ jwt: undefined });
  assert.match(server.log.take()[0]!.message, /also for channels that begin with \$/);
  for (const { connect, ask } of protocolClients) {
    await using client = await connect(server, undefined);
    for (const action of ACTIONS) assert.equal(await ask(client, action, "$team:secret"), "allowed", action);
  }
  await using client = await server.connect("/connection/websocket");
  await answered(client, { id: 1, connect: { token: "of another server" } });
  for (const [channel, jwt] of [["$team:a", await token({ channel: "$team:b" })], ["news", "nonsense"]]) {
    assert.ok("subscribe" in await answered(client, { id: ++lastId, subscribe: { channel, token: jwt } }));
  }
});

/** Returns the result of a Centrifuge client's connect command: the error code, or the close code. */
async function connectWith(server: TestServer, jwt?: string): Promise<number | "connected"> {
  const client = await server.connect("/connection/websocket");
  client.sendJson({ id: 1, connect: jwt === undefined ? {} : { token: jwt } });
  const outcome = await Promise.race([
    client.nextJson().then(({ error }) => error?.code ?? "connected", () => undefined),
    closed(client).then(({ code }) => code),
  ]) ?? (await closed(client)).code;
  await client.close();
  return outcome;
}

Deno.test("S07 a Centrifuge client gets the protocol's code for a token that is refused", async () => {
  await using server = await serveProtocols({});
  const now = server.clock.wallTime() / 1000;
  assert.equal(await connectWith(server, await token({ sub: "alice", exp: now + 60 })), "connected");
  assert.equal(await connectWith(server, await token({ sub: "alice", exp: now - 60 })), 109);
  for (
    const bad of [
      "nonsense",
      await token({ sub: "alice" }, { secret: "another secret of thirty-two bytes" }),
      await token({ sub: "alice", channel: "news" }),
    ]
  ) assert.equal(await connectWith(server, bad), 3500);
  assert.equal(await connectWith(server, await token({ sub: "alice", nbf: now + 60 })), 109);
  assert.ok([101, 3501].includes(await connectWith(server) as number), "no token at all");
});

Deno.test("a Centrifuge client refreshes its token, or is closed with 3005", async () => {
  await using server = await serveProtocols({});
  const { clock } = server;
  const client = await server.connect("/connection/websocket");
  const exp = (seconds: number) => clock.wallTime() / 1000 + seconds;
  const { connect } = await answered(client, {
    id: 1,
    connect: { token: await token({ sub: "alice", exp: exp(60) }) },
  });
  assert.deepEqual([(connect as { ttl: number }).ttl, (connect as { expires: boolean }).expires], [60, true]);
  const { refresh } = await answered(client, {
    id: 2,
    refresh: { token: await token({ sub: "alice", exp: exp(90) }) },
  });
  assert.equal((refresh as { ttl: number }).ttl, 90);
  clock.advance(114_000);
  const { error } = await answered(client, { id: 3, history: { channel: "a" } });
  assert.deepEqual(error, { code: 109, message: "Token expired" }, "the grace period");
  clock.advance(1_000);
  assert.equal((await closed(client)).code, 3005);
});

for (const { name, connect, ask } of protocolClients) {
  Deno.test(`${name}: a client whose sign-in has expired can only refresh it`, async () => {
    await using server = await serveProtocols({});
    const { clock } = server;
    const jwt = (seconds: number) => token({ sub: "alice", exp: clock.wallTime() / 1000 + seconds });
    await using client = await connect(server, await jwt(60));
    assert.equal(await ask(client, "subscribe", "anyone:a"), "allowed");
    clock.advance(60_000);
    for (const rule of ["permission", "anyone", "signed_in", "subscriber"]) {
      for (const action of ACTIONS) {
        const answer = await ask(client, action, `${rule}:${action === "subscribe" ? "b" : "a"}`);
        assert.match(answer, /109|TOKEN_EXPIRED/, `${action}, ${rule}`);
      }
    }
    const refresh = { token: await jwt(60) };
    const id = name === "json" ? String(++lastId) : ++lastId;
    await answered(client, name === "json" ? { id, type: "refresh", data: refresh } : { id, refresh });
    for (const action of ["publish", "history", "presence"] as const) {
      assert.equal(await ask(client, action, "anyone:a"), "allowed", `${action} after the refresh`);
    }
  });
}

Deno.test("a client of a protocol without refreshes is closed when its sign-in expires", async () => {
  const clock = new FakeClock();
  await using server = await serveAuth(undefined, { clock });
  await using client = await server.connect(
    `/me?token=${await token({ sub: "alice", exp: clock.wallTime() / 1000 + 60 })}`,
  );
  await client.next();
  clock.advance(59_000);
  client.send("still here");
  assert.equal(await client.nextText(), "still here");
  clock.advance(1_000);
  assert.equal((await closed(client)).code, 3005);
});

Deno.test("revoking a user's tokens closes their clients of every protocol", async () => {
  await using server = await serveProtocols({});
  const jwt = await token({ sub: "alice" });
  const clients = await Promise.all(protocolClients.map((protocol) => protocol.connect(server, jwt)));
  assert.equal(await server.access.revoke({ user: "alice" }), clients.length);
  for (const client of clients) assert.equal((await closed(client)).code, 3500);
});
