import assert from "node:assert/strict";
import { PlugboardError, type Plugin, Server } from "../../../core/mod.ts";
import { type Access, auth, type AuthOptions } from "../../../plugins/auth.ts";
import {
  type ChannelAction,
  type ChannelEncoder,
  type Channels,
  channels,
} from "../../../plugins/channels.ts";
import { type Client, started, type TestServer } from "../../kit/mod.ts";
import { ACTIONS, allowed, IDENTITIES, NAMESPACES, QUESTIONS } from "./decisions.ts";
import { closed, SECRET, token } from "./kit.ts";

const silent: ChannelEncoder = {
  publication: () => "{}",
  join: () => "{}",
  leave: () => "{}",
  subscribed: () => "{}",
  unsubscribed: (channel, { code }) => JSON.stringify({ unsubscribed: channel, code }),
};

/** `/t`: all operations, for clients that send credentials with the request. */
function operations(access: Access, bus: Channels): Plugin {
  return {
    name: "operations",
    endpoints: [{
      name: "operations",
      path: "/t",
      open(conn) {
        const client = bus.connect(conn, { identity: access.identityOf(conn)!, encoder: silent });
        const run: Record<ChannelAction, (channel: string, grant?: string) => unknown> = {
          async subscribe(channel, grant) {
            const request = grant === undefined ? {} : await access.verifySubscription(grant, {
              channel,
              user: client.identity.user,
              client: client.id,
            });
            await client.subscribe(channel, request, () => {});
          },
          publish: (channel) => client.publish(channel, {}),
          history: (channel) => client.history(channel),
          presence: (channel) => client.check("presence", channel),
        };
        return {
          async message(text) {
            const [action, channel, grant] = JSON.parse(text) as [ChannelAction, string, string?];
            try {
              await run[action](channel, grant);
              conn.send(`"allowed"`);
            } catch (error) {
              if (!(error instanceof PlugboardError)) throw error;
              conn.send(JSON.stringify(`${error.code}: ${error.message}`));
            }
          },
        };
      },
    }],
  };
}

async function serveDecisions(
  options: AuthOptions = {},
): Promise<TestServer & { bus: Channels; access: Access }> {
  const server = new Server({ port: 0, drainMs: 1_000 });
  const access = server.use(auth({ jwt: { secret: SECRET }, anonymous: true, ...options }));
  const bus = server.use(channels({ namespaces: NAMESPACES, access }));
  server.use(operations(access, bus));
  return Object.assign(await started(server), { bus, access });
}

const DENIED = "permission_denied: Permission denied";

/** Returns the answer, which is a text; other messages are pushes. */
async function ask(client: Client, ...question: [ChannelAction, string, string?]): Promise<string> {
  client.sendJson(question);
  for (;;) {
    const answer = await client.nextJson();
    if (typeof answer === "string") return answer;
  }
}

Deno.test("S09 rule and identity decide every operation, and a refusal is answered", async () => {
  await using server = await serveDecisions();
  for (const identity of IDENTITIES) {
    const { claims } = identity;
    const path = claims === undefined ? "/t" : `/t?token=${await token(claims)}`;
    for (const [action, rule] of QUESTIONS) {
      await using client = await server.connect(path);
      const answer = await ask(client, action, `${rule}:x`);
      const expected = allowed(identity, action, rule) ? "allowed" : DENIED;
      assert.equal(answer, expected, `${identity.name}, ${action}, rule ${rule}`);
    }
  }
});

Deno.test("a subscriber's permissions last as long as the subscription", async () => {
  await using server = await serveDecisions();
  await using client = await server.connect("/t");
  for (const action of ["publish", "presence", "history"] as const) {
    assert.equal(await ask(client, action, "subscriber:x"), DENIED);
  }
  const grant = await token({ channel: "subscriber:x" });
  assert.equal(await ask(client, "subscribe", "subscriber:x", grant), "allowed");
  for (const action of ["publish", "presence", "history"] as const) {
    assert.equal(await ask(client, action, "subscriber:x"), "allowed");
    assert.equal(await ask(client, action, "subscriber:y"), DENIED, "of this channel only");
  }
});

