import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { encode, ErrorReply, Reader, type Value } from "../../../plugins/redis/resp.ts";
import { cpuMs, slowdown } from "../../kit/mod.ts";

/** What a server sends, and what it means. */
const ANSWERS: readonly [string, unknown][] = [
  ["+OK\r\n", "OK"],
  ["-MOVED 7 a:1\r\n", new ErrorReply("MOVED 7 a:1")],
  [":-12\r\n", -12],
  ["$5\r\na\r\nbc\r\n", "a\r\nbc"],
  ["$0\r\n\r\n", ""],
  ["$-1\r\n", null],
  ["_\r\n", null],
  ["#t\r\n", true],
  [",1.5\r\n", 1.5],
  ["=8\r\ntxt:a: b\r\n", "a: b"],
  ["!3\r\nbad\r\n", new ErrorReply("bad")],
  ["*0\r\n", []],
  ["*3\r\n*1\r\n$2\r\né\r\n:1\r\n*2\r\n+x\r\n$1\r\ny\r\n", [["é"], 1, ["x", "y"]]],
  ["%1\r\n$1\r\nk\r\n~1\r\n:1\r\n", ["k", [1]]],
  ["|0\r\n>0\r\n:6\r\n", 6],
  ["|1\r\n+ttl\r\n:3\r\n:5\r\n", 5],
];
const PUSHED = [">2\r\n$1\r\na\r\n*1\r\n:1\r\n", ["a", [1]]] as const;

function readable(value: Value): unknown {
  if (Buffer.isBuffer(value)) return value.toString();
  return Array.isArray(value) ? value.map(readable) : value;
}

Deno.test("B12 answers of Redis are read, in whatever pieces they arrive", () => {
  const bytes = Buffer.from(ANSWERS.map(([text]) => text + PUSHED[0]).join(""));
  for (const size of [1, 2, 3, 7, 64, bytes.length]) {
    const [answers, pushed]: [unknown[], unknown[]] = [[], []];
    const reader = new Reader(
      (value) => answers.push(readable(value)),
      (values) => pushed.push(readable(values)),
    );
    for (let i = 0; i < bytes.length; i += size) reader.add(bytes.subarray(i, i + size));
    assert.deepEqual(answers, ANSWERS.map(([, value]) => value), `in pieces of ${size}`);
    assert.deepEqual(pushed, ANSWERS.map(() => PUSHED[1]));
  }
});

Deno.test("B12 an answer of 32 MB in small pieces is read in a moment", () => {
  const answers: Value[] = [];
  const reader = new Reader((value) => answers.push(value), () => {});
  const entry = Buffer.from(`$1000\r\n${"x".repeat(1_000)}\r\n`);
  const piece = Buffer.concat(Array.from({ length: 64 }, () => entry));
  const ms = cpuMs(() => {
    reader.add(Buffer.from("*32000\r\n"));
    for (let i = 0; i < 500; i++) reader.add(piece);
    reader.add(Buffer.from(`$32000000\r\n`));
    for (let i = 0; i < 500; i++) reader.add(Buffer.alloc(64_000, "y"));
    reader.add(Buffer.from("\r\n"));
  });
  assert.deepEqual(answers.map((value) => (value as Value[]).length), [32_000, 32_000_000]);
  assert.ok(ms < 2_000 * slowdown(), `${ms} ms`);
});

Deno.test("B12 commands are encoded with the bytes of their texts", () => {
  const text = encode(["SET", "é", Buffer.from([0, 255]), "x".repeat(300)])
    .pieces.map((piece) => Buffer.isBuffer(piece) ? "<bytes>" : piece).join("");
  assert.equal(
    text,
    `*4\r\n$3\r\nSET\r\n$2\r\né\r\n$2\r\n<bytes>\r\n$300\r\n${"x".repeat(300)}\r\n`,
  );
});
