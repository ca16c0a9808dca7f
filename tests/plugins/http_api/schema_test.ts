import assert from "node:assert/strict";
import { globMatcher } from "../../../plugins/http_api/glob.ts";
import { problemIn, type Schema, sentenceOf } from "../../../plugins/http_api/schema.ts";
import { cpuMs, slowdown } from "../../kit/mod.ts";

const schema: Schema = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 3, pattern: "^a" },
    kind: { type: "string", enum: ["x", "y"] },
    limit: { type: "integer", minimum: 1, maximum: 9 },
    ratio: { type: "number" },
    on: { type: "boolean" },
    list: {
      type: "array",
      items: { type: "object", properties: { id: { type: "string" } }, required: ["id"] },
    },
    some: { type: "array", items: {}, minItems: 1 },
    tags: { type: "object", additionalProperties: { type: "string" } },
    data: { description: "anything" },
  },
  required: ["name"],
};

Deno.test("a schema finds the first problem, and names the field and the rule", () => {
  const wrong: [unknown, string, wrongType: boolean][] = [
    [[], "The body must be an object", true],
    [null, "The body must be an object", true],
    [{}, "name must be given", false],
    [{ name: null }, "name must be given", false],
    [{ name: 5 }, "name must be a string", true],
    [{ name: "" }, "name must not be empty", false],
    [{ name: "abcd" }, "name must have 3 characters or fewer", false],
    [{ name: "b" }, "name must match ^a", false],
    [{ name: "a", kind: "z" }, "kind must be one of x, y", false],
    [{ name: "a", limit: 1.5 }, "limit must be an integer", true],
    [{ name: "a", limit: 0 }, "limit must be 1 or more", false],
    [{ name: "a", limit: 10 }, "limit must be 9 or less", false],
    [{ name: "a", ratio: Infinity }, "ratio must be a number", true],
    [{ name: "a", on: 1 }, "on must be true or false", true],
    [{ name: "a", list: {} }, "list must be a list", true],
    [{ name: "a", list: [{ id: "1" }, {}] }, "list[1].id must be given", false],
    [{ name: "a", some: [] }, "some must not be empty", false],
    [{ name: "a", tags: { good: "1", bad: 2 } }, "tags.bad must be a string", true],
    [JSON.parse('{"name":"a","tags":{"__proto__":2}}'), "tags.__proto__ must be a string", true],
  ];
  for (const [value, sentence, wrongType] of wrong) {
    const problem = problemIn(schema, value);
    assert.ok(problem, sentence);
    assert.deepEqual([sentenceOf(problem), problem.wrongType], [sentence, wrongType]);
  }
});

Deno.test("a schema ignores what it does not know, and null where a value may be missing", () => {
  const value = { name: "a", limit: null, tags: null, data: null, other: { name: 5 }, constructor: 5 };
  assert.equal(problemIn(schema, value), undefined);
  assert.deepEqual(value, { name: "a", data: null, other: { name: 5 }, constructor: 5 } as unknown);
});

Deno.test("a pattern matches as in Centrifugo", () => {
  const cases: [string, string[], string[]][] = [
    ["", ["", "a"], []],
    ["*", ["", "a:b"], []],
    ["chat:*", ["chat:", "chat:1"], ["chat", "xchat:1"]],
    ["*:1", [":1", "chat:1", "a:1:1"], ["chat:11"]],
    ["a?c", ["abc", "a😀c"], ["ac", "abbc"]],
    ["[ab]1", ["a1", "b1"], ["c1", "[ab]1"]],
    ["[!a-c]1", ["d1"], ["a1", "b1"]],
    ["{chat,news}:*", ["chat:1", "news:"], ["mail:1"]],
    ["\\*a", ["*a"], ["ba"]],
    ["a.c", ["a.c"], ["abc"]],
    ["[", ["["], ["a"]],
    ["*a*b*c*", ["xaxbxcx", "abc"], ["acb"]],
  ];
  for (const [pattern, matching, others] of cases) {
    const matches = globMatcher(pattern);
    assert.deepEqual([matching.filter(matches), others.filter(matches)], [matching, []], pattern);
  }
});

Deno.test("no pattern takes exponential time", () => {
  const ms = cpuMs(() => {
    assert.equal(globMatcher(`${"*a".repeat(120)}b`)("a".repeat(255)), false);
    assert.equal(globMatcher("{a,b}".repeat(50))("c".repeat(255)), false);
  });
  assert.ok(ms < 200 * slowdown(), `${ms} ms`);
});
