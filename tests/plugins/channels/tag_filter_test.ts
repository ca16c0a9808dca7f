/** Tag filters: what they match, and what is refused. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { PlugboardError } from "../../../core/mod.ts";
import { compareDecimals, parseDecimal } from "../../../plugins/channels/decimals.ts";
import { CompiledFilter, type TagFilter } from "../../../plugins/channels/tag_filter.ts";
import { cpuMs, slowdown } from "../../kit/mod.ts";

const tags = { lang: "de", title: "Grüße", count: "10", ratio: "-0.50", empty: "", id: "9007199254740993" };

const leaf = (key: string, cmp: string, ...values: string[]): TagFilter =>
  cmp === "in" || cmp === "nin"
    ? { key, cmp, vals: values }
    : { key, cmp, ...(values.length > 0 && { val: values[0]! }) };

const matching: readonly TagFilter[] = [
  leaf("lang", "eq", "de"),
  leaf("lang", "neq", "en"),
  leaf("missing", "neq", "x"),
  leaf("lang", "in", "en", "de"),
  leaf("missing", "in", "", "x"),
  leaf("lang", "nin", "en", "fr"),
  leaf("missing", "nin", "x"),
  leaf("empty", "ex"),
  leaf("missing", "nex"),
  leaf("title", "sw", "Grü"),
  leaf("title", "ew", "ße"),
  leaf("title", "ct", "üß"),
  leaf("count", "gt", "9"),
  leaf("count", "gte", "10.0"),
  leaf("count", "lt", "10.01"),
  leaf("count", "lte", "+10"),
  leaf("ratio", "lt", "-0.4"),
  leaf("ratio", "gte", "-0.5"),
  leaf("id", "gt", "9007199254740992"),
  { op: "and", nodes: [leaf("lang", "eq", "de"), leaf("count", "gt", "1")] },
  { op: "or", nodes: [leaf("lang", "eq", "en"), leaf("count", "gt", "1")] },
  { op: "not", nodes: [leaf("lang", "eq", "en")] },
  {
    op: "not",
    nodes: [{ op: "or", nodes: [leaf("a", "ex"), { op: "and", nodes: [leaf("lang", "eq", "en")] }] }],
  },
  // What an encoding gives for fields that the client left out.
  { op: "", key: "lang", cmp: "eq", val: "de", vals: [], nodes: [] },
];

const others: readonly TagFilter[] = [
  leaf("lang", "eq", "DE"),
  leaf("missing", "eq", "x"),
  leaf("lang", "neq", "de"),
  leaf("lang", "in", "en"),
  leaf("lang", "nin", "en", "de"),
  leaf("missing", "nin", ""),
  leaf("missing", "ex"),
  leaf("empty", "nex"),
  leaf("title", "sw", "ü"),
  leaf("missing", "ct", "x"),
  leaf("count", "lt", "9"),
  leaf("lang", "lt", "9"),
  leaf("lang", "gte", "9"),
  leaf("missing", "lt", "9"),
  leaf("count", "lt", "many"),
  leaf("count", "lt", "1e3"),
  leaf("count", "lt", "0x99"),
  leaf("count", "lt", "99."),
  leaf("id", "gt", "9007199254740993"),
  { op: "and", nodes: [leaf("lang", "eq", "de"), leaf("count", "gt", "10")] },
  { op: "not", nodes: [leaf("lang", "eq", "de")] },
  // What every object has is no tag.
  leaf("constructor", "ex"),
  leaf("__proto__", "ex"),
  leaf("toString", "ct", "native"),
];

for (const [expected, filters] of [[true, matching], [false, others]] as const) {
  for (const filter of filters) {
    Deno.test(`B18 the filter ${JSON.stringify(filter)} ${expected ? "lets the tags pass" : "does not match"}`, () => {
      assert.equal(new CompiledFilter(filter).matches(tags), expected);
    });
  }
}

Deno.test("B18 a publication without tags has only missing ones", () => {
  assert.equal(new CompiledFilter(leaf("a", "nex")).matches(undefined), true);
  assert.equal(new CompiledFilter(leaf("a", "eq", "x")).matches(undefined), false);
});

Deno.test("B18 equal filters have the same text, others do not", () => {
  const text = (filter: TagFilter) => new CompiledFilter(filter).text;
  assert.equal(
    text({ cmp: "eq", val: "v", key: "k" }),
    text({ op: "", key: "k", cmp: "eq", val: "v", nodes: [] }),
  );
  const texts = new Set([...matching, ...others].map(text));
  assert.equal(texts.size, matching.length + others.length - 1, "one is written in two ways");
});

const nested = (levels: number): TagFilter =>
  levels === 1 ? leaf("a", "ex") : { op: "not", nodes: [nested(levels - 1)] };
const wide = (count: number): TagFilter => ({
  op: "or",
  nodes: Array.from({ length: count }, () => leaf("a", "ex")),
});

const invalid: Readonly<Record<string, unknown>> = {
  "an unknown op": { op: "xor", nodes: [leaf("a", "ex")] },
  "an unknown comparison": { key: "a", cmp: "like", val: "x" },
  "an op of every object": { op: "constructor", nodes: [leaf("a", "ex")] },
  "nothing": {},
  "no key": { cmp: "eq", val: "x" },
  "no comparison": { key: "a", val: "x" },
  "an empty value": { key: "a", cmp: "eq", val: "" },
  "a value and a list": { key: "a", cmp: "eq", val: "x", vals: ["y"] },
  "no list": { key: "a", cmp: "in" },
  "a list and a value": { key: "a", cmp: "nin", vals: ["x"], val: "y" },
  "a value where none is compared": { key: "a", cmp: "ex", val: "x" },
  "a list where none is compared": { key: "a", cmp: "nex", vals: ["x"] },
  "and without nodes": { op: "and" },
  "or without nodes": { op: "or", nodes: [] },
  "not without nodes": { op: "not" },
  "not with two nodes": { op: "not", nodes: [leaf("a", "ex"), leaf("b", "ex")] },
  "an invalid node within": { op: "and", nodes: [leaf("a", "ex"), {}] },
  "a number as key": { key: 1, cmp: "ex" },
  "an object as value": { key: "a", cmp: "eq", val: { toString: "x" } },
  "a text as list": { key: "a", cmp: "in", vals: "abc" },
  "an object as list": { key: "a", cmp: "in", vals: { length: 1, 0: "x" } },
  "a number in the list": { key: "a", cmp: "in", vals: [1] },
  "a text as nodes": { op: "and", nodes: "ab" },
  "null as node": { op: "and", nodes: [null] },
  "a list as node": { op: "and", nodes: [[]] },
  "a list": [],
  "too many levels": nested(9),
  "a thousand levels": nested(1_000),
  "too many nodes": wide(32),
  "a hundred thousand nodes": wide(100_000),
  "a long text": leaf("a", "eq", "x".repeat(3_000)),
  "long texts together": wide(20).nodes!.reduce<TagFilter>(
    (all, _, i) => ({ op: "or", nodes: [...all.nodes ?? [], leaf("x".repeat(200), "eq", `${i}`)] }),
    { op: "or" },
  ),
  "a long list of empty texts": leaf("a", "in", ...new Array<string>(20_000).fill("")),
};

for (const [what, filter] of Object.entries(invalid)) {
  Deno.test(`B18 a filter is refused that is or has ${what}`, () => {
    const ms = cpuMs(() =>
      assert.throws(() => new CompiledFilter(filter), (error: PlugboardError) => error.code === "bad_request")
    );
    assert.ok(ms < 50 * slowdown(), `${ms} ms`);
  });
}

Deno.test("B18 a filter may be as large as the bounds, and is evaluated fast then", () => {
  new CompiledFilter(nested(8));
  const zeros = "0".repeat(1_900);
  const slow = [
    wide(31),
    leaf("long", "lt", `${zeros}1`),
    leaf("long", "ct", "ab".repeat(1_000)),
    { op: "or", nodes: Array.from({ length: 31 }, (_, i) => leaf("long", "lt", `${i}`)) },
  ];
  for (const long of [`${zeros.repeat(5)}x`, "a".repeat(10_000), `0.${zeros.repeat(5)}1`]) {
    for (const filter of slow) {
      const compiled = new CompiledFilter(filter);
      let best = Infinity;
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        compiled.matches({ long });
        best = Math.min(best, performance.now() - start);
      }
      assert.ok(best < 5 * slowdown(), `${best} ms`);
    }
  }
});

Deno.test("B18 a thousand of the slowest filters take a few milliseconds for a publication", () => {
  const filters = Array.from(
    { length: 1_000 },
    (_, i) =>
      new CompiledFilter({
        op: "or",
        nodes: Array.from({ length: 31 }, (_, k) => leaf("price", "gt", `${1e6 + i + k}`)),
      }),
  );
  let best = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    assert.ok(!filters.some((filter) => filter.matches({ price: `${i}.5` })));
    best = Math.min(best, performance.now() - start);
  }
  assert.ok(best < 20 * slowdown(), `${best} ms`);
});

Deno.test("B18 decimals compare as exact numbers do", () => {
  const decimal = fc.tuple(
    fc.constantFrom("", "+", "-"),
    fc.bigInt({ min: 0n, max: 10n ** 30n }),
    fc.nat(12),
    fc.nat(3),
  )
    .map(([sign, digits, scale, zeros]) => {
      const text = `${digits}`.padStart(scale + 1, "0");
      const whole = "0".repeat(zeros) + text.slice(0, text.length - scale);
      const exact = (sign === "-" ? -digits : digits) * 10n ** BigInt(12 - scale);
      return { text: scale === 0 ? sign + whole : `${sign}${whole}.${text.slice(-scale)}`, exact };
    });
  fc.assert(fc.property(decimal, decimal, (a, b) => {
    const compare = (one: string, other: string) => compareDecimals(parseDecimal(one)!, parseDecimal(other)!);
    assert.equal(Math.sign(compare(a.text, b.text)) || 0, a.exact < b.exact ? -1 : a.exact > b.exact ? 1 : 0);
    assert.equal(compare(a.text, `${a.text}${a.text.includes(".") ? "0" : ".0"}`) || 0, 0);
  }));
});
