/**
 * Hybrid logical clocks in TinyBase's format: 7 characters of time, 4 of a counter, 5 of a client id. The alphabet is
 * in ASCII order, so that they compare as strings.
 *
 * @module
 */

const ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const TIME_CHARS = 7;
const COUNTED_CHARS = 11;

/** TinyBase silently ignores changes from clocks that are further ahead. */
const MAX_AHEAD_MS = 5 * 60 * 1000;

/** Whether a value is a clock. The empty string is before all others. */
export function isHlc(text: unknown): text is string {
  return typeof text === "string" && (text === "" || /^[-0-9A-Z_a-z]{16}$/.test(text));
}

/** Returns the time of a clock in milliseconds since 1970. */
export function timeOf(hlc: string): number {
  let time = 0;
  for (let i = 0; i < TIME_CHARS; i++) time = time * 64 + Math.max(0, ALPHABET.indexOf(hlc[i] ?? "-"));
  return time;
}

/** Returns the latest clock that TinyBase accepts at a time. */
export function latestAllowedHlc(now: number): string {
  let time = Math.floor(now) + MAX_AHEAD_MS;
  let text = "";
  for (let i = 0; i < TIME_CHARS; i++) {
    text = ALPHABET[time % 64] + text;
    time = Math.floor(time / 64);
  }
  return text.padEnd(16, "z");
}

/** Returns the next clock, with the same client id. */
export function nextHlc(hlc: string): string {
  const chars = [...hlc];
  for (let i = COUNTED_CHARS - 1; i >= 0; i--) {
    const digit = ALPHABET.indexOf(chars[i]!) + 1;
    chars[i] = ALPHABET[digit % 64]!;
    if (digit < 64) break;
  }
  return chars.join("");
}
