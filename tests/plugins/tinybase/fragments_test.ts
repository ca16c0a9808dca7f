import assert from "node:assert/strict";
import fc from "fast-check";
import { Assembler, fragmentsOf } from "../../../plugins/protocols/tinybase/fragments.ts";
import { FakeClock } from "../../kit/mod.ts";

const ID = "abcdefghijklmnop";
const assembler = (clock = new FakeClock()) => new Assembler(clock, 1_000);

Deno.test("fragments of several messages are assembled in any order", () => {
  const text = fc.string({ unit: "grapheme", minLength: 50, maxLength: 300 });
  fc.assert(
    fc.property(
      text,
      text,
      fc.integer({ min: 4, max: 40 }),
      fc.infiniteStream(fc.nat()),
      (a, b, size, order) => {
        const groups = assembler();
        const remaining = [...fragmentsOf(a, size), ...fragmentsOf(b, size)];
        const whole: string[] = [];
        while (remaining.length > 0) {
          const [fragment] = remaining.splice(order.next().value! % remaining.length, 1);
          const result = groups.add("", fragment!);
          assert.ok(result !== "invalid" && result !== "overflow");
          if (result !== undefined) whole.push(result.text);
        }
        assert.deepEqual(whole.sort(), [a, b].sort());
      },
    ),
  );
});

Deno.test("fragments are not larger than requested, and end between characters", () => {
  const text = "aü€😀".repeat(100);
  const contents = fragmentsOf(text, 16).map((fragment) => fragment.split("\n").slice(3).join("\n"));
  assert.equal(contents.join(""), text);
  assert.ok(
    contents.every((content) =>
      new TextEncoder().encode(content).length <= 16 && !content.includes("\uFFFD")
    ),
  );
  assert.deepEqual(fragmentsOf("short", 16), ["short"]);
  assert.deepEqual(fragmentsOf(text, undefined), [text]);
  assert.ok(fragmentsOf("x".repeat(100_000), 1).length <= 1_000);
});

Deno.test("malformed fragments are invalid", () => {
  for (
    const fragment of [
      "",
      "x",
      `${ID}\n0\n`,
      `${ID}\nx\n2\na`,
      `short\n0\n2\na`,
      `${ID}\n2\n2\na`,
      `${ID}\n0\n0\na`,
    ]
  ) {
    assert.equal(assembler().add("", fragment), "invalid", fragment);
  }
  const groups = assembler();
  assert.equal(groups.add("", `${ID}\n0\n3\na`), undefined);
  assert.equal(groups.add("", `${ID}\n0\n3\na`), "invalid");
  assert.equal(groups.add("", `${ID}\n1\n4\na`), "invalid");
  assert.equal(groups.add("other", `${ID}\n0\n4\na`), undefined);
});

Deno.test("incomplete messages are limited in number, size and time", () => {
  assert.equal(assembler().add("", `${ID}\n0\n1001\na`), "overflow");
  const clock = new FakeClock();
  const groups = assembler(clock);
  const idOf = (i: number) => String(i).padStart(16, "0");
  for (let i = 0; i < 100; i++) assert.equal(groups.add("", `${idOf(i)}\n0\n2\na`), undefined);
  assert.equal(groups.add("", `${idOf(100)}\n0\n2\na`), "overflow");
  clock.advance(1_000);
  assert.equal(groups.add("", `${idOf(100)}\n0\n2\na`), undefined);
  const large = "x".repeat(8_000_000);
  assert.equal(groups.add("", `${idOf(1)}\n0\n3\n${large}`), undefined);
  assert.equal(groups.add("", `${idOf(1)}\n1\n3\n${large}`), undefined);
  assert.equal(groups.add("", `${idOf(1)}\n2\n3\n${large}`), "overflow");
  groups.clear();
  assert.equal(clock.pending, 0);
});