Deno.test("a refusal does not tell whether the channel exists", async () => {
  await using server = await serveDecisions();
  await using insider = await server.connect(
    `/t?token=${await token({ sub: "root", permissions: ["admin"] })}`,
  );
  assert.equal(await ask(insider, "subscribe", "permission:busy"), "allowed");
  assert.equal(await ask(insider, "publish", "permission:busy"), "allowed");
  await using outsider = await server.connect(`/t?token=${await token({ sub: "eve", permissions: [] })}`);
  for (const action of ACTIONS) {
    for (const name of ["busy", "empty", "never:heard:of"]) {
      assert.equal(await ask(outsider, action, `permission:${name}`), DENIED, `${action} ${name}`);
    }
  }
  assert.deepEqual(
    server.bus.localStats().map(({ channel }) => channel),
    ["permission:busy"],
    "and creates nothing",
  );
});

Deno.test("a subscription token is valid for its channel and its user only", async () => {
  await using server = await serveDecisions();
  const alice = await token({ sub: "alice", permissions: [] });
  const cases: [claims: Record<string, unknown>, answer: RegExp][] = [
    [{ sub: "alice", channel: "$nobody:1" }, /^allowed$/],
    [{ sub: "alice", channel: "$nobody:2" }, /^token_mismatch/],
    [{ sub: "bob", channel: "$nobody:1" }, /^token_mismatch/],
    [{ channel: "$nobody:1" }, /^token_mismatch/],
    [{ sub: "alice", channel: "$nobody:1", client: "another-connection" }, /^token_mismatch/],
    [{ sub: "alice", channel: "$nobody:1", exp: 1 }, /^token_expired/],
    [{ sub: "alice" }, /^invalid_token/],
  ];
  for (const [claims, answer] of cases) {
    await using client = await server.connect(`/t?token=${alice}`);
    assert.equal(await ask(client, "subscribe", "$nobody:1"), DENIED, "without a token");
    assert.match(
      await ask(client, "subscribe", "$nobody:1", await token(claims)),
      answer,
      JSON.stringify(claims),
    );
  }
  await using client = await server.connect(`/t?token=${alice}`);
  const forged = await token({ sub: "alice", channel: "$nobody:1" }, {
    secret: "a secret that somebody made up …",
  });
  assert.match(await ask(client, "subscribe", "$nobody:1", forged), /^invalid_token/);
  await server.access.revoke({ jti: "s1" });
  const revoked = await token({ sub: "alice", channel: "$nobody:1", jti: "s1" });
  assert.match(await ask(client, "subscribe", "$nobody:1", revoked), /^invalid_token/);
});

Deno.test("the app's own rule for subscribing may be async, and can only deny", async () => {
  const members = new Map([["anyone:club", "alice"]]);
  await using server = await serveDecisions({
    async subscribeRule({ user }, channel) {
      await Promise.resolve();
      if (channel === "anyone:broken") throw new Error("the database is down");
      const member = members.get(channel);
      return member === undefined || member === user;
    },
  });
  await using alice = await server.connect(`/t?token=${await token({ sub: "alice" })}`);
  await using bob = await server.connect(`/t?token=${await token({ sub: "bob" })}`);
  assert.equal(await ask(alice, "subscribe", "anyone:club"), "allowed");
  assert.equal(await ask(bob, "subscribe", "anyone:club"), DENIED);
  assert.equal(await ask(bob, "subscribe", "anyone:else"), "allowed");
  assert.equal(await ask(alice, "subscribe", "nobody:x"), DENIED, "it is not called if the permissions deny");
  bob.sendJson(["subscribe", "anyone:broken"]);
  assert.equal((await closed(bob)).code, 3004, "a rule that throws denies");
});
