import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../../core/mod.ts";
import type { Store, Transaction } from "../../../plugins/persistence.ts";
import { writeQueue } from "../../../plugins/persistence/write_queue.ts";
import { DEADLINE_MS, turn, until, within } from "../../kit/mod.ts";
import { folder, opened, value } from "./kit.ts";

const ITEMS = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT UNIQUE)";
const INSERT = "INSERT INTO items (name) VALUES (?)";

/** Counts the transactions that change something. */
function transactionCounter(store: Store): { count: number } {
  const counter = { count: 0 };
  store.watch(() => void counter.count++, "all");
  return counter;
}

async function outcomes(writes: Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(writes);
  return settled.map((each) => each.status === "fulfilled" ? each.value : each.reason.message);
}

Deno.test("the writes of one turn share transactions, in their order, each with its own value", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  const transactions = transactionCounter(store);
  const names = Array.from({ length: 200 }, (_, i) => `item ${i}`);
  const ids = await Promise.all(names.map((name) => store.write((tx) => tx.run(INSERT, [name]).lastId)));
  assert.deepEqual(ids, names.map((_, i) => i + 1));
  // One would do; how many there are depends on how much time a busy machine gives to each.
  assert.ok(transactions.count < 50, `${transactions.count} transactions`);
});

Deno.test("a write sees those before it, and one that throws takes nobody with it", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  const results = await outcomes([
    store.write((tx) => void tx.run(INSERT, ["a"])),
    store.write((tx) => {
      tx.run(INSERT, ["b"]);
      tx.run(INSERT, ["c"]);
      throw new Error("changed my mind");
    }),
    store.write((tx) => {
      tx.run(INSERT, ["d"]);
      tx.run(INSERT, ["a"]);
    }),
    store.write((tx) => tx.all<{ name: string }>("SELECT name FROM items").map(({ name }) => name).join()),
    store.run(INSERT, ["e"]).then(() => "e"),
  ]);
  assert.deepEqual(results, [undefined, "changed my mind", "UNIQUE constraint failed: items.name", "a", "e"]);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "a,e");
});

Deno.test("writes resolve in the order of the calls, also when a failure has them run again", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  const [runs, resolved]: string[][] = [[], []];
  const write = (name: string, ...inserts: string[]) =>
    store.write((tx) => {
      runs!.push(name);
      for (const each of inserts) tx.run(INSERT, [each]);
    }).then(() => resolved!.push(name), () => resolved!.push(`${name} failed`));

  await Promise.all([write("a", "1"), write("b"), write("c", "2", "2"), write("d", "3")]);
  assert.deepEqual(resolved, ["a", "b", "c failed", "d"]);
  assert.deepEqual(runs, ["a", "b", "c", "a", "b", "c", "d"]);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "1,3");

  runs!.length = 0; // it is careful now: nobody is run again
  await Promise.all([write("e", "4"), write("f", "5", "5"), write("g", "6")]);
  assert.deepEqual(runs, ["e", "f", "g"]);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "1,3,4,6");
});

Deno.test("a write that fails before it has written has nobody run again", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  let runs = 0;
  const results = await outcomes(["a", "b", "c"].map((name) =>
    store.write((tx) => {
      runs++;
      if (name === "b") throw new Error("no");
      return tx.run(INSERT, [name]).changes;
    })
  ));
  assert.deepEqual([results, runs], [[1, "no", 1], 3]);
});

Deno.test("a constraint that fails has its code", async () => {
  await using db = await opened();
  await db.store.exec(ITEMS);
  await db.store.run(INSERT, ["a"]);
  await assert.rejects(db.store.run(INSERT, ["a"]), { name: "PlugboardError", code: "constraint" });
});

Deno.test("a statement that rolls the whole transaction back costs only its own write", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  await store.run(INSERT, ["a"]);
  const results = await outcomes([
    store.write((tx) => void tx.run(INSERT, ["b"])),
    store.write((tx) => {
      tx.run(INSERT, ["lost"]);
      tx.run("INSERT OR ROLLBACK INTO items (name) VALUES ('a')");
    }),
    store.write((tx) => void tx.run(INSERT, ["c"])),
  ]);
  assert.deepEqual(results, [undefined, "UNIQUE constraint failed: items.name", undefined]);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "a,b,c");
});

