import assert from "node:assert/strict";
import { memoryResults, once } from "../../plugins/shared/idempotency.ts";
import { FakeClock } from "../kit/mod.ts";

Deno.test("a repeated key gets the first result, until it expires", () => {
  const clock = new FakeClock();
  const results = memoryResults<number>(10, () => clock);
  let runs = 0;
  const call = (key: string) => once(results, key, 1_000, () => ++runs);
  assert.deepEqual([call("a"), call("a"), call("b"), call("a")], [1, 1, 2, 1]);
  clock.set(3_600_000);
  assert.equal(call("a"), 1, "although the clock was set");
  clock.set(-7_200_000);
  clock.advance(1_000);
  assert.equal(call("a"), 3);
});

Deno.test("concurrent calls share one run, and a failed run is not kept", async () => {
  const results = memoryResults<Promise<string>>(10, () => new FakeClock());
  const failed = once(results, "a", 1_000, () => Promise.reject(new Error("failed")));
  const repeated = once(results, "a", 1_000, () => Promise.resolve("not run"));
  await assert.rejects(failed, /failed/);
  await assert.rejects(repeated, /failed/);
  assert.equal(await once(results, "a", 1_000, () => Promise.resolve("retried")), "retried");
});

Deno.test("the oldest results are evicted beyond the maximum", () => {
  const results = memoryResults<number>(2, () => new FakeClock());
  let runs = 0;
  const call = (key: string) => once(results, key, 1_000, () => ++runs);
  assert.deepEqual([call("a"), call("b"), call("c")], [1, 2, 3]);
  assert.equal(results.get("a"), undefined);
});
