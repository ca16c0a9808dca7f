/** Messages in Protocol Buffers: what is encoded is decoded, and what is malformed is refused. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { DisconnectError } from "../../../plugins/protocols/centrifuge.ts";
import { decode, decodeDelimited } from "../../../plugins/protocols/centrifuge/protobuf/decode.ts";
import {
  encode,
  encodeDelimited,
  type Fields,
} from "../../../plugins/protocols/centrifuge/protobuf/encode.ts";
import type {
  Field,
  MessageType,
  Scalar,
} from "../../../plugins/protocols/centrifuge/protobuf/message_type.ts";
import { schema } from "../../../plugins/protocols/centrifuge/protobuf/schema.ts";

const INT_32 = 2 ** 31;

const scalars: Record<Scalar, fc.Arbitrary<unknown>> = {
  bool: fc.boolean(),
  int32: fc.integer(),
  uint32: fc.integer({ min: 0, max: 2 * INT_32 - 1 }),
  int64: fc.maxSafeInteger(),
  uint64: fc.maxSafeNat(),
  sint64: fc.maxSafeInteger(),
  string: fc.oneof(fc.string({ maxLength: 200 }), fc.string({ unit: "grapheme" })),
  bytes: fc.uint8Array({ maxLength: 300 }),
};

/** Any message of a type, with messages nested up to a depth. */
function anyMessage(type: MessageType, depth = 3): fc.Arbitrary<Fields> {
  const fields = [...type.byName.values()].filter((field) => depth > 0 || typeof field.type === "string");
  return fc.record(Object.fromEntries(fields.map((field) => [field.name, anyValue(field, depth)])), {
    requiredKeys: [],
  });
}

function anyValue({ type, repeated, map }: Field, depth: number): fc.Arbitrary<unknown> {
  if (map) {
    const value = (type as MessageType).byName.get("value")!;
    return fc.dictionary(fc.string(), anyValue(value, depth), { maxKeys: 3 });
  }
  const one = typeof type === "string" ? scalars[type] : anyMessage(type, depth - 1);
  return repeated ? fc.array(one, { maxLength: 3 }) : one;
}

/** The fields that are not zero, as comparable values. */
function present(type: MessageType, fields: Fields): unknown {
  const entries = Object.entries(fields).flatMap(([name, value]): [string, unknown][] => {
    const field = type.byName.get(name)!;
    if (field.repeated) {
      const list = (value as unknown[]).map((each) => comparable(field.type, each));
      return list.length > 0 ? [[name, list]] : [];
    }
    if (field.map) {
      const entry = (field.type as MessageType).byName.get("value")!;
      const list = Object.entries(value as Fields).map(([key, each]) => [key, comparable(entry.type, each)]);
      return list.length > 0 ? [[name, list.sort()]] : [];
    }
    const shown = comparable(field.type, value);
    return typeof field.type === "string" && !shown ? [] : [[name, shown]];
  });
  return entries.sort(([a], [b]) => a < b ? -1 : 1);
}

function comparable(type: Field["type"], value: unknown): unknown {
  if (typeof type !== "string") return present(type, value as Fields);
  return type === "bytes" ? Buffer.from(value as Uint8Array).toString("hex") : value;
}

for (const [name, type] of Object.entries(schema)) {
  Deno.test(`B17 any ${name} is decoded as it was encoded`, () => {
    fc.assert(
      fc.property(anyMessage(type), (fields) => {
        const bytes = encode(type, fields);
        assert.deepEqual(present(type, decode(type, bytes)), present(type, fields));
      }),
      { numRuns: 50 },
    );
  });
}

/** Encodes a varint, independent of the code under test. */
const varint = (value: bigint): number[] =>
  value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)];

Deno.test("a message larger than the writer's buffer is encoded whole, whatever its parts", () => {
  const publications = Array.from({ length: 100 }, (_, i) => ({
    data: new Uint8Array(i * 100).fill(i),
    info: { user: "ü".repeat(i * 20), client: "c".repeat(i) },
    tags: { [`tag ${i}`]: "x".repeat(i * 3) },
  }));
  const bytes = encodeDelimited(schema.Reply, { id: 7, history: { publications, epoch: "e", offset: 100 } });
  const small = encode(schema.Error, { message: "after" });
  const [reply] = decodeDelimited(schema.Reply, bytes);
  const { history } = reply as { history: Fields };
  assert.deepEqual(
    present(schema.HistoryResult, history),
    present(schema.HistoryResult, {
      publications,
      epoch: "e",
      offset: 100,
    }),
  );
  assert.deepEqual(decode(schema.Error, small), { message: "after" });
});

Deno.test("messages that were encoded do not change when others are encoded", () => {
  const texts = Array.from({ length: 1_000 }, (_, i) => String(i).repeat(i % 50));
  const encoded = texts.map((message) => encode(schema.Error, { code: 1, message }));
  for (const [i, bytes] of encoded.entries()) {
    assert.equal(decode(schema.Error, bytes).message ?? "", texts[i]);
  }
});

