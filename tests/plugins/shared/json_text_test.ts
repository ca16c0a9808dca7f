import assert from "node:assert/strict";
import fc from "fast-check";
import { itemTexts, memberText } from "../../../plugins/shared/json_text.ts";

/** Space between tokens, as JSON allows it. */
const space = fc.string({ unit: fc.constantFrom(" ", "\n", "\r", "\t"), maxLength: 3 });

/**
 * Names without a backslash: V8 15.0 parses `{"a":1,"\u00e9":2}` to `{ a: 1, "\\": 2 }` when it has parsed
 * `{"a":1,"\\":1}` before.
 */
const NAMES = ["a", "b", "data", "__proto__", '"', "é", "", "toString"];

/** A name, sometimes written with an escape, so that equal names look different. */
const name = fc.tuple(
  fc.constantFrom(...NAMES),
  fc.boolean(),
)
  .map(([text, escaped]) =>
    escaped
      ? `"${Array.from(text, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"`
      : JSON.stringify(text)
  );

/** Any JSON text, with space between the tokens, names that come twice, and numbers of all kinds. */
const { json, object } = fc.letrec<{ json: string; object: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small" },
    fc.json().filter((text) => !text.includes("\\\\")),
    fc.constantFrom("1.0", "1e400", "-0", "12345678901234567890", "0.10", "1E+2", '"\u2028\\"}]"', "null"),
    fc.array(fc.tuple(space, tie("json"), space), { maxLength: 3 }).map((items) =>
      `[${items.map((each) => each.join("")).join(",")}]`
    ),
    tie("object"),
  ),
  object: fc.array(fc.tuple(space, name, space, tie("json"), space), { maxLength: 5 }).map((members) =>
    `{${
      members.map(([before, name, between, value, after]) =>
        `${before}${name}${between}:${between}${value}${after}`
      ).join(",")
    }}`
  ),
}));

function get(value: unknown, path: readonly string[]): { value: unknown } | undefined {
  for (const name of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    if (!Object.hasOwn(value, name)) return;
    value = (value as Record<string, unknown>)[name];
  }
  return { value };
}

Deno.test("a member's text is what JSON.parse reads there, in any text and at any depth", () => {
  const path = fc.array(fc.constantFrom(...NAMES), {
    maxLength: 3,
  });
  fc.assert(
    fc.property(fc.oneof(object, json), space, space, path, (text, before, after, names) => {
      const whole = before + text + after;
      const expected = get(JSON.parse(whole), names);
      const found = memberText(whole, ...names);
      assert.equal(found === undefined, expected === undefined);
      // Compared as text: `deepEqual` passes over a key such as `__proto__`.
      if (found !== undefined) {
        assert.equal(JSON.stringify(JSON.parse(found)), JSON.stringify(expected!.value));
      }
      assert.equal(found, found?.trim(), "no space around it");
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("a member's text is as it was written", () => {
  for (
    const written of [
      "1.0",
      "1e400",
      "-0",
      "12345678901234567890",
      '"\\u0041"',
      '{ "b" : [1 , 2] }',
      '"\u2028"',
      "true",
    ]
  ) {
    const text = `{"a":0,"publish":{"channel":"x","data": ${written} },"a":${written}}`;
    assert.equal(memberText(text, "publish", "data"), written);
    assert.equal(memberText(text, "a"), written, "the last one counts");
  }
  assert.equal(memberText('{"__proto__":1,"constructor":2}', "__proto__"), "1");
  assert.equal(memberText('{"a":{"b":1},"a":[]}', "a", "b"), undefined);
  assert.equal(memberText("[1]", "0"), undefined);
  assert.equal(memberText(" 1 "), "1");
});

Deno.test("a member's text is found in time that grows with the text alone", () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  const text = `{"a":${deep},"b":${JSON.stringify('\\"'.repeat(200_000))},"c":1}`;
  assert.equal(memberText(text, "c"), "1");
});

Deno.test("the texts of an array's items are those between its commas", () => {
  const value = fc.jsonValue({ maxDepth: 3 }).map((each) => JSON.stringify(each));
  fc.assert(fc.property(fc.array(fc.tuple(space, value, space)), (items) => {
    const text = `[${items.map((parts) => parts.join("")).join()}]`;
    assert.deepEqual([...itemTexts(text)], items.map(([, each]) => each));
  }));
});
