import assert from "node:assert/strict";
import fc from "fast-check";
import { settlesWithin } from "../../core/contract/promises.ts";
import { byteLength, closeCodes, exceedsBytes, within } from "../../core/mod.ts";
import { FakeClock } from "../kit/mod.ts";

Deno.test("the size of a text is that of its UTF-8, lone surrogates included", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("\ud800", "é", "a\udc00b", "😀"));
  fc.assert(fc.property(text, fc.nat(40), (text, limit) => {
    const { length } = new TextEncoder().encode(text);
    assert.equal(byteLength(text), length);
    assert.equal(exceedsBytes(text, limit), length > limit);
    assert.equal(exceedsBytes(new Uint8Array(length), limit), length > limit);
  }));
});

Deno.test("within returns the result, or the error of the work, and sets no timer for a plain value", async () => {
  const clock = new FakeClock();
  assert.equal(await within(clock, 10, "The work", 1), 1);
  assert.equal(await within(clock, 10, "The work", Promise.resolve(2)), 2);
  await assert.rejects(within(clock, 10, "The work", Promise.reject(new Error("boom"))), /^Error: boom$/);
  assert.equal(clock.pending, 0);
});

Deno.test("within throws after the time, and passes the late result on", async () => {
  const clock = new FakeClock();
  const { promise, resolve } = Promise.withResolvers<string>();
  const late: string[] = [];
  const result = within(clock, 10, "The work", promise, (value) => late.push(value));
  clock.advance(10);
  await assert.rejects(result, { code: "timeout", message: "The work took longer than 10 ms" });
  resolve("late");
  await promise;
  assert.deepEqual([late, clock.pending], [["late"], 0]);
});

Deno.test("settlesWithin tells whether the work settled in time, even if it failed", async () => {
  const clock = new FakeClock();
  assert.equal(await settlesWithin(clock, 10, Promise.reject(new Error("boom"))), true);
  const never = settlesWithin(clock, 10, new Promise(() => {}));
  clock.advance(10);
  assert.equal(await never, false);
});

Deno.test("close codes are in the ranges that clients act on, and no two give the same reason", () => {
  const codes = Object.values(closeCodes);
  assert.equal(new Set(codes.map(({ reason }) => reason)).size, codes.length);
  assert.deepEqual(
    codes.filter(({ code }) => code >= 3500),
    [closeCodes.invalidToken, closeCodes.unauthorized, closeCodes.badRequest, closeCodes.connectionLimit],
  );
});
