import { malformed } from "../codes.ts";
import type { Field, MessageType, Scalar } from "./message_type.ts";

/** The most messages within each other. */
const MAX_DEPTH = 32;

/** Up to this length, a loop is faster than a call into the runtime. */
const SHORT_TEXT = 64;

const MAX_VARINT_BYTES = 10;

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes a message. Absent fields stay absent, unknown ones are skipped, and parts are views of `bytes`. Throws a
 * `DisconnectError` if the message is malformed.
 */
export function decode(type: MessageType, bytes: Uint8Array): Record<string, unknown> {
  return new Reader(bytes).message(type, bytes.length, 0);
}

/** Decodes messages with a length before each, one by one. */
export function* decodeDelimited(type: MessageType, bytes: Uint8Array): Generator<Record<string, unknown>> {
  const reader = new Reader(bytes);
  while (reader.at < bytes.length) yield reader.message(type, reader.endOfPart(bytes.length), 0);
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  message(type: MessageType, end: number, depth: number): Record<string, unknown> {
    if (depth > MAX_DEPTH) throw malformed("nesting");
    const fields: Record<string, unknown> = {};
    while (this.at < end) {
      const tag = this.#varint();
      if (tag < 8) throw malformed("field");
      const field = type.byNumber[Math.floor(tag / 8)];
      if (field === undefined) this.#skip(tag % 8, end);
      else this.#field(fields, field, tag % 8, end, depth);
    }
    if (this.at > end) throw malformed("message");
    return fields;
  }

  /** Reads a length, and returns where the part ends that follows it. */
  endOfPart(limit: number): number {
    const length = this.#varint();
    const end = this.at + length;
    if (end > limit) throw malformed("length");
    return end;
  }

  #field(fields: Record<string, unknown>, field: Field, wireType: number, end: number, depth: number): void {
    const { name, type, repeated, map } = field;
    if (wireType !== wireTypeOf(type)) throw malformed(name);
    if (wireType === VARINT) {
      fields[name] = this.#number(name, type);
      return;
    }
    const partEnd = this.endOfPart(end);
    if (map) {
      const { key = "", value = isText(type) ? "" : {} } = this.message(
        type as MessageType,
        partEnd,
        depth + 1,
      );
      ((fields[name] ??= Object.create(null)) as Record<string, unknown>)[key as string] = value;
      return;
    }
    const value = this.#part(type, partEnd, depth);
    if (repeated) ((fields[name] ??= []) as unknown[]).push(value);
    else fields[name] = value;
  }

  #part(type: Field["type"], end: number, depth: number): unknown {
    if (type === "string") return this.#text(end);
    return type === "bytes" ? this.#view(end) : this.message(type as MessageType, end, depth + 1);
  }

  #view(end: number): Uint8Array {
    const part = this.#bytes.subarray(this.at, end);
    this.at = end;
    return part;
  }

  #text(end: number): string {
    const short = end - this.at <= SHORT_TEXT ? this.#ascii(end) : undefined;
    if (short !== undefined) return short;
    try {
      return utf8.decode(this.#view(end));
    } catch {
      throw malformed("text");
    }
  }

  #ascii(end: number): string | undefined {
    let text = "";
    for (let i = this.at; i < end; i++) {
      const byte = this.#bytes[i]!;
      if (byte >= 128) return undefined;
      text += String.fromCharCode(byte);
    }
    this.at = end;
    return text;
  }

  /** A 32-bit number loses its higher bits, as in every implementation. */
  #number(name: string, type: Field["type"]): number | boolean {
    const start = this.at;
    const value = this.#varint();
    if (type === "bool") return value !== 0;
    if (value < 2 ** 31 && type !== "sint64") return value;
    const number = Number(this.#exact(start, type));
    if (!Number.isSafeInteger(number)) throw malformed(name);
    return number;
  }

  #varint(): number {
    let value = 0;
    let factor = 1;
    for (let size = 0; size < MAX_VARINT_BYTES; size++) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
    throw malformed("number");
  }

  /** Reads again, without rounding, the varint from `start`. */
  #exact(start: number, type: Field["type"]): bigint {
    let value = 0n;
    for (let i = this.at - 1; i >= start; i--) value = value << 7n | BigInt(this.#bytes[i]! & 127);
    if (type === "sint64") return (value & 1n) === 1n ? -(value >> 1n) - 1n : value >> 1n;
    if (type === "int64") return BigInt.asIntN(64, value);
    if (type === "int32") return BigInt.asIntN(32, value);
    return type === "uint32" ? BigInt.asUintN(32, value) : value;
  }

  #skip(wireType: number, end: number): void {
    if (wireType === VARINT) this.#varint();
    else if (wireType === FIXED_64) this.at += 8;
    else if (wireType === FIXED_32) this.at += 4;
    else if (wireType === LENGTH_DELIMITED) this.at = this.endOfPart(end);
    else throw malformed("wire type");
  }
}

const PARTS: ReadonlySet<Scalar> = new Set<Scalar>(["string", "bytes"]);

function wireTypeOf(type: Field["type"]): number {
  return typeof type !== "string" || PARTS.has(type) ? LENGTH_DELIMITED : VARINT;
}

/** Whether the values of a map are texts. */
function isText(entry: Field["type"]): boolean {
  return (entry as MessageType).byName.get("value")!.type === "string";
}