Deno.test("an unknown field is a mistake of the server when it encodes", () => {
  assert.throws(() => encode(schema.Error, { kode: 1 }), { message: 'Error has no field "kode"' });
});

Deno.test("B17 numbers have the meaning of their types", () => {
  const number = (bytes: number[]) => decode(schema.HistoryRequest, Uint8Array.from(bytes)).limit;
  const offset = (value: bigint) =>
    decode(schema.StreamPosition, Uint8Array.from([8, ...varint(value)])).offset;
  const MINUS_ONE = 2n ** 64n - 1n;
  assert.equal(number([7 << 3, ...varint(MINUS_ONE)]), -1);
  assert.deepEqual([...encode(schema.HistoryRequest, { limit: -1 })], [7 << 3, ...varint(MINUS_ONE)]);
  assert.equal(number([7 << 3, ...varint(2n ** 32n + 5n)]), 5);
  assert.equal(offset(2n ** 53n - 1n), Number.MAX_SAFE_INTEGER);
  assert.throws(() => offset(2n ** 53n), DisconnectError, "JSON could not express it either");
  assert.throws(() => offset(MINUS_ONE), DisconnectError);
  const score = (value: number) =>
    decode(schema.Publication, encode(schema.Publication, { score: value })).score;
  assert.deepEqual([score(-1), score(Number.MIN_SAFE_INTEGER)], [-1, Number.MIN_SAFE_INTEGER]);
});

Deno.test("B17 unknown fields of every kind are skipped", () => {
  const unknown = [
    [...varint(100n << 3n | 0n), ...varint(2n ** 64n - 1n)],
    [...varint(100n << 3n | 1n), 1, 2, 3, 4, 5, 6, 7, 8],
    [...varint(100n << 3n | 2n), 3, 1, 2, 3],
    [...varint((2n ** 29n - 1n) << 3n | 5n), 1, 2, 3, 4],
  ];
  const known = [...encode(schema.Error, { code: 5, message: "x" })];
  for (const field of unknown) {
    for (const bytes of [[...field, ...known], [...known, ...field]]) {
      assert.deepEqual(decode(schema.Error, Uint8Array.from(bytes)), { code: 5, message: "x" });
    }
  }
});

/** FilterNode within FilterNode, or an unknown field as deep. */
function nested(depth: number): Uint8Array {
  let fields: Fields = {};
  for (let i = 0; i < depth; i++) fields = { nodes: [encode(schema.FilterNode, fields)] };
  return encode(schema.SubscribeRequest, { tf: encode(schema.FilterNode, fields) });
}

/** Bytes that are no message of the type `Error`. */
const malformed: Record<string, number[]> = {
  "a tag without a value": [8],
  "a length without bytes": [18],
  "a length beyond the end": [18, 5, 65],
  "a length of 2^63": [18, ...varint(2n ** 63n)],
  "a varint that does not end": [8, 128, 128],
  "a varint of eleven bytes": [8, ...Array(10).fill(128), 1],
  "a number as a text": [16, 1],
  "a text as a number": [10, 1, 65],
  "a fixed number as a number": [13, 1, 2, 3, 4],
  "the field 0": [0, 0],
  "a group": [8 << 3 | 3, 8 << 3 | 4],
  "an unknown wire type": [8 << 3 | 7, 1],
  "an unknown field beyond the end": [8 << 3 | 1, 1],
  "a text that is not UTF-8": [18, 1, 255],
  "a surrogate in a text": [18, 3, 0xed, 0xa0, 0x80],
};

for (const [what, bytes] of Object.entries(malformed)) {
  Deno.test(`B17 ${what} is malformed`, () => {
    assert.throws(() => decode(schema.Error, Uint8Array.from(bytes)), DisconnectError);
  });
}

Deno.test("B17 messages that are nested too deeply are malformed", () => {
  assert.ok(decode(schema.SubscribeRequest, nested(20)));
  assert.throws(() => decode(schema.SubscribeRequest, nested(100)), DisconnectError);
  assert.throws(() => decode(schema.SubscribeRequest, nested(5_000)), DisconnectError);
});

Deno.test("B17 a message cut anywhere, or with any byte changed, is decoded or malformed", () => {
  const command = fc.tuple(anyMessage(schema.Command), fc.nat(), fc.nat(255), fc.nat());
  fc.assert(fc.property(command, ([fields, at, byte, length]) => {
    const bytes = encodeDelimited(schema.Command, fields).slice();
    bytes[at % bytes.length] = byte;
    for (const each of [bytes, bytes.subarray(0, length % (bytes.length + 1))]) {
      try {
        for (const message of decodeDelimited(schema.Command, each)) assert.equal(typeof message, "object");
      } catch (error) {
        assert.ok(error instanceof DisconnectError, String(error));
        assert.equal(error.why.code, 3501);
      }
    }
  }));
});
