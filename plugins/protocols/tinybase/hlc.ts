/**
 * Hybrid logical clocks, as TinyBase writes them: 7 characters of time, 4 of a counter, 5 of a client. Their
 * alphabet is in the order of ASCII, so they compare as strings.
 *
 * @module
 */

const ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const TIME_CHARS = 7;
const COUNTED_CHARS = 11;

/** How far ahead of the receiver's clock TinyBase lets a sender's be; what is beyond, it ignores without a word. */
const MAX_AHEAD_MS = 5 * 60 * 1000;

/** Whether a string is a clock; an empty one stands for "before all others". */
export function isHlc(text: unknown): text is string {
  return typeof text === "string" && (text === "" || /^[-0-9A-Z_a-z]{16}$/.test(text));
}

/** The milliseconds since 1970 in a clock. */
export function timeOf(hlc: string): number {
  let time = 0;
  for (let i = 0; i < TIME_CHARS; i++) time = time * 64 + Math.max(0, ALPHABET.indexOf(hlc[i] ?? "-"));
  return time;
}

/** The last clock that TinyBase takes at a time. */
export function latestAt(now: number): string {
  let time = Math.floor(now) + MAX_AHEAD_MS;
  let text = "";
  for (let i = 0; i < TIME_CHARS; i++) {
    text = ALPHABET[time % 64] + text;
    time = Math.floor(time / 64);
  }
  return text.padEnd(16, "z");
}

/** The clock right after another. */
export function after(hlc: string): string {
  const chars = [...hlc];
  for (let i = COUNTED_CHARS - 1; i >= 0; i--) {
    const digit = ALPHABET.indexOf(chars[i]!) + 1;
    chars[i] = ALPHABET[digit % 64]!;
    if (digit < 64) break;
  }
  return chars.join("");
}
