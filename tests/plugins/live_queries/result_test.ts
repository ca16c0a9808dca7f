import assert from "node:assert/strict";
import fc from "fast-check";
import { liveRows } from "../../../plugins/shared/live_rows.ts";
import { Result, type Row } from "../../../plugins/live_queries/result.ts";

const row = fc.record({
  id: fc.integer({ min: 0, max: 8 }),
  part: fc.constantFrom("a", "b"),
  v: fc.integer({ min: 0, max: 3 }),
}, { noNullPrototype: true });

/** Sequences of random results. */
const results = (uniqueBy: ((row: Row) => string) | undefined) =>
  fc.array(
    uniqueBy === undefined
      ? fc.array(row, { maxLength: 8 })
      : fc.uniqueArray(row, { maxLength: 8, selector: uniqueBy }),
    { minLength: 1, maxLength: 6 },
  );

for (
  const [name, key, selector] of [
    ["a key", ["id"], (each: Row) => String(each.id)],
    ["a key of two columns", ["id", "part"], (each: Row) => `${each.id}${each.part}`],
    ["no key", null, undefined],
    ["a key that is not unique", ["id"], undefined],
  ] as const
) {
  Deno.test(`with ${name}, a snapshot and the following diffs reproduce every result`, () => {
    fc.assert(fc.property(results(selector), (all) => {
      const rows = liveRows<Record<string, unknown>>();
      let now = Result.of(all[0]!, key);
      rows.apply(JSON.parse(now.snapshot));
      assert.deepEqual(rows.rows, all[0]);
      for (const next of all.slice(1)) {
        const result = Result.of(next, key);
        const diff = now.diff(result);
        if (diff !== undefined) rows.apply(JSON.parse(diff));
        assert.deepEqual(rows.rows, next);
        now = result;
      }
    }));
  });
}

Deno.test("equal results have no diff, and a diff contains only the changes", () => {
  const of = (...rows: Row[]) => Result.of(rows, ["id"]);
  const [a, b, c] = [{ id: 1, v: 1 }, { id: 2, v: 1 }, { id: 3, v: 1 }];
  assert.equal(of(a, b).diff(of(a, b)), undefined);
  assert.equal(of(a, b).diff(of(a, b, c)), '{"upsert":[{"id":3,"v":1}]}');
  assert.equal(of(a, b, c).diff(of(a, c)), '{"delete":[2]}');
  assert.equal(of(a, b).diff(of(a, { id: 2, v: 2 })), '{"upsert":[{"id":2,"v":2}]}');
  assert.equal(of(a, b).diff(of(b, a)), '{"order":[2,1]}');
});

Deno.test("large integers become strings and bytes become base64", () => {
  const { snapshot } = Result.of([{ id: 2n ** 60n, small: 5n, bytes: Uint8Array.of(1, 2) }], ["id"]);
  assert.deepEqual(JSON.parse(snapshot).rows, [{ id: "1152921504606846976", small: 5, bytes: "AQI=" }]);
});

Deno.test("rows from SQL have the same text as other objects", () => {
  const value = fc.oneof(
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 53n) - 2n, max: 2n ** 53n + 2n }),
    fc.string({ unit: "binary" }),
    fc.uint8Array(),
    fc.constant(null),
  );
  const names = fc.uniqueArray(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 4 });
  const rows = names.chain((all) => {
    const model = Object.fromEntries(all.map((name) => [name, value]));
    return fc.array(fc.record(model, { noNullPrototype: true }));
  });
  fc.assert(fc.property(rows, (all) => {
    assert.equal(Result.of(all, null).snapshot, Result.ofValues(all).snapshot);
  }));
});
