import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { checkpoints } from "../../../plugins/persistence/checkpoints.ts";
import { FakeClock, turn } from "../../kit/mod.ts";
import { folder } from "./kit.ts";

/** Checkpoints of a file whose log has ten pages, with a maintenance that fails as the test says. */
function setUp(dir: { file(name: string): string }, walBytes: number) {
  const native = new DatabaseSync(dir.file("a.db"));
  native.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
  for (let i = 0; i < 10; i++) native.exec("INSERT INTO t VALUES (zeroblob(3000))");
  const clock = new FakeClock();
  const tried: string[] = [];
  const disk = { fails: false, emptied: true };
  const made = checkpoints({
    native,
    path: dir.file("a.db"),
    maintenance: {
      checkpoint() {
        tried.push("checkpoint");
        if (disk.fails) return Promise.reject(new Error("disk I/O error"));
        return Promise.resolve({ log: 10, checkpointed: disk.emptied ? 10 : 5 });
      },
    },
    queue: { pause() {}, resume() {} },
    clock,
    log: { error() {} } as never,
    walBytes,
  });
  async function pass(ms: number): Promise<void> {
    clock.advance(ms);
    await turn();
  }
  return { made, disk, tried, pass, [Symbol.dispose]: () => native.close() };
}

Deno.test("checkpoints that fail are a problem until one succeeds", async () => {
  using dir = folder();
  using file = setUp(dir, 4096);
  const { made, disk, pass } = file;
  disk.fails = true;
  made.wrote();
  await pass(50);
  assert.match(made.problem!, /^Checkpoints of the database fail, .* \(disk I\/O error\)$/);
  disk.fails = false;
  await pass(1_000);
  assert.equal(made.problem, undefined);
});

Deno.test("a log that grows because something reads it is a problem", async () => {
  using dir = folder();
  using file = setUp(dir, 4096);
  const { made, disk, pass } = file;
  disk.emptied = false;
  made.wrote();
  await pass(50);
  assert.match(made.problem!, /^Something reads the database for a long time/);
  disk.emptied = true;
  await pass(1_000);
  assert.equal(made.problem, undefined);
});

Deno.test("a full disk causes a checkpoint of a log of any size", async () => {
  using dir = folder();
  using file = setUp(dir, 16_777_216);
  const { made, tried, pass } = file;
  made.wrote();
  await pass(50);
  assert.equal(tried.length, 0);
  made.full();
  await pass(50);
  assert.equal(tried.length, 2, "two passes");
});
