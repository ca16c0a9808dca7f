import { Buffer } from "node:buffer";
import type { Field, MessageType } from "./message_type.ts";

/** The fields of a message, by name. */
export type Fields = Readonly<Record<string, unknown>>;

const LENGTH_DELIMITED = 2;

const utf8 = new TextEncoder();

/**
 * Messages share buffers of this size: one of its own would take half of the time to encode a publication. A message that
 * waits for a slow reader keeps its buffer in memory, so it is small.
 */
const BUFFER_BYTES = 2_048;

/** Up to this length, a loop is faster than a call into the runtime. */
const SHORT_TEXT = 64;

/**
 * A message is written from its end to its start, so that the length of each part is known when it is needed. The message
 * takes the bytes before those of the previous one.
 */
let buffer = new Uint8Array(BUFFER_BYTES);
let end = BUFFER_BYTES;
let start = BUFFER_BYTES;

/**
 * Encodes a message. Leaves out zero values. A nested message may be given as its bytes, and bytes as a text. Throws for a
 * field that the type does not have.
 */
export function encode(type: MessageType, fields: Fields): Uint8Array<ArrayBuffer> {
  end = start;
  writeFields(type, fields);
  return written();
}

/** Encodes a message after its length, as the messages of a frame are. */
export function encodeDelimited(type: MessageType, fields: Fields): Uint8Array<ArrayBuffer> {
  end = start;
  writeFields(type, fields);
  writeVarint(end - start);
  return written();
}

function written(): Uint8Array<ArrayBuffer> {
  const bytes = buffer.subarray(start, end);
  if (buffer.length > BUFFER_BYTES) {
    // A large message shares its buffer with no other.
    buffer = new Uint8Array();
    start = 0;
  }
  return bytes;
}

function writeFields(type: MessageType, fields: Fields): void {
  const names = Object.keys(fields);
  for (let i = names.length - 1; i >= 0; i--) {
    const name = names[i]!;
    const value = fields[name];
    if (value === undefined) continue;
    const field = type.byName.get(name);
    if (field === undefined) throw new Error(`${type.name} has no field "${name}"`);
    if (field.repeated) {
      for (const each of (value as readonly unknown[]).toReversed()) writeField(field, each, true);
    } else if (field.map) {
      const entries = Object.entries(value as Fields).reverse();
      for (const [key, each] of entries) writeField(field, { key, value: each }, true);
    } else writeField(field, value, false);
  }
}

/** `always` writes an empty value too. */
function writeField({ type, number }: Field, value: unknown, always: boolean): void {
  const before = end - start;
  switch (type) {
    case "string":
      writeText(value as string);
      break;
    case "bytes":
      if (typeof value === "string") writeText(value);
      else writeBytes(value as Uint8Array);
      break;
    case "bool":
    case "int32":
    case "int64":
    case "uint32":
    case "uint64":
    case "sint64":
      if (!value) return;
      if (type === "sint64") writeBigVarint(zigzag(value as number));
      else writeVarint(Number(value));
      return writeVarint(number << 3);
    default:
      always = true;
      if (value instanceof Uint8Array) writeBytes(value);
      else writeFields(type, value as Fields);
  }
  const length = end - start - before;
  if (length === 0 && !always) return;
  writeVarint(length);
  writeVarint(number << 3 | LENGTH_DELIMITED);
}

function writeText(text: string): void {
  if (text.length <= SHORT_TEXT && writeAscii(text)) return;
  const size = Buffer.byteLength(text);
  reserve(size);
  start -= size;
  utf8.encodeInto(text, buffer.subarray(start, start + size));
}

/** Returns `false` for a text with other characters. */
function writeAscii(text: string): boolean {
  reserve(text.length);
  let to = start;
  for (let i = text.length - 1; i >= 0; i--) {
    const char = text.charCodeAt(i);
    if (char >= 128) return false;
    buffer[--to] = char;
  }
  start = to;
  return true;
}

function writeBytes(bytes: Uint8Array): void {
  reserve(bytes.length);
  start -= bytes.length;
  buffer.set(bytes, start);
}

function writeVarint(value: number): void {
  if (value < 0) return writeBigVarint(BigInt.asUintN(64, BigInt(value)));
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  reserve(size);
  let at = start -= size;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) buffer[at++] = rest % 128 | 128;
  buffer[at] = rest;
}

function writeBigVarint(value: bigint): void {
  const groups: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 7n) groups.push(Number(rest & 127n) | 128);
  groups[groups.length - 1]! &= 127;
  writeBytes(Uint8Array.from(groups));
}

/** Values of both signs that are near zero take few bytes. */
function zigzag(value: number): bigint {
  const big = BigInt(value);
  return big < 0n ? -2n * big - 1n : 2n * big;
}

/** Makes room for some bytes before those that were written. */
function reserve(size: number): void {
  if (start >= size) return;
  const part = buffer.subarray(start, end);
  buffer = new Uint8Array(Math.max(BUFFER_BYTES, 2 * part.length + size));
  end = buffer.length;
  start = end - part.length;
  buffer.set(part, start);
}