Deno.test("after such a statement the write that swallowed the error cannot go on by itself", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  await store.run(INSERT, ["a"]);
  const swallow = (tx: Transaction) => {
    try {
      tx.run("INSERT OR ROLLBACK INTO items (name) VALUES ('a')");
    } catch { /* and go on */ }
  };
  await assert.rejects(
    store.write((tx) => {
      swallow(tx);
      tx.run(INSERT, ["outside of any transaction"]);
    }),
    { code: "transaction_lost" },
  );
  await assert.rejects(store.write(swallow), { code: "transaction_lost" });
  assert.equal(value(store, "SELECT count(*) FROM items"), 1);
});

Deno.test("a constraint that is checked at the commit costs only the write that broke it", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(`
    CREATE TABLE parents (id INTEGER PRIMARY KEY);
    CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
  `);
  const results = await outcomes([
    store.write((tx) => void tx.run("INSERT INTO parents VALUES (1)")),
    store.write((tx) => void tx.run("INSERT INTO children VALUES (99)")),
    store.write((tx) => void tx.run("INSERT INTO children VALUES (1)")),
  ]);
  assert.deepEqual(results, [undefined, "FOREIGN KEY constraint failed", undefined]);
  assert.equal(value(store, "SELECT group_concat(parent) FROM children"), "1");
});

Deno.test("a savepoint undoes its own part, and nests", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  await store.write((tx) => {
    tx.run(INSERT, ["a"]);
    const inner = tx.savepoint(() => {
      tx.run(INSERT, ["b"]);
      assert.throws(() =>
        tx.savepoint(() => {
          tx.run(INSERT, ["c"]);
          throw new Error("undo c");
        }), /undo c/);
      return 7;
    });
    assert.equal(inner, 7);
  });
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "a,b");
});

Deno.test("a transaction is over when its function has returned", async () => {
  await using db = await opened();
  let kept: Transaction | undefined;
  await db.store.write((tx) => void (kept = tx));
  for (const use of ["all", "get", "run", "exec"] as const) {
    assert.throws(() => kept![use]("SELECT 1"), { code: "transaction_over" });
  }
  assert.throws(() => kept!.savepoint(() => {}), { code: "transaction_over" });
});

Deno.test("an async function is refused, what it wrote is undone, what it does later has no effect", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec(ITEMS);
  const late = Promise.withResolvers<unknown>();
  const write = store.write(
    (async (tx: Transaction) => {
      tx.run(INSERT, ["before"]);
      await Promise.resolve();
      try {
        tx.run(INSERT, ["after"]);
      } catch (error) {
        late.resolve(error);
      }
    }) as unknown as (tx: Transaction) => void,
  );
  await assert.rejects(write, { code: "async_write" });
  assert.equal((await within("the rest", late.promise) as { code: string }).code, "transaction_over");
  assert.equal(value(store, "SELECT count(*) FROM items"), 0);
});

Deno.test("too many waiting writes are refused at once", async () => {
  await using db = await opened({ maxQueuedWrites: 3 });
  const { store } = db;
  await store.exec(ITEMS);
  const writes = ["a", "b", "c", "d"].map((name) => store.run(INSERT, [name]).then(() => name));
  assert.deepEqual(await outcomes(writes), ["a", "b", "c", "More than 3 writes wait for the disk"]);
  await assert.doesNotReject(store.run(INSERT, ["e"]));
});

/** A queue whose disk waits to be told, flush by flush, whether it has worked. */
function queueOnDisk() {
  const flushes: PromiseWithResolvers<void>[] = [];
  const told: string[] = [];
  const resolved: unknown[] = [];
  const queue = writeQueue({
    transactions: {
      run(jobs) {
        for (const job of jobs) job.outcome = { value: job.run(undefined as never) };
        return { taken: jobs.length, wrote: true };
      },
    },
    clock: systemClock,
    flush() {
      const flush = Promise.withResolvers<void>();
      flushes.push(flush);
      return flush.promise;
    },
    maxQueuedWrites: 10,
    lockTimeoutMs: 10,
    settled: (failure) => void told.push(failure?.code ?? "well"),
  });
  const add = (name: string) =>
    queue.add(() => name).then(() => resolved.push(name), ({ code }) => resolved.push(`${name}: ${code}`));
  return { queue, flushes, told, resolved, add };
}

