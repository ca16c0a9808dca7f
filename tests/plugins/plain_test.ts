import fc from "fast-check";
import assert from "node:assert/strict";
import { PlainWriter } from "../../plugins/shared/plain.ts";

const writer = new PlainWriter({ maxText: 1_000, maxTotal: 10_000 });
const copy = (value: unknown) => writer.fields({ value }, true).value;

Deno.test("plain values are copied unchanged", () => {
  for (const value of ["text", 1, -0.5, true, null, undefined, [1, ["a"]], { a: { b: [1] } }]) {
    assert.deepEqual(copy(value), value);
  }
});

Deno.test("values that JSON cannot express are described", () => {
  for (
    const [value, expected] of [
      [Infinity, "Infinity"],
      [12n, "12"],
      [Symbol("s"), "Symbol(s)"],
      [function greet() {}, "[function greet]"],
      [new Date(0), "1970-01-01T00:00:00.000Z"],
      [new Date(NaN), "[invalid date]"],
      [new URL("http://host/?token=abc"), "http://host/?token=[redacted]"],
      [new Uint8Array(1_000_000), "[Uint8Array of 1000000]"],
      [new Map<unknown, unknown>([["a", 1], [2, new Set([3])]]), { a: 1, 2: [3] }],
      [new Headers({ cookie: "a=b", host: "here" }), { cookie: "[redacted]", host: "here" }],
      [Promise.resolve(), "[Promise]"],
      [/a+/, "[RegExp]"],
      [
        new (class Room {
          name = "lobby";
          #size = 1;
          get size() {
            return this.#size;
          }
        })(),
        { name: "lobby" },
      ],
    ] as const
  ) assert.deepEqual(copy(value), expected);
});

Deno.test("secrets are redacted everywhere", () => {
  assert.deepEqual(
    copy({
      user: { password: "hunter2", pinned: true },
      tokens: ["a", "b"],
      hasToken: true,
      token: null,
      headers: [["cookie", "a=b"], ["host", "here"]],
      "?token=abc": 1,
    }),
    {
      user: { password: "[redacted]", pinned: true },
      tokens: "[redacted]",
      hasToken: true,
      token: null,
      headers: [["cookie", "[redacted]"], ["host", "here"]],
      "?token=[redacted]": "[redacted]",
    },
  );
  const error = new Error("bad token=abc123", { cause: new Error("at redis://a:abc123@host") });
  assert.doesNotMatch(JSON.stringify(copy(error)), /abc123/);
  const brief = new PlainWriter({ maxText: 200, maxTotal: 1_000, brief: true });
  const session = Object.assign(new EventTarget(), { id: "token=abc123" });
  assert.equal(brief.json(error), '"Error: bad token=[redacted]"');
  assert.equal(brief.json(session), '"[EventTarget token=[redacted]"');
});

Deno.test("cycles are cut, and shared values are copied twice", () => {
  const room: Record<string, unknown> = { name: "lobby" };
  room.self = room;
  room.members = [{ room }];
  assert.deepEqual(copy(room), { name: "lobby", self: "[circular]", members: [{ room: "[circular]" }] });
  const shared = { a: 1 };
  assert.deepEqual(copy([shared, shared]), [shared, shared]);
});

Deno.test("an unreadable value does not affect the others", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const thrower = {
    get broken() {
      throw new Error("no");
    },
    ok: 1,
  };
  const expected = { proxy: "[unreadable]", thrower: { broken: "[unreadable]", ok: 1 } };
  assert.deepEqual(copy({ proxy, thrower }), expected);
  assert.deepEqual(copy([[[[proxy]]]]), [[[["[unreadable]"]]]]);
  assert.deepEqual(writer.fields(thrower, true), expected.thrower);
});

Deno.test("special keys such as __proto__ are copied like any other", () => {
  const copied = copy(JSON.parse('{"__proto__":{"polluted":true},"constructor":1}'));
  assert.equal(JSON.stringify(copied), '{"__proto__":{"polluted":true},"constructor":1}');
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("a long text is cut, also within a secret", () => {
  assert.equal(writer.text("x".repeat(1_500)), `${"x".repeat(1_000)}… (500 more characters)`);
  assert.doesNotMatch(writer.text(`${"x".repeat(990)} token=${"s3".repeat(50_000)}`), /s3/);
});

Deno.test("a line is short and valid for any fields", () => {
  const wide = Array(15).fill(Array(15).fill(Array(15).fill("text")));
  const deep = (depth: number): unknown => depth === 0 ? "end" : { a: deep(depth - 1), b: deep(depth - 1) };
  const long = Object.fromEntries(Array(1e4).fill("x".repeat(1e5)).entries());
  for (const huge of [wide, deep(12), long, Array.from({ length: 1e6 }), "x".repeat(1e7)]) {
    assert(JSON.stringify(copy(huge)).length < 15_000);
  }
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSet: true,
  });
  fc.assert(fc.property(fc.dictionary(fc.string(), anything), (fields) => {
    const line = JSON.stringify(writer.fields(fields, true));
    assert(line.length < 15_000);
    JSON.parse(line);
  }));
});

Deno.test("a small field after a huge one is kept", () => {
  const { huge, small } = writer.fields({ huge: "x".repeat(1e6), small: 1 }, true);
  assert.match(huge as string, /^x{1000}… \(999000 more characters\)$/);
  assert.equal(small, 1);
});
