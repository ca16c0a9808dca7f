import assert from "node:assert/strict";
import { ENTRY_SIZE, memoryResults, once, serverOwner } from "../../plugins/shared/idempotency.ts";
import { FakeClock } from "../kit/mod.ts";

const limits = { maxEntries: 100, maxChars: 100_000 };
const repeatable = (key: string, owner = serverOwner) => ({ key, owner, ttlMs: 1_000 });

Deno.test("a repeated key gets the first result, until it expires", () => {
  const clock = new FakeClock();
  const results = memoryResults<number>({ ...limits, clock: () => clock });
  let runs = 0;
  const call = (key: string) => once(results, repeatable(key), () => ++runs);
  assert.deepEqual([call("a"), call("a"), call("b"), call("a")], [1, 1, 2, 1]);
  clock.set(3_600_000);
  assert.equal(call("a"), 1, "although the clock was set");
  clock.set(-7_200_000);
  clock.advance(1_000);
  assert.equal(call("a"), 3);
});

Deno.test("concurrent calls share one run, and a failed run is not kept", async () => {
  const results = memoryResults<Promise<string>>({ ...limits, clock: () => new FakeClock() });
  const failed = once(results, repeatable("a"), () => Promise.reject(new Error("failed")));
  const repeated = once(results, repeatable("a"), () => Promise.resolve("not run"));
  await assert.rejects(failed, /failed/);
  await assert.rejects(repeated, /failed/);
  assert.equal(await once(results, repeatable("a"), () => Promise.resolve("retried")), "retried");
});

Deno.test("results are evicted beyond a limit: the oldest of the owners who have most, and the server's last", () => {
  const clock = new FakeClock();
  for (const limit of [{ maxEntries: 100 }, { maxChars: 100 * (ENTRY_SIZE + 4) }]) {
    const results = memoryResults<number>({
      maxEntries: 1_000,
      maxChars: 1_000_000,
      clock: () => clock,
      ...limit,
    });
    const call = (key: string, owner?: string) => once(results, repeatable(key, owner), () => 1);
    for (let n = 0; n < 40; n++) call(`s${n}`.padEnd(4));
    for (let n = 0; n < 10; n++) call(`a${n}`.padEnd(4), "ann");
    for (let n = 0; n < 500; n++) call(`m${n}`.padEnd(4), "mallory");
    const kept = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, n) => n).filter((n) =>
        results.get(`${prefix}${n}`.padEnd(4)) !== undefined
      );
    assert.equal(kept("s", 40).length, 40);
    assert.equal(kept("a", 10).length, 10);
    const mallory = kept("m", 500);
    assert.ok(mallory.length >= 40 && mallory.length <= 50, `${mallory.length}`);
    assert.deepEqual(mallory, Array.from(mallory, (_, i) => 500 - mallory.length + i), "the latest");
  }
});

Deno.test("a result that is kept for long does not keep those behind it", () => {
  const clock = new FakeClock();
  const results = memoryResults<number>({ maxEntries: 3, maxChars: 100_000, clock: () => clock });
  results.set("long", 1, { owner: serverOwner, ttlMs: 3_600_000 });
  for (let n = 0; n < 10; n++) {
    results.set("a", 1, { owner: serverOwner, ttlMs: 500 });
    results.set("b", 1, { owner: serverOwner, ttlMs: 500 });
    clock.advance(1_000);
    assert.equal(results.get("a"), undefined);
  }
  assert.equal(results.get("long"), 1);
});
