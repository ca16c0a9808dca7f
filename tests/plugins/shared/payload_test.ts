import assert from "node:assert/strict";
import fc from "fast-check";
import { Payload } from "../../../plugins/channels.ts";

Deno.test("a payload keeps JSON text as it was written, numbers included", () => {
  for (
    const text of [
      "1.0",
      "1e400",
      "-0",
      "12345678901234567890",
      '{"__proto__":1,"a":1,"a":2}',
      '" \u2028 \\n "',
      "[ 1 ]",
    ]
  ) {
    assert.equal(Payload.fromJson(text).text, text);
    assert.equal(JSON.stringify(Payload.fromJson(text).value()), JSON.stringify(JSON.parse(text)));
  }
});

Deno.test("a payload has no line breaks, and they cannot forge a message", () => {
  for (const text of ['{"a":\n1}', "[1,\r\n2]", "\n\n1\r", '{\n  "a": [\r    "x"\n  ]\n}']) {
    const payload = Payload.fromJson(text);
    assert.doesNotMatch(payload.text, /[\r\n]/);
    assert.deepEqual(payload.value(), JSON.parse(text));
  }
  for (const text of ['"a\nb"', "1\n2", '{"a":1}\n{"id":1}', "1\u20282"]) {
    assert.throws(() => Payload.fromJson(text), { code: "bad_request" }, JSON.stringify(text));
  }
});

Deno.test("a payload is exactly one JSON value", () => {
  for (
    const text of ["", " ", "{", "[1] 2", "undefined", "NaN", "01", "'a'", "{a:1}", "\ufeff1", '"\u0000"']
  ) {
    assert.throws(() => Payload.fromJson(text), { code: "bad_request" }, JSON.stringify(text));
  }
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  for (const value of [undefined, () => {}, Symbol("x"), 1n, circular]) {
    assert.throws(() => Payload.of(value), { code: "bad_request" });
  }
});

Deno.test("a payload of any value is its JSON text, and of a payload the same payload", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const payload = Payload.of(value);
    assert.equal(payload.text, JSON.stringify(value));
    assert.equal(Payload.of(payload), payload);
    assert.equal(payload.isBinary, false);
  }));
});

Deno.test("a payload knows its size in bytes, whichever is asked for first", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.boolean(), (text, bytesFirst) => {
    const payload = Payload.of(text.toWellFormed());
    const bytes = new TextEncoder().encode(payload.text);
    if (bytesFirst) assert.deepEqual(payload.bytes, bytes);
    assert.equal(payload.byteLength, bytes.length);
    assert.deepEqual(payload.bytes, bytes);
    assert.equal(payload.bytes, payload.bytes, "encoded once");
  }));
});

Deno.test("each value of a payload is one of its own", () => {
  const payload = Payload.fromJson('{"a":[]}');
  (payload.value() as { a: number[] }).a.push(1);
  assert.deepEqual(payload.value(), { a: [] });
});

Deno.test("a binary payload is its bytes, and base64 where only JSON is possible", () => {
  const payload = Payload.fromBytes(new Uint8Array([0, 10, 255]));
  assert.equal(payload.isBinary, true);
  assert.equal(payload.byteLength, 3);
  assert.deepEqual(payload.bytes, new Uint8Array([0, 10, 255]));
  assert.deepEqual(payload.value(), new Uint8Array([0, 10, 255]));
  assert.notEqual(payload.value(), payload.bytes);
  assert.equal(payload.text, '"AAr/"');
});

Deno.test("bytes have JSON text if they are JSON in UTF-8, and stay as they are", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  for (const [text, json] of [['{"a":1.10}', '{"a":1.10}'], ["[1,\n2]", "[1,2]"], ['"ü"', '"ü"']] as const) {
    const payload = Payload.of(bytes(text));
    assert.deepEqual([payload.isBinary, payload.json, payload.bytes], [true, json, bytes(text)]);
    assert.equal(payload.asJson().content, json);
  }
  for (const other of [bytes(""), bytes("hello"), bytes("\ufeff1"), Uint8Array.of(34, 255, 34)]) {
    const payload = Payload.of(other);
    assert.equal(payload.json, undefined);
    assert.throws(() => payload.asJson(), { code: "bad_request" });
  }
});

Deno.test("bytes that are kept do not keep the message around them", () => {
  const message = new Uint8Array(60_000);
  const kept = Payload.fromBytes(message.subarray(10, 20)).detached();
  assert.deepEqual([kept.bytes.length, kept.bytes.buffer.byteLength], [10, 10]);
});
