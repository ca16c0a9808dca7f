import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock, until } from "../../kit/mod.ts";
import { folder, opened, value } from "./kit.ts";

Deno.test("each namespace has its own keys, with values of JSON or bytes", async () => {
  await using db = await opened();
  const documents = db.store.keyValues<unknown>("documents");
  const other = db.store.keyValues<unknown>("other");
  const values = {
    a: { x: [1, "two", null] },
    b: "text \0 with NUL",
    c: 0,
    d: new Uint8Array([1, 2]),
    "": false,
  };
  for (const [key, each] of Object.entries(values)) await documents.set(key, each);
  for (const [key, each] of Object.entries(values)) assert.deepEqual(documents.get(key), each);
  assert.equal(other.get("a"), undefined);
  assert.equal(documents.size, 5);
  assert.equal(other.size, 0);
  await documents.set("a", "new");
  assert.equal(documents.get("a"), "new");
  await documents.delete("a");
  await documents.delete("a");
  assert.equal(documents.get("a"), undefined);
  assert.equal(documents.size, 4);
  assert.deepEqual(Object.fromEntries(documents.load()), { b: values.b, c: 0, d: values.d, "": false });
  await assert.rejects(documents.set("f", undefined), { code: "bad_parameter" });
  await assert.rejects(documents.set("a\0b", 1), { code: "bad_parameter" });
});

Deno.test("values survive a restart", async () => {
  using dir = folder();
  const path = dir.file("a.db");
  {
    await using db = await opened({ path });
    await db.store.keyValues("revocations").set("jti:1", { until: 5 });
  }
  await using db = await opened({ path });
  assert.deepEqual([...db.store.keyValues("revocations").load()], [["jti:1", { until: 5 }]]);
});

Deno.test("an entry expires, and is removed in the background in small writes", async () => {
  const clock = new FakeClock();
  await using db = await opened({}, clock);
  const entries = db.store.keyValues("sessions");
  for (let i = 0; i < 1_200; i++) entries.set(`short ${i}`, i, { ttlMs: 5_000 }).catch(assert.fail);
  await entries.set("long", 1, { ttlMs: 3_600_000 });
  await entries.set("forever", 1);
  clock.advance(4_999);
  assert.equal(entries.get("short 3"), 3);
  clock.advance(1);
  assert.equal(entries.get("short 3"), undefined);
  assert.deepEqual(entries.list().map(({ key }) => key), ["forever", "long"]);
  assert.equal(entries.size, 1_202);
  clock.advance(10_000);
  await until("the sweep", () => entries.size === 2);
});

Deno.test("setting a key again replaces its expiry", async () => {
  const clock = new FakeClock();
  await using db = await opened({}, clock);
  const entries = db.store.keyValues("a");
  await entries.set("k", 1, { ttlMs: 1_000 });
  await entries.set("k", 2);
  clock.advance(2_000);
  assert.equal(entries.get("k"), 2);
  assert.equal(entries.list()[0]!.expiresAt, undefined);
});

Deno.test("a namespace has limits, and expired entries do not count", async () => {
  const clock = new FakeClock();
  await using db = await opened({}, clock);
  const few = db.store.keyValues("few", { maxEntries: 2, maxValueBytes: 20, maxBytes: 30 });
  await few.set("a", "x".repeat(18), { ttlMs: 1_000 });
  await assert.rejects(few.set("b", "x".repeat(19)), { code: "value_too_large" });
  await assert.rejects(few.set("b", "x".repeat(18)), { code: "namespace_full" });
  await few.set("b", 1);
  await assert.rejects(few.set("c", 1), { code: "namespace_full" });
  await few.set("b", 2, {});
  clock.advance(1_000);
  await few.set("c", "x".repeat(18));
  assert.deepEqual(few.list().map(({ key }) => key), ["b", "c"]);
});

