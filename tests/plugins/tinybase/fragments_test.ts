import assert from "node:assert/strict";
import fc from "fast-check";
import { Assembler, piecesOf } from "../../../plugins/protocols/tinybase/fragments.ts";
import { FakeClock } from "../../kit/mod.ts";

const ID = "abcdefghijklmnop";
const assembler = (clock = new FakeClock()) => new Assembler(clock, 1_000);

Deno.test("pieces are put together in whatever order they come, beside others", () => {
  const text = fc.string({ unit: "grapheme", minLength: 50, maxLength: 300 });
  fc.assert(
    fc.property(
      text,
      text,
      fc.integer({ min: 4, max: 40 }),
      fc.infiniteStream(fc.nat()),
      (a, b, size, order) => {
        const groups = assembler();
        const left = [...piecesOf(a, size), ...piecesOf(b, size)];
        const whole: string[] = [];
        while (left.length > 0) {
          const [piece] = left.splice(order.next().value! % left.length, 1);
          const result = groups.add("", piece!);
          assert.ok(result !== "invalid" && result !== "overflow");
          if (result !== undefined) whole.push(result.text);
        }
        assert.deepEqual(whole.sort(), [a, b].sort());
      },
    ),
  );
});

Deno.test("no piece is larger than asked for, and none ends within a character", () => {
  const text = "aü€😀".repeat(100);
  const pieces = piecesOf(text, 16).map((piece) => piece.split("\n").slice(3).join("\n"));
  assert.equal(pieces.join(""), text);
  assert.ok(
    pieces.every((piece) => new TextEncoder().encode(piece).length <= 16 && !piece.includes("\uFFFD")),
  );
  assert.deepEqual(piecesOf("short", 16), ["short"]);
  assert.deepEqual(piecesOf(text, undefined), [text]);
  assert.ok(piecesOf("x".repeat(100_000), 1).length <= 1_000);
});

Deno.test("what is no proper fragment is invalid", () => {
  for (
    const piece of [
      "",
      "x",
      `${ID}\n0\n`,
      `${ID}\nx\n2\na`,
      `short\n0\n2\na`,
      `${ID}\n2\n2\na`,
      `${ID}\n0\n0\na`,
    ]
  ) {
    assert.equal(assembler().add("", piece), "invalid", piece);
  }
  const groups = assembler();
  assert.equal(groups.add("", `${ID}\n0\n3\na`), undefined);
  assert.equal(groups.add("", `${ID}\n0\n3\na`), "invalid");
  assert.equal(groups.add("", `${ID}\n1\n4\na`), "invalid");
  assert.equal(groups.add("other", `${ID}\n0\n4\na`), undefined);
});

Deno.test("half messages are bounded in number, in size and in time", () => {
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
