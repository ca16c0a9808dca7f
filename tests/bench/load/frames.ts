/** WebSocket frames of a client. */

const encoder = new TextEncoder();

/** Digits of the time in a stamp: microseconds for three years. */
const TIME_DIGITS = 14;
const SENDER_DIGITS = 5;

/** The first value of `$n`. All values have the same length, so that their position in the frame is fixed. */
const FIRST_NUMBER = 100_000_000;

const TEXT = 1;
const BINARY = 2;
const PONG = 10;

/**
 * Creates a text frame, or a binary one whose bytes are the characters. Its mask is zero, so that the payload can be changed
 * in place.
 */
export function dataFrame(text: string, binary = false): Uint8Array {
  return binary ? frame(BINARY, bytesOf(text)) : frame(TEXT, encoder.encode(text));
}

/** The bytes that stand as characters in a text. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Creates the reply to a ping frame. */
export function pongFrame(payload: Uint8Array): Uint8Array {
  return frame(PONG, payload);
}

function frame(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const size = length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 255] : undefined;
  if (size === undefined) throw new RangeError(`A payload of ${length} bytes is too long for the bench`);
  const head = [0x80 | opcode, 0x80 | size[0]!, ...size.slice(1), 0, 0, 0, 0];
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}

/** A frame that is built once and sent many times, each time with a new stamp. */
export class StampedFrame {
  readonly bytes: Uint8Array;
  readonly #stampAt: number;
  readonly #numberAt: number;
  #number = FIRST_NUMBER;

  /** `message` is that of a dialogue. The payload is padded to `payloadBytes`. */
  constructor(message: string, payloadBytes: number, binary = false) {
    const stamp = `T=${"0".repeat(TIME_DIGITS)},${"0".repeat(SENDER_DIGITS)} `;
    const text = message.replace("$payload", stamp.padEnd(payloadBytes, "x"));
    const number = String(FIRST_NUMBER);
    this.bytes = dataFrame(text.replace("$n", number), binary);
    const written = new TextDecoder("latin1").decode(this.bytes);
    this.#stampAt = written.indexOf("T=0000") + 2;
    this.#numberAt = message.includes("$n") ? written.indexOf(number) : -1;
  }

  /** Writes time and sender into the frame. */
  stamp(micros: number, sender: number): Uint8Array {
    writeDigits(this.bytes, this.#stampAt, TIME_DIGITS, micros);
    writeDigits(this.bytes, this.#stampAt + TIME_DIGITS + 1, SENDER_DIGITS, sender);
    if (this.#numberAt >= 0) writeDigits(this.bytes, this.#numberAt, 9, this.#number++);
    return this.bytes;
  }
}

/** Calls back for each stamp in these bytes. A frame may contain many messages in any encoding. */
export function eachStamp(
  bytes: Uint8Array,
  from: number,
  to: number,
  found: (micros: number, sender: number) => void,
): void {
  const last = to - 2 - TIME_DIGITS - 1 - SENDER_DIGITS;
  for (let i = from; i <= last; i++) {
    if (bytes[i] !== 0x54 || bytes[i + 1] !== 0x3d) continue; // "T="
    const micros = readDigits(bytes, i + 2, TIME_DIGITS);
    found(micros, readDigits(bytes, i + 3 + TIME_DIGITS, SENDER_DIGITS));
    i += 2 + TIME_DIGITS + SENDER_DIGITS;
  }
}

function writeDigits(bytes: Uint8Array, at: number, count: number, value: number): void {
  for (let i = at + count - 1; i >= at; i--) {
    bytes[i] = 48 + value % 10;
    value = Math.floor(value / 10);
  }
}

function readDigits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) value = value * 10 + bytes[i]! - 48;
  return value;
}
