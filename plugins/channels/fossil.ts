/**
 * Encodes deltas in the format of Fossil: commands that copy ranges of the source, and literals between them. Unlike
 * npm `fossil-delta` it cuts texts only between characters, because JSON carries the literals as text, and its time grows
 * with the size only: 64 KiB of hostile input take that package 100 ms.
 *
 * @module
 */

/** Blocks of the source are found again in the target by their hash. */
const BLOCK = 16;
/** The hash of a block is a polynomial in this. */
const FACTOR = 0x2f0b4c47;
/** The factor of the byte that leaves a block. */
const LEAVING = power(FACTOR, BLOCK - 1);
/** A shorter range is not worth a command. */
const MIN_COPY = 8;
/** A shorter change is sent as it is. */
const MIN_SEARCH = 32;
/** Gives up after so many blocks that only have the same hash, or inputs with many of them would take long. */
const MAX_MISSES = 4_096;

const code = (char: string) => char.charCodeAt(0);
const DIGITS = Uint8Array.from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~", code);
const NEWLINE = code("\n");
const COPY = code("@");
const LITERAL = code(":");
const COMMA = code(",");
const END = code(";");

/**
 * Returns the delta from `source` to `target`, or `undefined` if it has more than `maxBytes`. For UTF-8 `text`, the delta
 * is text too. The bytes are valid until the next call.
 */
export function encodeDelta(
  source: Uint8Array,
  target: Uint8Array,
  { maxBytes, text }: { maxBytes: number; text: boolean },
): Uint8Array | undefined {
  const [from, to] = [new Words(source), new Words(target)];
  const out = new Writer(to, maxBytes, text);
  const prefix = match(from, 0, to, 0, to.length);
  const suffix = matchBack(from, from.length, to, to.length, prefix);
  const end = to.length - suffix;
  out.copy(0, 0, prefix);
  if (end - prefix >= MIN_SEARCH && from.length >= BLOCK) copyBlocks(from, to, prefix, end, out);
  if (suffix > 0) out.copy(from.length - suffix, end, suffix);
  return out.finish();
}

/** Bytes, and a view to read four of them at a time. */
class Words {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.length = bytes.length;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}

/** Copies what it finds of a part of the target in the source. */
function copyBlocks(source: Words, target: Words, start: number, end: number, out: Writer): void {
  const blocks = indexBlocks(source.bytes);
  const { bytes } = target;
  let misses = 0;
  let from = start;
  for (let hash: number | undefined; from + BLOCK <= end;) {
    hash ??= hashOf(bytes, from);
    const block = blocks[slot(hash, blocks)]! - 1;
    if (block >= 0) {
      const length = match(source, block, target, from, end);
      if (length >= BLOCK) {
        const back = matchBack(source, block, target, from, out.written);
        out.copy(block - back, from - back, back + length);
        from = Math.max(out.written, from + 1);
        hash = undefined;
        continue;
      }
      if (++misses > MAX_MISSES) return;
    }
    if (out.full) return;
    if (from + BLOCK < end) {
      hash = Math.imul(hash - Math.imul(bytes[from]!, LEAVING), FACTOR) + bytes[from + BLOCK]! | 0;
    }
    from++;
  }
}

/** Returns the blocks by their hash: the position of the first with it, plus 1. */
function indexBlocks(source: Uint8Array): Int32Array {
  const count = Math.floor(source.length / BLOCK);
  const blocks = new Int32Array(2 ** Math.ceil(Math.log2(count * 2)));
  for (let at = 0; at + BLOCK <= source.length; at += BLOCK) {
    const index = slot(hashOf(source, at), blocks);
    if (blocks[index] === 0) blocks[index] = at + 1;
  }
  return blocks;
}

function slot(hash: number, { length }: Int32Array): number {
  return (hash ^ hash >>> 15) & length - 1;
}

function hashOf(bytes: Uint8Array, start: number): number {
  let hash = 0;
  for (let i = start; i < start + BLOCK; i++) hash = Math.imul(hash, FACTOR) + bytes[i]! | 0;
  return hash;
}

