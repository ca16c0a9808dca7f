import assert from "node:assert/strict";
import { Deadlines } from "../../../plugins/shared/deadlines.ts";
import { inSlices, joinedInSlices } from "../../../plugins/shared/slices.ts";
import { FakeClock, longestHold } from "../../kit/mod.ts";

const busy = (ms: number) => {
  const until = performance.now() + ms;
  while (performance.now() < until);
};

Deno.test("long work is done in slices, with its results in order", async () => {
  const items = Array.from({ length: 60 }, (_, i) => i);
  const double = (item: number) => {
    busy(1);
    return item % 2 === 0 ? item * 2 : Promise.resolve(item * 2);
  };
  for (const parallel of [false, true]) {
    const work = async () => {
      assert.deepEqual(await inSlices(items, double, { parallel }), items.map((item) => item * 2));
    };
    const longest = await longestHold(15, work);
    assert.ok(longest < 15, `it held the event loop for ${longest} ms`);
  }
});

Deno.test("one item is in work at a time, or at most 1,024 in parallel", async () => {
  let [now, most] = [0, 0];
  const work = async () => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
  };
  await inSlices(Array(20), work);
  assert.equal(most, 1);
  await inSlices(Array(3_000), work, { parallel: true });
  assert.ok(most > 1 && most <= 1_024, String(most));
});

Deno.test("texts are joined in order", async () => {
  const items = Array.from({ length: 2_345 }, (_, i) => i);
  assert.equal(await joinedInSlices(items, String), items.join());
  assert.equal(await joinedInSlices([], String), "");
});

Deno.test("deadlines of one length share a timer, and each fires on time", () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  const deadlines = new Deadlines(() => clock, 1_000);
  deadlines.after(1_000, () => fired.push("a"));
  clock.advance(400);
  const cancel = deadlines.after(1_000, () => fired.push("b"));
  clock.advance(100);
  deadlines.after(1_000, () => fired.push("c"));
  cancel();
  clock.advance(499);
  assert.equal(fired.join(), "");
  clock.advance(1);
  assert.equal(fired.join(), "a");
  clock.advance(499);
  assert.equal(fired.join(), "a");
  clock.advance(1);
  assert.equal(fired.join(), "a,c");
  deadlines.after(1_000, () => fired.push("d"));
  deadlines.stop();
  clock.advance(5_000);
  assert.equal(fired.join(), "a,c");
});
