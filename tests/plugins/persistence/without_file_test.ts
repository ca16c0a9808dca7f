import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { health } from "../../../plugins/health.ts";
import { persistence, type PersistenceOptions } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { FakeClock, started, type TestServer, until } from "../../kit/mod.ts";
import { folder } from "./kit.ts";

/** A server whose channels need no disk, except those in `kept:`. */
async function serveWithout(options: PersistenceOptions) {
  const clock = new FakeClock();
  const server = new Server({ port: 0, drainMs: 1_000, clock });
  const store = server.use(persistence({ required: false, lockTimeoutMs: 50, ...options }));
  server.use(health({ checks: [() => store.problem] }));
  const bus = server.use(channels({ namespaces: { kept: { broker: sqliteBroker({ store }) } } }));
  server.use(channelProtocol(bus));
  return Object.assign(await started(server, clock), { clock, store, bus });
}

async function healthOf(server: TestServer): Promise<{ status: number; problems?: string[] }> {
  const response = await server.fetch("/health");
  const { problems } = await response.json();
  return { status: response.status, problems };
}

/** Locks a file until the end of the block. */
function locked(path: string): Disposable {
  const other = new DatabaseSync(path);
  other.exec("PRAGMA locking_mode = EXCLUSIVE; CREATE TABLE theirs (x)");
  return other;
}

Deno.test("a server that does not require its file serves memory channels, and refuses the rest with the reason", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  const content = "certainly not a database ".repeat(1_000);
  Deno.writeTextFileSync(path, content);
  await using server = await serveWithout({ path });
  const { store, bus, clock } = server;
  const sentence = /^Cannot start persistence with ".*a\.db": The file is not a database; restore it/;

  assert.equal((await bus.publish("free:a", 1)).offset, 1);
  const failure = { name: "PlugboardError", code: "corrupt", message: sentence };
  await assert.rejects(bus.publish("kept:a", 1), failure);
  await assert.rejects(bus.history("kept:a"), failure);
  await assert.rejects(bus.removeHistory("kept:a"), failure);
  await assert.rejects(store.run("SELECT 1"), failure);
  assert.throws(() => store.all("SELECT 1"), failure);
  await assert.rejects(store.keyValues("settings").set("a", 1), failure);

  await using client = await server.connect("/t");
  for (const [channel, answer] of [["kept:a", { error: "corrupt" }], ["free:a", { subscribed: "free:a" }]]) {
    client.sendJson({ do: "subscribe", channel });
    assert.partialDeepStrictEqual(await client.nextJson(), answer as object);
  }
  const { status, problems } = await healthOf(server);
  assert.equal(status, 503);
  assert.match(problems!.join(), sentence);
  assert.match((await server.log.next("the log")).message, sentence);

  Deno.removeSync(path);
  clock.advance(60_000);
  assert.ok(
    store.problem,
    "a damaged file is not opened again before a restart: a backup may be copied there just now",
  );
  assert.deepEqual([...Deno.readDirSync(dir.path)], []);
});

Deno.test("a file that was locked at the start is opened when it is unlocked", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  const lock = locked(path);
  await using server = await serveWithout({ path });
  const { store, bus, clock } = server;
  await assert.rejects(bus.publish("kept:a", 0), { code: "database_locked" });
  const began = performance.now();
  clock.advance(1_000);
  assert.ok(performance.now() - began < 4_500, "it does not wait for the lock");
  await assert.rejects(bus.publish("kept:a", 0), { code: "database_locked" });

  lock[Symbol.dispose]();
  await until("the file to be opened", () => {
    clock.advance(1_000);
    return store.problem === undefined;
  });
  const sentences = [await server.log.next("the failure"), await server.log.next("the recovery")];
  assert.match(sentences[0]!.message, /Another process keeps the database locked/);
  assert.equal(sentences[1]!.message, "The database is open now");
  assert.deepEqual(await healthOf(server), { status: 200, problems: undefined });

  assert.equal((await bus.history("kept:a")).top.offset, 0);
  const offsets = await Promise.all([1, 2, 3].map(async (n) => (await bus.publish("kept:a", n)).offset));
  assert.deepEqual(offsets, [1, 2, 3]);
  assert.deepEqual((await bus.history("kept:a")).publications.map(({ payload }) => payload.text), [
    "1",
    "2",
    "3",
  ]);
});

Deno.test("publications that wait for the file's tables keep their order", async () => {
  using dir = folder();
  const lock = locked(dir.file("a.db"));
  await using server = await serveWithout({ path: dir.file("a.db") });
  const { store, bus, clock } = server;
  lock[Symbol.dispose]();
  await until("the file to be opened", () => {
    clock.advance(1_000);
    return store.problem === undefined;
  });
  const received: unknown[] = [];
  bus.subscribe("kept:a", (data) => received.push(data));
  await Promise.all([1, 2, 3].map((n) => bus.publish("kept:a", n)));
  await until("all publications", () => received.length === 3);
  assert.deepEqual(received, [1, 2, 3]);
});

Deno.test("a folder that cannot be created is reported with its path, and stopping ends the retries", async () => {
  await using server = await serveWithout({ path: "/dev/null/a.db" });
  assert.match(server.store.problem!, /"\/dev\/null\/a\.db".*mkdir/);
  server.clock.advance(1_000);
  await assert.rejects(server.store.run("SELECT 1"), { code: "cannot_open" });
  assert.equal(server.log.size, 1, "the same failure is logged once");
});

Deno.test("the file of a newer program prevents the start even if it is not required", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  await (await serveWithout({ path }))[Symbol.asyncDispose]();
  {
    using native = new DatabaseSync(path);
    native.exec("INSERT INTO plugboard_migrations VALUES ('channels', 99, 0)");
  }
  await assert.rejects(serveWithout({ path }), {
    code: "newer_schema",
    message: /its tables for channels have version 99/,
  });
});
