import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Server } from "../../../core/mod.ts";
import { persistence, type Store } from "../../../plugins/persistence.ts";
import { maintenance } from "../../../plugins/persistence/maintenance.ts";
import { FakeClock, until, within } from "../../kit/mod.ts";
import { folder, opened, value } from "./kit.ts";

const BLOBS = "CREATE TABLE blobs (id INTEGER PRIMARY KEY, data BLOB)";

/** Writes concurrently until the disk is full; returns the acknowledged ids. */
async function fill(store: Store, bytes: number): Promise<number[]> {
  const acknowledged: number[] = [];
  for (let full = false; !full;) {
    const writes = Array.from({ length: 20 }, async () => {
      try {
        const { lastId } = await store.run("INSERT INTO blobs (data) VALUES (zeroblob(?))", [bytes]);
        acknowledged.push(Number(lastId));
      } catch (error) {
        assert.equal((error as { code: string }).code, "disk_full");
        full = true;
      }
    });
    await Promise.all(writes);
  }
  return acknowledged;
}

async function startFails(path: string, expected: { code: string; message: RegExp }): Promise<void> {
  const server = new Server({ port: false });
  server.use(persistence({ path, lockTimeoutMs: 50 }));
  await assert.rejects(server.start(), expected);
}

for (const durability of ["normal", "full"] as const) {
  Deno.test(`a full disk fails only the writes that do not fit, durability ${durability}`, async () => {
    using dir = folder();
    const clock = new FakeClock();
    const options = { path: dir.file("a.db"), durability, maxBytes: 1_000_000 };
    let acknowledged: number[];
    {
      await using db = await opened(options, clock);
      const { store, log } = db;
      await store.exec(BLOBS);
      acknowledged = await fill(store, 20_000);
      assert.ok(acknowledged.length > 20);
      assert.match(store.problem!, /^The disk is full, or the database has reached its size limit/);
      assert.equal(log.filter(({ level }) => level === "error").length, 1, "logged once");
      assert.equal(value(store, "SELECT count(*) FROM blobs"), acknowledged.length, "reads work");

      clock.advance(1_000);
      await until("the probe", () => clock.pending > 0);
      assert.ok(store.problem, "it is still full");

      const gone = acknowledged.splice(0, 10);
      await store.run(`DELETE FROM blobs WHERE id IN (${gone})`);
      await until("the problem to be cleared", () => {
        clock.advance(1_000);
        return store.problem === undefined;
      });
      acknowledged.push(
        Number((await store.run("INSERT INTO blobs (data) VALUES (zeroblob(20000))")).lastId),
      );
    }
    await using db = await opened(options);
    const kept = db.store.all<{ id: number }>("SELECT id FROM blobs ORDER BY id").map(({ id }) => id);
    assert.deepEqual(kept, acknowledged.sort((a, b) => a - b));
  });
}

// The system reports a failed flush once, and then considers the lost pages written.
Deno.test("after a failed flush, no acknowledged write is in the log only", async () => {
  using dir = folder();
  await using db = await opened({ path: dir.file("a.db"), durability: "full" });
  const { store } = db;
  await store.exec(BLOBS);
  const { syncData } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.syncData = () => Promise.reject(new Error("EIO"));
  try {
    await assert.rejects(store.run("INSERT INTO blobs VALUES (1, NULL)"), { code: "disk_error" });
  } finally {
    Deno.FsFile.prototype.syncData = syncData;
  }
  assert.match(store.problem!, /^The disk failed to flush/);
  await store.run("INSERT INTO blobs VALUES (2, NULL)");
  Deno.copyFileSync(dir.file("a.db"), dir.file("b.db"));
  using copy = new DatabaseSync(dir.file("b.db"));
  assert.equal(copy.prepare("SELECT count(*) AS n FROM blobs").get()!.n, 2);
});

Deno.test("a file that is no database or cannot be opened is refused with its path", async () => {
  using dir = folder();
  Deno.writeTextFileSync(dir.file("text.db"), "certainly not a database ".repeat(1_000));
  const error = (sentence: string) => new RegExp(`Cannot start persistence.*text.db.*${sentence}`);
  await startFails(dir.file("text.db"), {
    code: "corrupt",
    message: error("not a database; restore it from a backup"),
  });
  await startFails(dir.path, {
    code: "cannot_open",
    message: /Cannot start persistence with .*unable to open/,
  });
  await startFails("/dev/null/a.db", {
    code: "cannot_open",
    message: /Cannot start persistence.*\/dev\/null\/a.db/,
  });
});

Deno.test("a file that another process has locked exclusively is refused", async () => {
  using dir = folder();
  using other = new DatabaseSync(dir.file("a.db"));
  other.exec("PRAGMA locking_mode = EXCLUSIVE; CREATE TABLE t (x)");
  await startFails(dir.file("a.db"), {
    code: "database_locked",
    message: /Another process keeps the database locked/,
  });
});

/** Leaves a file as a killed process does: with tables and rows that are only in the log. */
async function leaveUnclean(from: string, to: string): Promise<void> {
  await using db = await opened({ path: from });
  await db.store.exec(`${BLOBS}; INSERT INTO blobs (data) VALUES (zeroblob(100000))`);
  Deno.copyFileSync(from, to);
  Deno.copyFileSync(`${from}-wal`, `${to}-wal`);
}

Deno.test("after an unclean stop the file is recovered during the start, and checked after it", async () => {
  using dir = folder();
  await leaveUnclean(dir.file("a.db"), dir.file("b.db"));
  await using db = await opened({ path: dir.file("b.db") });
  assert.equal(value(db.store, "SELECT count(*) FROM blobs"), 1);
  await until("the check", () => db.log.some(({ message }) => message === "The database is not damaged"));
  assert.equal(db.store.problem, undefined);
});

