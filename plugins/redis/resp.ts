/**
 * RESP3, the protocol of Redis. Texts of the server are bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** An argument of a command. */
export type Argument = string | Buffer;

/** What a server answers. */
export type Value = Buffer | string | number | boolean | null | ErrorReply | readonly Value[];

/** An error that the server has answered. */
export class ErrorReply extends Error {}

/** Counting in the runtime costs more than looking at a short text. */
const SHORT = 200;

/** Returns the number of bytes that an argument has on the wire. */
export function byteLength(text: Argument): number {
  if (typeof text !== "string") return text.length;
  if (text.length > SHORT) return Buffer.byteLength(text);
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return Buffer.byteLength(text);
  return text.length;
}

/** A command as it is sent: texts, and the bytes between them. */
export interface Encoded {
  readonly pieces: Argument[];
  /** The size of its arguments, in bytes. */
  readonly bytes: number;
}

/** Encodes a command. */
export function encode(command: readonly Argument[]): Encoded {
  const pieces: Argument[] = [];
  let bytes = 0;
  let text = `*${command.length}\r\n`;
  for (const argument of command) {
    const length = byteLength(argument);
    bytes += length;
    if (typeof argument === "string") text += `$${length}\r\n${argument}\r\n`;
    else {
      pieces.push(`${text}$${length}\r\n`, argument);
      text = "\r\n";
    }
  }
  pieces.push(text);
  return { pieces, bytes };
}

/** A list that is not complete. */
interface OpenList {
  readonly items: Value[];
  left: number;
  readonly kind: number;
}

const [CR, MINUS, ZERO] = [13, 45, 48];
const kinds = Object.fromEntries(
  Array.from("+-:$*_%~>,#(=!|", (sign) => [sign, sign.charCodeAt(0)]),
) as Record<string, number>;
const { "+": TEXT, "-": ERROR, ":": INTEGER, $: BYTES, "*": LIST, _: NULL, "%": MAP } = kinds;
const { "~": SET, ">": PUSH, "#": BOOLEAN, "=": VERBATIM, "!": BLOB_ERROR, "|": ATTRIBUTES } = kinds;

/** Reads the answers of a server from the bytes that arrive. */
export class Reader {
  readonly #answer: (value: Value) => void;
  readonly #push: (values: readonly Value[]) => void;
  /** What has arrived and was not read, and how much of it is worth reading. */
  #chunks: Buffer[] = [];
  #size = 0;
  #needed = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #open: OpenList[] = [];

  constructor(answer: (value: Value) => void, push: (values: readonly Value[]) => void) {
    this.#answer = answer;
    this.#push = push;
  }

  /** Reads what is complete. */
  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#needed) return;
    this.#bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#at = 0;
    this.#needed = 0;
    while (this.#at < this.#bytes.length && this.#readOne()) { /* The next one. */ }
    const rest = this.#bytes.subarray(this.#at);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
  }

  /** Reads a value, or the beginning of a list; `false` if it is not complete. */
  #readOne(): boolean {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    let end = start;
    while (end < bytes.length && bytes[end] !== CR) end++;
    const next = end + 2;
    if (next > bytes.length) return false;
    const kind = bytes[this.#at]!;
    switch (kind) {
      case BYTES:
      case VERBATIM:
      case BLOB_ERROR: {
        const length = this.#integer(start, end);
        if (length < 0) return this.#complete(null, next);
        const needed = next + length + 2;
        if (needed > bytes.length) {
          this.#needed = needed - this.#at;
          return false;
        }
        const value = bytes.subarray(kind === VERBATIM ? next + 4 : next, next + length);
        return this.#complete(kind === BLOB_ERROR ? new ErrorReply(value.toString()) : value, needed);
      }
      case INTEGER:
        return this.#complete(this.#integer(start, end), next);
      case LIST:
      case SET:
      case PUSH:
      case MAP:
      case ATTRIBUTES: {
        const length = this.#integer(start, end);
        if (length < 0) return this.#complete(null, next);
        const left = kind === MAP || kind === ATTRIBUTES ? 2 * length : length;
        const isAnswer = kind !== PUSH && kind !== ATTRIBUTES;
        if (left === 0 && isAnswer) return this.#complete([], next);
        if (left > 0) this.#open.push({ items: [], left, kind });
        this.#at = next;
        return true;
      }
      case NULL:
        return this.#complete(null, next);
      case BOOLEAN:
        return this.#complete(bytes[start] === 116, next);
      case ERROR:
        return this.#complete(new ErrorReply(bytes.toString("utf8", start, end)), next);
      case TEXT:
        return this.#complete(bytes.toString("utf8", start, end), next);
      default: // A fraction, or a large number.
        return this.#complete(Number(bytes.toString("latin1", start, end)), next);
    }
  }

  #integer(start: number, end: number): number {
    const bytes = this.#bytes;
    const negative = bytes[start] === MINUS;
    let value = 0;
    for (let i = negative ? start + 1 : start; i < end; i++) value = value * 10 + bytes[i]! - ZERO;
    return negative ? -value : value;
  }

  #complete(value: Value, next: number): boolean {
    this.#at = next;
    for (;;) {
      const list = this.#open.at(-1);
      if (list === undefined) {
        this.#answer(value);
        return true;
      }
      list.items.push(value);
      if (--list.left > 0) return true;
      this.#open.pop();
      if (list.kind === PUSH) this.#push(list.items);
      if (list.kind === PUSH || list.kind === ATTRIBUTES) return true;
      value = list.items;
    }
  }
}
