import assert from "node:assert/strict";
import { type AnyPlugin, Server } from "../../../core/mod.ts";
import { type Access, auth, type AuthOptions } from "../../../plugins/auth.ts";
import { Client, FakeClock, started, type TestServer } from "../../kit/mod.ts";
import { door, me, SECRET, token } from "./kit.ts";

/** A server with sign-in and the two test protocols. */
async function serveAuth(
  options: AuthOptions = { jwt: { secret: SECRET } },
  { clock, more = () => [] }: { clock?: FakeClock; more?: (access: Access) => AnyPlugin[] } = {},
): Promise<TestServer & { access: Access }> {
  const server = new Server({ port: 0, drainMs: 1_000, ...(clock && { clock }) });
  const access = server.use(auth(options));
  for (const plugin of [me(access), door(access), ...more(access)]) server.use(plugin);
  const running = await started(server);
  return Object.assign(running, { access });
}

/** The status of a refused upgrade. */
async function refusedStatus(server: TestServer, path: string, headers: Record<string, string> = {}) {
  const response = await server.fetch(path, {
    headers: {
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
      ...headers,
    },
  });
  await response.body?.cancel();
  return response.status;
}

Deno.test("a client brings its token in a header, the query or a subprotocol", async () => {
  await using server = await serveAuth();
  const jwt = await token();
  const ways: Parameters<typeof server.connect>[] = [
    ["/me", [], { authorization: `Bearer ${jwt}` }],
    [`/me?token=${jwt}`],
    ["/me", ["bearer", jwt]],
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

Deno.test("T12 without a valid token the answer is 401, for another's path 403", async () => {
  await using server = await serveAuth();
  const mine = await token({ sub: "alice", permissions: ["write:alice"] });
  assert.equal(await refusedStatus(server, "/me/alice"), 401);
  assert.equal(await refusedStatus(server, "/me/alice?token=nonsense"), 401);
  assert.equal(await refusedStatus(server, `/me/bob?token=${mine}`), 403);
  await using client = await server.connect(`/me/alice?token=${mine}`);
  assert.deepEqual(await client.nextJson(), { user: "alice" });
});