Deno.test("damage that the check finds is reported until a restart", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  {
    await using db = await opened({ path });
    await db.store.exec(BLOBS);
    for (let i = 0; i < 50; i++) await db.store.run("INSERT INTO blobs (data) VALUES (zeroblob(3000))");
  }
  const bytes = Deno.readFileSync(path);
  bytes.fill(255, bytes.length - 5 * 4096, bytes.length - 4 * 4096);
  Deno.writeFileSync(path, bytes);
  Deno.writeFileSync(`${path}-wal`, new Uint8Array(32));
  const clock = new FakeClock();
  await using db = await opened({ path }, clock);
  await until("the check", () => db.store.problem !== undefined);
  assert.match(db.store.problem!, /^The database file is damaged; restore it from a backup/);
  clock.advance(60_000);
  assert.ok(db.store.problem);
});

Deno.test("a backup is a consistent copy, made while writes continue", async () => {
  using dir = folder();
  await using db = await opened({ path: dir.file("a.db") });
  const { store } = db;
  await store.exec("CREATE TABLE pairs (id INTEGER PRIMARY KEY, x, y, fill)");
  await store.write((tx) => {
    for (let i = 0; i < 20_000; i++) tx.run("INSERT INTO pairs (x, y, fill) VALUES (0, 0, zeroblob(200))");
  });
  let n = 0;
  let running = true;
  const writing = (async () => {
    while (running) {
      await store.write((tx) => {
        tx.run("UPDATE pairs SET x = ? WHERE id = 1", [++n]);
        tx.run("UPDATE pairs SET y = ? WHERE id = 20000", [n]);
      });
    }
  })();
  Deno.writeTextFileSync(dir.file("copy.db"), "an older copy");
  Deno.writeTextFileSync(dir.file("copy.db.partial"), "left over");
  await within("the backup", store.backup(dir.file("copy.db")));
  running = false;
  await writing;
  assert.deepEqual([...Deno.readDirSync(dir.path)].filter(({ name }) => name.includes("partial")), []);
  using copy = new DatabaseSync(dir.file("copy.db"));
  const { x } = copy.prepare("SELECT x FROM pairs WHERE id = 1").get() as { x: number };
  const { y } = copy.prepare("SELECT y FROM pairs WHERE id = 20000").get() as { y: number };
  assert.equal(x, y);
  assert.ok(n > 0);
});

Deno.test("the end aborts long maintenance, but waits for a checkpoint", async () => {
  using dir = folder();
  await using db = await opened({ path: dir.file("a.db") });
  await db.store.exec(BLOBS);
  const upkeep = maintenance(dir.file("a.db"), "normal");
  const [copy, check, checkpoint] = [upkeep.copy(dir.file("b.db")), upkeep.check(), upkeep.checkpoint()];
  await Promise.all([
    assert.rejects(copy, { code: "stopped" }),
    assert.rejects(check, { code: "stopped" }),
    upkeep.end(),
  ]);
  assert.ok((await checkpoint).log > 0);
  await assert.rejects(upkeep.check(), { code: "stopped" });
});

Deno.test("a database in memory can be backed up, and a backup cannot replace the database itself", async () => {
  using dir = folder();
  {
    await using db = await opened();
    await db.store.exec("CREATE TABLE t (x); INSERT INTO t VALUES (5)");
    await db.store.backup(dir.file("copy.db"));
    await assert.rejects(db.store.backup(dir.file("missing/copy.db")));
  }
  await using db = await opened({ path: dir.file("copy.db") });
  assert.equal(value(db.store, "SELECT x FROM t"), 5);
  await assert.rejects(db.store.backup(`${dir.path}/./copy.db`), { code: "bad_backup" });
  Deno.symlinkSync(dir.path, dir.file("linked"));
  await assert.rejects(db.store.backup(dir.file("linked/copy.db")), { code: "bad_backup" });
});

Deno.test("the write-ahead log stays small under continuous writes", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  await using db = await opened({ path, checkpointBytes: 1_000_000 });
  const { store } = db;
  await store.exec(`${BLOBS}; INSERT INTO blobs VALUES (1, NULL)`);
  let written = 0;
  let largest = 0;
  while (written < 60_000_000) {
    // Lets timers run: each turn of the loop may begin a checkpoint, as in a server.
    await store.run("UPDATE blobs SET data = randomblob(100000)");
    written += 100_000;
    largest = Math.max(largest, Deno.statSync(`${path}-wal`).size);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.ok(largest < 6_000_000, `the log grew to ${largest} bytes`);
});

Deno.test("a log that is being read is emptied later", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  const clock = new FakeClock();
  await using db = await opened({ path, checkpointBytes: 100_000 }, clock);
  const { store } = db;
  await store.exec(BLOBS);
  const pages = () => Number((reader.prepare("PRAGMA wal_checkpoint(NOOP)").get() as { log: number }).log);
  using reader = new DatabaseSync(path);
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM blobs").get();
  await store.run("INSERT INTO blobs (data) VALUES (zeroblob(200000))");
  clock.advance(50);
  await until("the blocked checkpoint", () => clock.pending > 2);
  reader.exec("COMMIT");
  const before = pages();
  assert.ok(before > 40);
  clock.advance(1_000);
  await until("the log to restart", async () => {
    await store.run("INSERT INTO blobs (data) VALUES (NULL)");
    return pages() < before;
  });
  assert.ok(Deno.statSync(`${path}-wal`).size <= 100_000, "the log has shrunk");
});
