import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../../core/mod.ts";
import type { Transaction } from "../../../plugins/persistence.ts";
import { writeQueue } from "../../../plugins/persistence/write_queue.ts";
import { DEADLINE_MS, roundTrips, turn, until, within } from "../../kit/mod.ts";
import { INSERT, ITEMS, outcomes, transactionCounter } from "./items.ts";
import { folder, opened, value } from "./kit.ts";

Deno.test("writes beyond the queue limit are refused at once", async () => {
  await using db = await opened({ maxQueuedWrites: 3 });
  const { store } = db;
  await store.exec(ITEMS);
  const writes = ["a", "b", "c", "d"].map((name) => store.run(INSERT, [name]).then(() => name));
  assert.deepEqual(await outcomes(writes), ["a", "b", "c", "More than 3 writes wait for the disk"]);
  await assert.doesNotReject(store.run(INSERT, ["e"]));
});

/** A queue with a disk whose flushes the test resolves or rejects. */
function queueOnDisk() {
  const flushes: PromiseWithResolvers<void>[] = [];
  const reported: string[] = [];
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
    settled: (failure) => void reported.push(failure?.code ?? "ok"),
  });
  const add = (name: string) =>
    queue.add(() => name).then(() => resolved.push(name), ({ code }) => resolved.push(`${name}: ${code}`));
  return { queue, flushes, reported, resolved, add };
}

Deno.test("writes that cannot be flushed are rejected, later ones are acknowledged", async () => {
  const { queue, flushes, reported, resolved, add } = queueOnDisk();
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
  assert.deepEqual(reported, ["disk_error", "ok"]);
});

Deno.test("all writes that run during a flush share the next flush", async () => {
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

Deno.test("during a pause no write begins, but completed ones are flushed", async () => {
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

Deno.test("a long queue does not block the event loop", async () => {
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

Deno.test("a write waits for another process without blocking the event loop", async () => {
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
  assert.equal(value(store, "SELECT count(*) FROM items"), 0, "reads work");
  other.exec("COMMIT");
  await within("the write", write);
  assert.equal(value(store, "SELECT group_concat(name) FROM items"), "theirs,ours");
});

Deno.test("a write fails with a message while the file stays locked, and works when it is unlocked", async () => {
  using dir = folder();
  await using db = await opened({ path: dir.file("a.db"), lockTimeoutMs: 500 });
  const { store } = db;
  await store.exec(ITEMS);
  using other = new DatabaseSync(dir.file("a.db"));
  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(store.run(INSERT, ["a"]), {
    code: "database_locked",
    message: /^Another process keeps the database locked/,
  });
  assert.match(store.problem!, /^Another process/);
  const begun = performance.now();
  for (let i = 0; i < 20; i++) {
    await assert.rejects(store.run(INSERT, ["later"]), { code: "database_locked" });
  }
  assert.ok(performance.now() - begun < 5_000, "later ones fail at once: each would wait 500 ms");
  other.exec("ROLLBACK");
  await store.run(INSERT, ["b"]);
  await until("the problem to be cleared", () => store.problem === undefined, DEADLINE_MS);
});

Deno.test("sockets are read while many writes wait", async () => {
  await using trips = await roundTrips();
  const queue = writeQueue({
    transactions: {
      run(jobs) {
        const end = performance.now() + 5;
        while (performance.now() < end);
        jobs[0]!.outcome = { value: jobs[0]!.run(undefined as never) };
        return { taken: 1, wrote: true };
      },
    },
    clock: systemClock,
    flush: undefined,
    maxQueuedWrites: 1_000,
    lockTimeoutMs: 10,
    settled() {},
  });
  const before = trips.count;
  await Promise.all(Array.from({ length: 120 }, () => queue.add(() => 1)));
  assert.ok(trips.count - before >= 10, `${trips.count - before} round trips during 120 writes`);
  await queue.end();
});
