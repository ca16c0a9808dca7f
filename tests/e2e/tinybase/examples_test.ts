import assert from "node:assert/strict";
import { PGlite } from "npm:@electric-sql/pglite@0.5.16";
import { SignJWT } from "jose";
import { createMergeableStore } from "tinybase";
import { postgresPersister } from "../../../examples/postgres_persister.ts";
import { runExample } from "../../kit/example.ts";
import { Client, RawClient, until } from "../../kit/mod.ts";
import { converged, hashesOf, same, synced, syncServer } from "../../plugins/tinybase/kit.ts";

async function dataFolder() {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("T11 the example's persister stores paths in PostgreSQL", async () => {
  const db = new PGlite(); // PostgreSQL itself, compiled to run in this process
  const createPersisterForPath = postgresPersister(db);
  const a = createMergeableStore();
  {
    await using server = await syncServer({ createPersisterForPath });
    await using client = await synced(`${server.url}/sync/pets`, { store: a });
    await using _other = await synced(`${server.url}/sync/cars`);
    a.setTables({ pets: { fido: { species: "dog", bio: 'it\'s "ü" \0 \\ 😀', tags: [1] as never } } });
    a.setValue("open", null as never).setValue("gone", 1).delValue("gone").delCell("pets", "fido", "species");
    await converged(a, server.sync.getStore("pets")!);
    await client.close();
  }
  await using server = await syncServer({ createPersisterForPath });
  await using alone = await synced(`${server.url}/sync/pets`);
  assert.equal(hashesOf(alone.store), hashesOf(a));
  same(alone.store.getMergeableContent(), a.getMergeableContent());
  await alone.close();
  await server.server.stop();
  await db.close();
});

Deno.test("the example speaks both formats, persists its data, and verifies tokens", async () => {
  await using data = await dataFolder();
  const a = createMergeableStore();
  {
    await using example = await runExample("examples/tinybase_server.ts", { DATA_DIR: data.path });
    await using one = await Client.connect(`${example.url}/ws/my-store`);
    await using two = await Client.connect(`${example.url}/ws/my-store`);
    two.send("|hello|hello|");
    await one.nextText();
    one.send("|req001|broadcast|Hello everyone!");
    assert.match(await two.nextText(), /^[0-9a-f-]+\|req001\|broadcast\|Hello everyone!$/);
    await using client = await synced(`${example.url}/sync/my-store`, { store: a });
    a.setCell("pets", "fido", "species", "dog");
    await until("the answer to have it", async () => {
      one.send("S|req002|query|getData");
      return await one.nextText() === 'S|req002|response|[{"pets":{"fido":{"species":"dog"}}},{}]';
    });
    one.send("S|req003|query|getTable pets");
    assert.equal(await one.nextText(), 'S|req003|response|{"fido":{"species":"dog"}}');
    await client.close();
  }
  const JWT_SECRET = "a secret of at least thirty-two bytes";
  await using example = await runExample("examples/tinybase_server.ts", { DATA_DIR: data.path, JWT_SECRET });
  const token = await new SignJWT({ sub: "ann", permissions: ["read:path:my-store", "write:path:my-store"] })
    .setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(new TextEncoder().encode(JWT_SECRET));
  const statusOf = async (target: string) => {
    using raw = await RawClient.connect(example.port);
    return (await raw.request(target)).split(" ")[1];
  };
  assert.equal(await statusOf("/ws/my-store"), "401");
  assert.equal(await statusOf("/sync/my-store?token=forged"), "401");
  assert.equal(await statusOf(`/ws/another?token=${token}`), "403");
  assert.equal(await statusOf(`/ws/my-store?token=${token}`), "101");
  await using alone = await synced(`${example.url}/sync/my-store?token=${token}`);
  await converged(a, alone.store);
});

Deno.test("T10 the example reads its settings from the environment, and refuses invalid ones", async () => {
  await using data = await dataFolder();
  await using example = await runExample("examples/tinybase_server.ts", {
    DATA_DIR: data.path,
    MAX_MESSAGE_SIZE: "20",
    MAX_CONNECTIONS_PER_PATH: "1",
    WEBSOCKET_PATH: "/stores",
  });
  await using client = await Client.connect(`${example.url}/stores/a`);
  using second = await RawClient.connect(example.port);
  assert.match(await second.request("/stores/a", { host: "localhost" }), /^HTTP\/1.1 503 /);
  client.send("|1|t|more than twenty bytes");
  assert.equal((await client.closed).code, 1009);

  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "examples/tinybase_server.ts"],
    cwd: new URL("../../../", import.meta.url),
    env: { PORT: "many", NO_COLOR: "1" },
  }).output();
  assert.equal(code, 1);
  assert.match(new TextDecoder().decode(stderr), /PORT must be a whole number up to 65535, got "many"/);
});
