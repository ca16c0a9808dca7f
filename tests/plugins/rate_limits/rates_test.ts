import assert from "node:assert/strict";
import fc from "fast-check";
import type { Rate } from "../../../plugins/rate_limits.ts";
import { DEFAULTS, prepareLimits } from "../../../plugins/rate_limits/limits.ts";
import { paceOf, spend, spent } from "../../../plugins/rate_limits/rates.ts";
import { RecentMap } from "../../../plugins/rate_limits/recent_map.ts";

Deno.test("a rate is a number and a time", () => {
  assert.deepEqual(paceOf("x", "600/1m"), { limit: 600, windowMs: 60_000, eachMs: 100 });
  assert.deepEqual(paceOf("x", "50/10s"), { limit: 50, windowMs: 10_000, eachMs: 200 });
  assert.deepEqual(paceOf("x", "10/s"), { limit: 10, windowMs: 1_000, eachMs: 100 });
  assert.equal(paceOf("x", "1/250ms")?.windowMs, 250);
  assert.equal(paceOf("x", "1/2h")?.windowMs, 7_200_000);
  assert.equal(paceOf("x", "off"), undefined);
  for (
    const wrong of [
      "",
      "600",
      "600/",
      "/1m",
      "0/1m",
      "1/0s",
      "-1/1m",
      "1.5/1m",
      "1/1d",
      "many/1m",
      "1/1m ",
      "1e3/1m",
    ]
  ) {
    assert.throws(
      () => paceOf("messages", wrong),
      /"messages" must be a rate such as 600\/1m or off, got/,
      wrong,
    );
  }
});

Deno.test("any window allows at most a burst and one refill", () => {
  const waits = fc.array(fc.nat(400), { maxLength: 200 });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 10, max: 1_000 }),
      waits,
      (limit, windowMs, all) => {
        const pace = paceOf("x", `${limit}/${windowMs}ms`)!;
        const allowed: number[] = [];
        let now = 1_000_000;
        let fullAt = 0;
        for (const wait of all) {
          now += wait;
          const next = spend(pace, fullAt, 1, now);
          if (next < 0) {
            // The wait is exact.
            assert.ok(spend(pace, fullAt, 1, now - next + 1e-6) > 0);
            assert.ok(spend(pace, fullAt, 1, now - next - 0.01) < 0);
          } else {
            fullAt = next;
            allowed.push(now);
          }
        }
        for (const start of allowed) {
          const within = allowed.filter((at) => at >= start && at < start + windowMs).length;
          assert.ok(within <= 2 * limit, `${within} within ${windowMs} ms`);
        }
        assert.ok(allowed.length <= limit + Math.ceil((now - 1_000_000) / pace.eachMs) + 1);
      },
    ),
  );
});

Deno.test("a bucket refills evenly", () => {
  const pace = paceOf("x", "10/10s")!;
  let fullAt = 0;
  for (let i = 0; i < 10; i++) fullAt = spend(pace, fullAt, 1, 5_000_000);
  assert.equal(spent(pace, fullAt, 5_000_000), 10);
  assert.equal(spend(pace, fullAt, 1, 5_000_000), -1_000, "a second to wait");
  assert.equal(spent(pace, fullAt, 5_004_000), 6);
  assert.equal(spent(pace, fullAt, 5_100_000), 0);
});

Deno.test("a bounded map never exceeds its maximum", () => {
  const map = new RecentMap<number>(1_000);
  for (let i = 0; i < 100_000; i++) {
    map.set(`k${i}`, i);
    assert.ok(map.size <= 1_000);
  }
  assert.equal(map.get("k99999"), 99_999);
  assert.equal(map.get("k0"), undefined);
});

Deno.test("an entry that is written again is not evicted", () => {
  const map = new RecentMap<number>(100);
  for (let i = 0; i < 10_000; i++) {
    map.set(`k${i}`, i);
    if (i % 40 === 0) map.set("regular", i);
    assert.equal(map.get("regular"), i - i % 40);
  }
});

Deno.test("invalid limits throw", () => {
  prepareLimits(DEFAULTS);
  assert.throws(() => prepareLimits({ connectionsPerIp: NaN }), /"connectionsPerIp"/);
  assert.throws(() => prepareLimits({ connectionsPerUser: 0 }), /"connectionsPerUser"/);
  assert.throws(() => prepareLimits({ queries: "lots" as Rate }), /"queries" must be a rate/);
});
