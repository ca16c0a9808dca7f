import assert from "node:assert/strict";
import { Server } from "../../../core/mod.ts";
import { auth, mergeRevocations } from "../../../plugins/auth.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { redis } from "../../../plugins/redis.ts";
import { started, until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import { closed, codeOf, me, SECRET, token } from "../auth/kit.ts";

/** Starts a node whose revocations and API keys are shared. */
async function startNode(url: string) {
  const server = new Server({ port: 0, drainMs: 1_000 });
  const store = server.use(persistence({ path: ":memory:" }));
  const { shared } = server.use(redis({ urls: [url], timeoutMs: 600 }));
  const access = server.use(auth({
    jwt: { secret: SECRET },
    keep: shared("revocations", store.keyValues<string>("revocations"), mergeRevocations),
    keyStore: shared("api_keys", store.keyValues<string>("api_keys")),
  }));
  server.use(me(access));
  const signsIn = async (jwt: string) => await codeOf(access.verify(jwt)).catch(() => "ok");
  const byKey = async (key: string) => {
    const headers = new Headers({ "x-api-key": key });
    return await codeOf(access.authorizeBackend({ headers, url: "http://h/" }, "1.2.3.4"))
      .catch(() => "ok");
  };
  return Object.assign(await started(server), { access, signsIn, byKey });
}

testWith(
  "redis",
  "B12 a revoked user is refused on all nodes, on those that start later, and after a loss of Redis",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using first = await startNode(server.url);
    await using second = await startNode(server.url);
    const [alice, bob] = [await token({ sub: "alice" }), await token({ sub: "bob" })];
    await using client = await second.connect(`/me?token=${alice}`);
    await client.next();
    await first.access.revoke({ user: "alice" });
    assert.equal((await closed(client)).code, 3500);
    await using third = await startNode(server.url);
    assert.deepEqual(
      await Promise.all([first, second, third].map(({ signsIn }) => signsIn(alice))),
      ["invalid_token", "invalid_token", "invalid_token"],
    );
    assert.equal(await second.signsIn(bob), "ok");

    await server.kill();
    await until(
      "the outage",
      async () => await codeOf(first.access.revoke({ user: "bob" })) === "unavailable",
    );
    assert.equal(await first.signsIn(bob), "invalid_token", "here it holds");
    server.run();
    await until("the revocation", async () => await second.signsIn(bob) === "invalid_token", 60_000);
    await until(
      "the values in Redis",
      async () => await server.command("HLEN", "plugboard:values:revocations") === ":2",
    );
    await using last = await startNode(server.url);
    assert.deepEqual([await last.signsIn(alice), await last.signsIn(bob)], [
      "invalid_token",
      "invalid_token",
    ]);
  },
);

testWith(
  "redis",
  "B12 a node that starts after all data were removed from Redis refuses a revoked user",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using first = await startNode(server.url);
    await first.access.revoke({ user: "alice" });
    assert.equal(await server.command("FLUSHALL"), "+OK");
    await until(
      "the values in Redis",
      async () => await server.command("HLEN", "plugboard:values:revocations") === ":1",
    );
    await using second = await startNode(server.url);
    assert.equal(await second.signsIn(await token({ sub: "alice" })), "invalid_token");
  },
);

testWith("redis", "B12 of two revocations of a user on two nodes, both hold", async (program) => {
  await using server = new RedisProcess(program);
  await server.ready();
  await using first = await startNode(server.url);
  await using second = await startNode(server.url);
  const at = (seconds: number) => token({ sub: "alice", iat: seconds });
  await Promise.all([
    first.access.revoke({ user: "alice", issuedBefore: 2_000_000 }),
    second.access.revoke({ user: "alice", issuedBefore: 1_000_000 }),
  ]);
  const jwt = await at(1_500);
  for (const node of [first, second]) {
    await until("both", async () => await node.signsIn(jwt) === "invalid_token");
    assert.equal(await node.signsIn(await at(2_500)), "ok");
  }
  await until("the later one in Redis", async () => {
    await using third = await startNode(server.url);
    return await third.signsIn(jwt) === "invalid_token";
  });
});

testWith(
  "redis",
  "B12 an API key that one node makes or revokes is made or revoked on all",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using first = await startNode(server.url);
    await using second = await startNode(server.url);
    const key = await first.access.createApiKey({ name: "shop", permissions: ["admin"] });
    await until("the key", async () => await second.byKey(key) === "ok");
    assert.equal(await second.access.revokeApiKey("shop"), true);
    await until("its end", async () => await first.byKey(key) !== "ok");
    await until("the end of its name", () => first.access.apiKeys().length === 0);
    await using third = await startNode(server.url);
    assert.notEqual(await third.byKey(key), "ok");
    assert.equal(third.access.apiKeys().length, 0);
  },
);

testWith("redis", "a user whose id has a line break is revoked on all nodes", async (program) => {
  await using server = new RedisProcess(program);
  await server.ready();
  await using first = await startNode(server.url);
  await using second = await startNode(server.url);
  const [jwt, other] = [await token({ sub: "alice\n1" }), await token({ sub: "alice" })];
  await first.access.revoke({ user: "alice\n1" });
  await until("the revocation", async () => await second.signsIn(jwt) === "invalid_token");
  assert.equal(await second.signsIn(other), "ok");
});
