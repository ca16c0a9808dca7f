import assert from "node:assert/strict";
import fc from "fast-check";
import { createMergeableStore } from "tinybase";
import { isHlc, latestAllowedHlc, nextHlc, timeOf } from "../../../plugins/protocols/tinybase/hlc.ts";
import { encodeMessage, parseMessage } from "../../../plugins/protocols/tinybase/messages.ts";
import { routingInfoOf } from "../../../plugins/protocols/tinybase/routing_info.ts";

const DIFF = '["QHzg1mpDAlH",3,[[{"pets":[{"fido":[{"species":["cat","P6vlbfb----7JQY8"]}]}]}],[{}],1]]';

Deno.test("messages of real clients are parsed, and encoded identically", () => {
  const frames = [
    '["i3sqG0MoH22.g5XY",1,""]',
    '["0HrFq8KPlg_",2,[2850994369,1935289064]]',
    '["YwSptcRJSSn.dHI_",4,{}]',
    DIFF,
    '[null,0,[[{}],{"pets":12}]]',
    '["a",0,[[{"pets":[{"fido":[{"age":["\uFFFC","P6vlbfb----7JQY8"]}]}]}],{}]]',
    '["a",5,{"pets":{"fido":1}}]',
    '["a",6,{"pets":{"fido":{"age":1}}}]',
    '["a",7,{"open":0}]',
  ];
  for (const frame of frames) {
    const message = parseMessage(frame);
    assert.ok(message, frame);
    assert.equal(encodeMessage(message.requestId, message.type, message.body), frame);
  }
});

Deno.test("messages of unknown later types are accepted", () => {
  assert.deepEqual(parseMessage('["~a",8,{"pets":[1,2,3]}]')?.body, { pets: [1, 2, 3] });
});

Deno.test("messages for which TinyBase's clients close their socket are invalid", () => {
  const wrong = [
    "",
    "[]",
    "{}",
    '["a",1]',
    '["a",1,"",1]',
    '[1,1,""]',
    '["a","1",""]',
    '["a",1.5,""]',
    '["a",-1,[0,1]]',
    '["a",1,"x"]',
    '["a",2,[1]]',
    '["a",2,[1,-1]]',
    '["a",2,[1,4294967296]]',
    '["a",3,[[{}]]]',
    '["a",3,[[{}],[{}],2]]',
    '["a",3,[[{"t":{}}],[{}],1]]',
    '["a",3,[[{"t":[{"r":[{"c":["x","short"]}]}]}],[{}],1]]',
    '["a",3,[[{"t":[{"r":[{"c":["x","P6vlbfb----7JQY8",1]}]}]}],[{}],1]]',
    '["a",3,[[{"t":[{"r":[{"c":["\uFFFDno json","P6vlbfb----7JQY8"]}]}]}],[{}],1]]',
    '["a",4,[]]',
    '["a",5,{"t":1}]',
    '["a",0,"x"]',
    "x".repeat(100),
    `${"[".repeat(100_000)}`,
  ];
  for (const text of wrong) assert.equal(parseMessage(text), undefined, text.slice(0, 80));
});

Deno.test("infinite numbers, plain objects and deeply nested values are invalid", () => {
  const withCell = (cell: string) => `["a",3,[[{"t":[{"r":[{"c":[${cell},"P6vlbfb----7JQY8"]}]}]}],[{}],1]]`;
  const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  const json = (text: string) => JSON.stringify(`\uFFFD${text}`);
  for (const cell of ["1e999", "-1e999", "{}", '{"a":"\uFFFC"}', "[1]", json(nested(101)), nested(100_000)]) {
    assert.equal(parseMessage(withCell(cell)), undefined, cell.slice(0, 80));
  }
  for (const cell of ["1e99", "null", "true", '"\uFFFC"', json("{}"), json(nested(100))]) {
    assert.notEqual(parseMessage(withCell(cell)), undefined, cell.slice(0, 80));
  }
  assert.equal(parseMessage(`["a",8,${nested(101)}]`), undefined);
  assert.notEqual(parseMessage(`["a",8,${nested(100)}]`), undefined);
});

