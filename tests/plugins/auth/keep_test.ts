import assert from "node:assert/strict";
import { Server } from "../../../core/mod.ts";
import { type Access, auth } from "../../../plugins/auth.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { started, type TestServer } from "../../kit/mod.ts";
import { closed, me, refusedUpgrade, SECRET, token } from "./kit.ts";

async function serveKept(path: string): Promise<TestServer & { access: Access }> {
  const server = new Server({ port: 0, drainMs: 1_000 });
  const store = server.use(persistence({ path }));
  const access = server.use(auth({ jwt: { secret: SECRET }, keep: store.keyValues<string>("revocations") }));
  server.use(me(access));
  return Object.assign(await started(server), { access });
}

Deno.test("revocations survive a restart in the database", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/plugboard.db`;
    const jwt = await token({ sub: "alice", jti: "stolen" });
    {
      await using server = await serveKept(path);
      await using client = await server.connect(`/me?token=${jwt}`);
      await client.next();
      assert.equal(await server.access.revoke({ jti: "stolen" }), 1);
      assert.equal((await closed(client)).code, 3500);
    }
    await using again = await serveKept(path);
    assert.equal((await refusedUpgrade(again, `/me?token=${jwt}`)).code, "invalid_token");
    await using other = await again.connect(`/me?token=${await token({ sub: "alice", jti: "own" })}`);
    assert.deepEqual(await other.nextJson(), { user: "alice" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
