import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openFile } from "../../../plugins/persistence/file.ts";
import { FakeClock } from "../../kit/mod.ts";
import { ITEMS } from "./items.ts";
import { folder, opened, value } from "./kit.ts";

const OPTIONS = {
  durability: "normal",
  maxBytes: Infinity,
  cacheBytes: 1_000_000,
  openTimeoutMs: 100,
  maxWalBytes: 500_000,
  checkpointBytes: 100_000,
} as const;
const INSERT = "INSERT INTO items (name) VALUES (?)";

/** Runs a command in the folder as another program does: this process must not close the database file. */
function shell(dir: string, command: string): void {
  const { success, stderr } = new Deno.Command("sh", { args: ["-c", command], cwd: dir }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** What other programs do to the database `a.db`, and what is reported. `other.db` is another database. */
const INTERFERENCE = {
  "the database is removed": ["rm a.db", "file_moved", /^The database file was removed or replaced/],
  "the database is replaced": ["cp a.db b; mv b a.db", "file_moved", /^The database file was removed or/],
  "the database is emptied": [": > a.db", "file_overwritten", /^The database file was truncated/],
  "the database is cut": ["truncate -s 4096 a.db", "file_overwritten", /^The database file was truncated/],
  "a backup is copied over the database": [
    "cp other.db a.db",
    "file_overwritten",
    /remove its -wal and -shm/,
  ],
  "the log is removed": ["rm a.db-wal", "file_moved", /its content was saved to the database/],
  "the log is replaced": ["cp a.db-wal b; mv b a.db-wal", "file_moved", /was saved to the database/],
  "the log is emptied": [": > a.db-wal", "file_overwritten", /^The write-ahead log .* was truncated/],
  "the log is cut": [
    "truncate -s 20000 a.db-wal",
    "file_overwritten",
    /^The write-ahead log .* was truncated/,
  ],
  "another log is copied over the log": [
    "cp other.db-wal a.db-wal",
    "file_overwritten",
    /^The write-ahead log/,
  ],
  "the index of the log is removed": [
    "rm a.db-shm",
    "file_moved",
    /^The files of the database's write-ahead/,
  ],
  "the lock file is removed": ["rm a.db.lock", "lock_lost", /^The lock file of the database was removed/],
  "the lock file is replaced": [": > b; mv b a.db.lock", "lock_lost", /another server may use it/],
} as const;

for (const [what, [command, code, problem]] of Object.entries(INTERFERENCE)) {
  for (const when of ["", " while clients write"]) {
    Deno.test(`nothing more is acknowledged after ${what}${when}`, async () => {
      using dir = folder();
      using other = new DatabaseSync(dir.file("other.db"));
      other.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x); PRAGMA wal_checkpoint(TRUNCATE)");
      for (let i = 0; i < 30; i++) other.exec("INSERT INTO t VALUES (zeroblob(5000))");
      const clock = new FakeClock();
      await using db = await opened({ path: dir.file("a.db") }, clock);
      const { store } = db;
      await store.exec(`${ITEMS}; CREATE TABLE blobs (x)`);
      using checkpointer = new DatabaseSync(dir.file("a.db"));
      checkpointer.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      for (let i = 0; i < 20; i++) await store.run("INSERT INTO blobs VALUES (zeroblob(4000))");
      clock.advance(1_000);
      assert.equal(store.problem, undefined);
      shell(dir.path, command);
      // Until it is noticed, writes may succeed, or fail in other ways.
      if (when !== "") { for (let i = 0; i < 3; i++) await store.run(INSERT, ["late"]).catch(() => {}); }
      clock.advance(250);
      assert.match(store.problem!, problem);
      await assert.rejects(store.run(INSERT, ["b"]), { code });
      clock.advance(60_000);
      assert.match(store.problem!, problem);
    });
  }
}

Deno.test("writes that wait when the files are lost are refused, and reads go on", async () => {
  using dir = folder();
  const clock = new FakeClock();
  await using db = await opened({ path: dir.file("a.db"), durability: "full" }, clock);
  const { store } = db;
  await store.exec(ITEMS);
  const { syncData } = Deno.FsFile.prototype;
  const flush = Promise.withResolvers<void>();
  Deno.FsFile.prototype.syncData = () => flush.promise;
  try {
    const flushing = store.run(INSERT, ["flushing"]);
    while (value(store, "SELECT count(*) FROM items") !== 1) {
      await new Promise((resolve) => setTimeout(resolve));
    }
    const waiting = store.run(INSERT, ["waiting"]);
    Deno.removeSync(dir.file("a.db-wal"));
    clock.advance(250);
    flush.resolve();
    for (const write of [flushing, waiting]) await assert.rejects(write, { code: "file_moved" });
  } finally {
    Deno.FsFile.prototype.syncData = syncData;
  }
  assert.equal(value(store, "SELECT count(*) FROM items"), 1);
});

Deno.test("what was acknowledged before the log was removed survives a kill", async () => {
  using dir = folder();
  const clock = new FakeClock();
  await using db = await opened({ path: dir.file("a.db") }, clock);
  await db.store.exec(ITEMS);
  for (let i = 0; i < 500; i++) await db.store.run(INSERT, [`${i}`]);
  shell(dir.path, "rm a.db-wal");
  for (let i = 500; i < 600; i++) await db.store.run(INSERT, [`${i}`]);
  clock.advance(250);
  shell(dir.path, "cp a.db killed.db");
  using killed = new DatabaseSync(dir.file("killed.db"));
  assert.equal(killed.prepare("SELECT count(*) AS n FROM items").get()!.n, 600);
});

Deno.test("a checkpoint of another program that writes during a look is not reported", () => {
  using dir = folder();
  const { native, guard, close } = openFile({ ...OPTIONS, path: dir.file("a.db") });
  native.exec("CREATE TABLE blobs (id INTEGER PRIMARY KEY, x)");
  assert.equal(guard!.look(), undefined);
  // The two copies of the index's header differ while a program writes.
  shell(dir.path, "printf x | dd of=a.db-shm bs=1 seek=56 conv=notrunc");
  assert.equal(guard!.look(), undefined);
  native.exec("INSERT INTO blobs (x) VALUES (1); PRAGMA wal_checkpoint(FULL)");
  for (let i = 0; i < 3; i++) assert.equal(guard!.look(), undefined);
  close();
});

// Other programs may write the database, move the log, and compact the file.
Deno.test("what SQLite does to the files is not reported", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  const { native, guard, close } = openFile({ ...OPTIONS, path });
  native.exec("CREATE TABLE blobs (id INTEGER PRIMARY KEY, x)");
  const worker = new Worker(new URL("other_program.ts", import.meta.url), { type: "module" });
  let ended = false;
  worker.onmessage = () => ended = true;
  worker.postMessage(path);
  let looks = 0;
  while (!ended) {
    for (let i = 0; i < 20; i++) {
      try {
        native.exec(
          Math.random() < 0.6
            ? "INSERT INTO blobs (x) VALUES (randomblob(5000))"
            : "DELETE FROM blobs WHERE id % 3 = 0",
        );
      } catch { /* locked */ }
      assert.equal(guard!.look(), undefined);
      looks++;
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  worker.terminate();
  assert.ok(looks > 100, `${looks} looks`);
  close();
});