Deno.test("what cannot be flushed is not acknowledged, and what comes after it is", async () => {
  const { queue, flushes, told, resolved, add } = queueOnDisk();
  const both = [add("a"), add("b")];
  await until("the flush", () => flushes.length === 1);
  flushes[0]!.reject(new Error("EIO"));
  await Promise.all(both);
  assert.deepEqual(resolved, ["a: disk_error", "b: disk_error"]);
  const third = add("c");
  await until("the flush", () => flushes.length === 2);
  flushes[1]!.resolve();
  await third;
  await queue.end();
  assert.deepEqual(resolved.at(-1), "c");
  assert.deepEqual(told, ["disk_error", "well"]);
});

Deno.test("what runs while the disk is busy waits for the next flush, all of it for the same", async () => {
  const { queue, flushes, resolved, add } = queueOnDisk();
  const run: string[] = [];
  const first = add("a");
  await until("the first flush", () => flushes.length === 1);
  const rest: Promise<unknown>[] = [];
  for (const name of ["b", "c"]) {
    rest.push(queue.add(() => run.push(name)), add(`after ${name}`));
    await until("its transaction", () => run.includes(name));
  }
  assert.deepEqual([flushes.length, resolved], [1, []]);
  flushes[0]!.resolve();
  await first;
  assert.deepEqual(resolved, ["a"]);
  await until("the second flush", () => flushes.length === 2);
  const ended = queue.end();
  flushes[1]!.resolve();
  await Promise.all([...rest, ended]);
  assert.deepEqual([flushes.length, resolved], [2, ["a", "after b", "after c"]]);
});

Deno.test("a pause lets nothing begin, and what has run is flushed all the same", async () => {
  const { queue, flushes, resolved, add } = queueOnDisk();
  const first = add("a");
  await until("the first flush", () => flushes.length === 1);
  let ran = false;
  const second = queue.add(() => ran = true).then(() => resolved.push("b"));
  await until("its transaction", () => ran);
  queue.pause();
  const third = add("c");
  flushes[0]!.resolve();
  await until("the second flush", () => flushes.length === 2);
  flushes[1]!.resolve();
  await Promise.all([first, second]);
  await turn();
  assert.deepEqual([flushes.length, resolved], [2, ["a", "b"]]);
  queue.resume();
  await until("the third flush", () => flushes.length === 3);
  flushes[2]!.resolve();
  await third;
  await queue.end();
});

Deno.test("a long queue does not hold the event loop", async () => {
  await using db = await opened({ maxQueuedWrites: 100_000 });
  const { store } = db;
  await store.exec(ITEMS);
  const transactions = transactionCounter(store);
  const slow = (i: number) => (tx: Transaction) => {
    tx.run(INSERT, [`${i}`]);
    for (const end = performance.now() + 2; performance.now() < end;);
  };
  await Promise.all(Array.from({ length: 40 }, (_, i) => store.write(slow(i))));
  assert.ok(transactions.count >= 4, `${transactions.count} transactions`);
});

Deno.test("a write waits for another process, and the event loop does not", async () => {
  using dir = folder();
  await using db = await opened({ path: dir.file("a.db") });
  const { store } = db;
  await store.exec(ITEMS);
  using other = new DatabaseSync(dir.file("a.db"));
  other.exec("BEGIN IMMEDIATE; INSERT INTO items (name) VALUES ('theirs')");
  let done = false;
  const write = store.run(INSERT, ["ours"]).then(() => done = true);
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(done, false);
  assert.equal(value(store, "SELECT count(*) FROM items"), 0, "reads go on");
  other.exec("COMMIT");
  await within("the write", write);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "theirs,ours");
});

Deno.test("a file that stays locked fails the write with a sentence, and works when it is free", async () => {
  using dir = folder();
  await using db = await opened({ path: dir.file("a.db"), lockTimeoutMs: 50 });
  const { store } = db;
  await store.exec(ITEMS);
  using other = new DatabaseSync(dir.file("a.db"));
  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(store.run(INSERT, ["a"]), {
    code: "database_locked",
    message: /^Another process keeps the database locked/,
  });
  assert.match(store.problem!, /^Another process/);
  other.exec("ROLLBACK");
  await store.run(INSERT, ["b"]);
  await until("the all-clear", () => store.problem === undefined, DEADLINE_MS);
});