/** Returns how many bytes from two positions on are the same. */
function match(source: Words, a: number, target: Words, b: number, end: number): number {
  const most = Math.min(source.length - a, end - b);
  const [from, to] = [source.view, target.view];
  let length = 0;
  while (length + 4 <= most && from.getInt32(a + length) === to.getInt32(b + length)) length += 4;
  while (length < most && from.getInt8(a + length) === to.getInt8(b + length)) length++;
  return length;
}

/** Returns how many bytes before two positions are the same, back to `start` in the target. */
function matchBack(source: Words, a: number, target: Words, b: number, start: number): number {
  const most = Math.min(a, b - start);
  const [from, to] = [source.view, target.view];
  let length = 0;
  while (length + 4 <= most && from.getInt32(a - length - 4) === to.getInt32(b - length - 4)) length += 4;
  while (length < most && from.getInt8(a - length - 1) === to.getInt8(b - length - 1)) length++;
  return length;
}

/** Where deltas are written: to allocate so many bytes takes longer than to fill them. */
let buffer = new Uint8Array(4_096);

/** Writes the commands of a delta until it is too long. */
class Writer {
  /** The bytes of the target that the commands produce so far. */
  written = 0;
  readonly #target: Words;
  readonly #text: boolean;
  readonly #most: number;
  readonly #out: Uint8Array;
  #length = 0;

  constructor(target: Words, maxBytes: number, text: boolean) {
    this.#target = target;
    this.#text = text;
    this.#most = Math.min(maxBytes, target.length + 64);
    if (buffer.length < this.#most) buffer = new Uint8Array(this.#most * 2);
    this.#out = buffer;
    this.#number(target.length, NEWLINE);
  }

  get full(): boolean {
    return this.#length > this.#most;
  }

  /** Writes the target up to `to` as a literal, then a copy of the source. Does nothing if that is not worth it. */
  copy(from: number, to: number, length: number): void {
    let start = to;
    let end = to + length;
    if (this.#text) {
      while (start < end && this.#continues(start)) start++;
      while (start < end && this.#continues(end)) end--;
    }
    if (end - start < MIN_COPY) return;
    this.#literal(start);
    this.#number(end - start, COPY);
    this.#number(from + start - to, COMMA);
    this.written = end;
  }

  /** Returns the delta, or `undefined` if it was too long. */
  finish(): Uint8Array | undefined {
    this.#literal(this.#target.length);
    this.#number(checksum(this.#target), END);
    return this.full ? undefined : this.#out.subarray(0, this.#length);
  }

  /** Whether a byte of the target is inside a character. */
  #continues(index: number): boolean {
    return (this.#target.bytes[index]! & 0xc0) === 0x80;
  }

  #literal(end: number): void {
    const { written } = this;
    if (end === written) return;
    this.#number(end - written, LITERAL);
    if (this.#length + end - written <= this.#most) {
      for (let i = written; i < end; i++) this.#out[this.#length + i - written] = this.#target.bytes[i]!;
    }
    this.#length += end - written;
    this.written = end;
  }

  /** Writes a number in base 64, and a character. */
  #number(value: number, then: number): void {
    let digits = 1;
    for (let rest = value >>> 6; rest > 0; rest >>>= 6) digits++;
    for (let i = digits - 1, rest = value; i >= 0; i--, rest >>>= 6) {
      this.#out[this.#length + i] = DIGITS[rest & 63]!; // Beyond the end, nothing is written.
    }
    this.#out[this.#length + digits] = then;
    this.#length += digits + 1;
  }
}

/** The sum of all words, with zeros after the end. */
function checksum(target: Words): number {
  const { bytes, length, view } = target;
  let sum = 0;
  let i = 0;
  for (; i + 4 <= length; i += 4) sum = sum + view.getInt32(i) | 0;
  for (let shift = 24; i < length; i++, shift -= 8) sum = sum + (bytes[i]! << shift) | 0;
  return sum >>> 0;
}

function power(base: number, exponent: number): number {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = Math.imul(result, base);
  return result;
}