Deno.test("the routing info of a message equals that of the parsed message", () => {
  const thing = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.double(),
    fc.integer(),
    fc.constantFrom(true, null, "\uFFFC", "\uFFFD{}", [], {}),
  );
  const id = fc.string({ unit: "grapheme" });
  const hlc = fc.constantFrom("P6vlbfb----7JQY8", "", "P6vlbfb----7JQY", "P6vlbfb----7JQ\n8");
  const damage = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    fc.record({ at: fc.nat(100), put: fc.string() }),
  );
  fc.assert(
    fc.property(id, id, id, id, thing, hlc, damage, (requestId, table, row, cell, value, clock, change) => {
      const whole = JSON.stringify([requestId, 3, [[{ [table]: [{ [row]: [{ [cell]: [value, clock] }] }] }], [
        {},
      ], 1]]);
      const text = change === undefined
        ? whole
        : whole.slice(0, change.at) + change.put + whole.slice(change.at + 1);
      const parsed = parseMessage(text);
      const info = routingInfoOf(text);
      assert.deepEqual([info?.type, info?.latest, info?.repaired], [
        parsed?.type,
        parsed?.latest,
        parsed?.repaired,
      ]);
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual(routingInfoOf(DIFF), { type: 3, latest: "P6vlbfb----7JQY8" }); // without parsing
});

Deno.test("empty tables and rows are removed, because they corrupt TinyBase's hashes", () => {
  const message = parseMessage(
    '["a",3,[[{"t":[{"r":[{}],"s":[{"c":[1,"P6vlbfb----7JQY8"]}]}],"u":[{}],"v":[{"w":[{}]}]}],[{}],1]]',
  );
  assert.equal(message?.repaired, '["a",3,[[{"t":[{"s":[{"c":[1,"P6vlbfb----7JQY8"]}]}]}],[{}],1]]');
});

Deno.test("finds the latest clock anywhere in a message", () => {
  assert.equal(parseMessage(DIFF)?.latest, "P6vlbfb----7JQY8");
  assert.equal(
    parseMessage('["a",3,[[{"t":[{},"P6vlbfb----7JQY8"]}],[{"v":[1,"Q6vlbfb----7JQY8"]}],1]]')?.latest,
    "Q6vlbfb----7JQY8",
  );
  assert.equal(parseMessage('["a",1,""]')?.latest, "");
});

Deno.test("keys may be anything", () => {
  const text = '["a",3,[[{"__proto__":[{"constructor":[{"__proto__":["x","P6vlbfb----7JQY8"]}]}]}],[{}],1]]';
  const message = parseMessage(text)!;
  assert.equal(encodeMessage(message.requestId, message.type, message.body), text);
  assert.equal(({} as Record<string, unknown>).x, undefined);
});

Deno.test("clocks have TinyBase's format", () => {
  const now = 1_790_000_000_000;
  const store = createMergeableStore("a", () => now);
  store.setCell("t", "r", "c", 1);
  const [[{ t }]] = store.getMergeableContent();
  const hlc = t![0].r![0].c![1];
  assert.ok(isHlc(hlc));
  assert.equal(timeOf(hlc), now);
  assert.ok(hlc <= latestAllowedHlc(now) && hlc > latestAllowedHlc(now - 300_001));
  store.setCell("t", "r", "c", 2);
  assert.equal(nextHlc(hlc), store.getMergeableContent()[0][0].t![0].r![0].c![1]);
});

Deno.test("the next clock is greater by one, with the same client", () => {
  const char = fc.constantFrom(..."-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
  const hlc = fc.string({ unit: char, minLength: 16, maxLength: 16 }).filter((text) =>
    !text.startsWith("zzzzzzzzzzz")
  );
  fc.assert(fc.property(hlc, (before) => {
    const next = nextHlc(before);
    assert.ok(next > before && isHlc(next));
    assert.equal(next.slice(11), before.slice(11));
  }));
  assert.equal(nextHlc("-------zzzz12345"), "------0----12345");
});

Deno.test("every change of a TinyBase store is parsed, and encoded identically", () => {
  const cell = fc.oneof(
    fc.string({ unit: "grapheme" }).filter((text) => text !== "\uFFFC" && text[0] !== "\uFFFD"),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.jsonValue({ maxDepth: 2 }).filter((value) => typeof value === "object" && value !== null),
  );
  const id = fc.string({ minLength: 1, maxLength: 3 });
  const edit = fc.tuple(id, id, id, cell, fc.boolean());
  fc.assert(fc.property(fc.array(edit, { maxLength: 20 }), (edits) => {
    const store = createMergeableStore();
    for (const [table, row, cellId, value, deletes] of edits) {
      if (deletes) store.delCell(table, row, cellId);
      else store.setCell(table, row, cellId, value as string);
    }
    const text = encodeMessage(null, 3, [store.getMergeableTableDiff({})[0], [{}], 1]);
    const read = parseMessage(text);
    assert.ok(read !== undefined && read.repaired === undefined);
    assert.equal(encodeMessage(null, 3, read.body), text);
  }));
});
