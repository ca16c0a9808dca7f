/** The encoder of deltas. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeDelta } from "../../../plugins/channels/fossil.ts";
import { applyDelta } from "../../kit/fossil.ts";
import { slowdown } from "../../kit/mod.ts";

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true });

const delta = (source: Uint8Array, target: Uint8Array, text = false) =>
  encodeDelta(source, target, { maxBytes: Infinity, text })!.slice();
const deltaOfTexts = (source: string, target: string) =>
  strict.decode(delta(encoder.encode(source), encoder.encode(target), true));

Deno.test("B18 the delta of the reference's example is as short as there", () => {
  const text = (count: number) => `{"count":${count},"pad":"${"a".repeat(24)}"}`;
  assert.equal(deltaOfTexts(text(1), text(2)), "h\n9@0,1:2Y@A,TZiAO;");
  assert.equal(deltaOfTexts("", "abcde"), "5\n5:abcde36ObD_;");
  assert.equal(deltaOfTexts("abc", ""), "0\n0;");
});

/** Few different bytes, so that there are many matches. */
const repetitive = fc.array(fc.constantFrom(0, 97, 98, 128, 255), { maxLength: 200 })
  .map((bytes) => Uint8Array.from(bytes));

/** Bytes made of parts of other bytes, in any order. */
const partsOf = (source: Uint8Array) =>
  fc.array(
    fc.oneof(
      fc.tuple(fc.nat(source.length), fc.nat(source.length)).map(([a, b]) =>
        source.slice(Math.min(a, b), Math.max(a, b))
      ),
      fc.uint8Array({ maxLength: 40 }),
    ),
    { maxLength: 8 },
  ).map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])));

const related = fc.oneof(fc.uint8Array({ minLength: 100, maxLength: 500 }), repetitive)
  .chain((source) => fc.tuple(fc.constant(source), fc.oneof(partsOf(source), repetitive)));

Deno.test("B18 a delta leads from any bytes to any others", () => {
  fc.assert(
    fc.property(related, ([source, target]) => {
      assert.deepEqual(applyDelta(source, delta(source, target)), target);
      assert.deepEqual(applyDelta(target, delta(target, source)), source);
    }),
    { numRuns: 1_000 },
  );
});

/** Characters of one to four bytes that share bytes, so that cuts fall inside of them. */
const letter = fc.constantFrom("a", "é", "è", "ê", "€", "₭", "←", "😀", "😁", "🐀", '"', "\\");
const sentence = fc.array(letter, { maxLength: 120 }).map((letters) => letters.join(""));
const sentences = fc.tuple(sentence, sentence, sentence, sentence);

Deno.test("B18 a delta of texts is text: no cut is inside a character", () => {
  fc.assert(
    fc.property(sentences, ([a, b, c, d]) => {
      for (
        const [source, target] of [[a + b + c, a + d + c], [a + b + c + d, d + c + a], [
          a + "é" + b,
          a + "è" + b,
        ]]
      ) {
        const text = deltaOfTexts(source!, target!);
        const applied = applyDelta(encoder.encode(source), encoder.encode(text));
        assert.equal(strict.decode(applied), target);
      }
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("B18 a change anywhere in a document, and several, need few bytes", () => {
  const item = (id: number) => ({ id, name: `item ${id}`, price: id * 1.25, text: "ü".repeat(id % 7) });
  const items = Array.from({ length: 30 }, (_, i) => item(i));
  const text = JSON.stringify({ items });
  const size = (changed: unknown) => deltaOfTexts(text, JSON.stringify(changed)).length;
  assert.ok(size({ items: items.with(12, { ...item(12), price: 99 }) }) < 40);
  assert.ok(size({ items: items.with(2, item(200)).with(27, item(201)) }) < 150);
  assert.ok(size({ items: items.toReversed() }) < text.length * 0.8);
  assert.ok(size({ items: [...items.slice(10), ...items.slice(0, 10)] }) < 60, "moved");
});

Deno.test("B18 a delta that is too long is given up", () => {
  const [source, target] = [encoder.encode("x".repeat(100)), crypto.getRandomValues(new Uint8Array(1_000))];
  const full = delta(source, target);
  const shorter = (maxBytes: number) => encodeDelta(source, target, { maxBytes, text: false });
  assert.deepEqual(shorter(full.length), full);
  for (const maxBytes of [full.length - 1, 500, 1, 0, -5]) assert.equal(shorter(maxBytes), undefined);
});

Deno.test("B18 hostile pairs of 64 KiB take no more than a few milliseconds", () => {
  const length = 65_536;
  const filled = (byte: (i: number) => number) => Uint8Array.from({ length }, (_, i) => byte(i));
  const uniform = filled(() => 97);
  const broken = filled((i) => i % 17 === 0 ? 98 : 97);
  const late = filled((i) => i % 16 === 15 ? i >> 4 & 255 : 97);
  const noise = filled((i) => Math.imul(i, 0x9e3779b1) >>> 24);
  const all = [uniform, broken, late, noise];
  for (const source of all) {
    for (const target of all) {
      let best = Infinity;
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        const bytes = delta(source, target);
        best = Math.min(best, performance.now() - start);
        if (i === 0) assert.deepEqual(applyDelta(source, bytes), target);
      }
      assert.ok(best < 20 * slowdown(), `${best} ms`);
    }
  }
});