Deno.test("entries are listed by prefix, page by page", async () => {
  await using db = await opened();
  const paths = db.store.keyValues<number>("paths");
  const keys = ["a", "b/1", "b/2", "b/3", "b0", "b/\u{10FFFF}", "c"];
  for (const [i, key] of keys.entries()) await paths.set(key, i);
  const first = paths.list({ prefix: "b/", limit: 2 }).map(({ key }) => key);
  assert.deepEqual(first, ["b/1", "b/2"]);
  const second = paths.list({ prefix: "b/", after: "b/2", limit: 10 }).map(({ key }) => key);
  assert.deepEqual(second, ["b/3", "b/\u{10FFFF}"]);
  assert.equal(paths.list().length, keys.length);
});

Deno.test("an entry is written together with other data of the transaction", async () => {
  await using db = await opened();
  const { store } = db;
  await store.exec("CREATE TABLE t (x)");
  const once = store.keyValues<string>("idempotency");
  const run = (fails: boolean) =>
    store.write((tx) => {
      const entries = once.within(tx);
      if (entries.get("key-1") !== undefined) return "known";
      entries.set("key-1", "done");
      tx.run("INSERT INTO t VALUES (1)");
      if (fails) throw new Error("failed");
      return "ran";
    });
  await assert.rejects(run(true), /failed/);
  assert.deepEqual([await run(false), await run(false)], ["ran", "known"]);
  assert.equal(value(store, "SELECT count(*) FROM t"), 1);
});

Deno.test("the totals are correct after any sequence of writes", async () => {
  await using db = await opened();
  const entries = db.store.keyValues<string>("any");
  const key = fc.constantFrom("a", "b", "é");
  const step = fc.oneof(
    fc.record({ key, text: fc.string({ maxLength: 5 }), undo: fc.boolean() }),
    fc.record({ key }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 10 }), async (steps) => {
      await Promise.allSettled(steps.map((each) =>
        "text" in each
          ? db.store.write((tx) => {
            entries.within(tx).set(each.key, each.text);
            if (each.undo) throw new Error("undo");
          })
          : entries.delete(each.key)
      ));
      const counted = db.store.get(
        "SELECT count(*) AS entries, coalesce(sum(octet_length(key) + octet_length(value)), 0) AS bytes FROM plugboard_entries",
      );
      const kept = db.store.get("SELECT entries, bytes FROM plugboard_namespaces") ??
        { entries: 0, bytes: 0 };
      assert.deepEqual({ ...kept }, { ...counted });
    }),
    { numRuns: 100 },
  );
});

Deno.test("a full namespace removes entries of the owner who has most, and no others", async () => {
  const clock = new FakeClock();
  await using db = await opened({}, clock);
  for (const limits of [{ maxEntries: 300 }, { maxBytes: 300 * 10 }]) {
    const name = JSON.stringify(limits);
    const entries = db.store.keyValues<number>(name, limits);
    const add = (prefix: string, count: number, owner?: string) =>
      Promise.all(Array.from({ length: count }, (_, n) => {
        const key = `${prefix}${String(100_000 + n)}`.padEnd(9);
        return entries.set(key, 1, { ttlMs: 60_000 + n, ...(owner && { owner }) });
      }));
    await add("own", 50);
    await add("ann", 50, "ann");
    await add("mal", 1_000, "mallory");
    const count = (prefix: string) => entries.list({ prefix, limit: 1_000 }).length;
    assert.deepEqual([count("own"), count("ann")], [50, 50]);
    assert.ok(count("mal") >= 100 && count("mal") <= 200, `${count("mal")} of mallory`);
    assert.equal(entries.list({ prefix: "mal", limit: 1_000 }).at(-1)!.key, "mal100999", "the latest stay");
    const [owners, counted] = [
      "SELECT owner, entries, bytes FROM plugboard_owners WHERE namespace = ? ORDER BY owner",
      `SELECT owner, count(*) AS entries, sum(octet_length(key) + octet_length(value)) AS bytes
       FROM plugboard_entries WHERE namespace = ? AND owner IS NOT NULL GROUP BY owner ORDER BY owner`,
    ].map((sql) => db.store.all(sql, [name]));
    assert.deepEqual(owners, counted);
    await Promise.all(entries.list({ limit: 1_000 }).map(({ key }) => entries.delete(key)));
    assert.deepEqual(db.store.all("SELECT * FROM plugboard_owners WHERE namespace = ?", [name]), []);
  }
});
