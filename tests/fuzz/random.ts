/**
 * Random values from a seed, so that a failing run can be repeated.
 *
 * @module
 */

/** Texts that parsers, path matchers and encoders get wrong. */
const NASTY: readonly string[] = [
  "",
  " ",
  "\0",
  "\n",
  "\r\n",
  "\u2028",
  "\ud800",
  "é".normalize("NFD"),
  "__proto__",
  "constructor",
  "toString",
  "null",
  "NaN",
  "1e400",
  "-0",
  "12345678901234567890",
  "../../etc/passwd",
  "%2e%2e%2f",
  "%00",
  "<script>alert(1)</script>",
  "' OR 1=1 --",
  "$private:a",
  "user#eve",
  "live:home.ideas",
  "live:sql?sql=SELECT+1",
  "x".repeat(300),
  "😀".repeat(80),
];

/** A seeded generator (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 up to, and without, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ bits >>> 15, bits | 1);
    bits ^= bits + Math.imul(bits ^ bits >>> 7, bits | 61);
    return ((bits ^ bits >>> 14) >>> 0) / 2 ** 32;
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** True in `share` of all cases. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of the values. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** Up to `max` random bytes. */
  bytes(max: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: this.below(max + 1) }, () => this.below(256));
  }

  /** A short text, often a hostile one. */
  text(): string {
    if (this.chance(0.6)) return this.pick(NASTY);
    return Array.from({ length: this.below(12) }, () => String.fromCharCode(this.below(0x2ff))).join("");
  }

  /** Any JSON value. */
  value(depth = 0): unknown {
    const kind = this.below(depth > 4 ? 6 : 9);
    if (kind === 0) return null;
    if (kind === 1) return this.chance(0.5);
    if (kind === 2) return this.below(10);
    if (kind === 3) return this.pick([-1, 0.5, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308]);
    if (kind < 6) return this.text();
    if (kind === 6) return Array.from({ length: this.below(4) }, () => this.value(depth + 1));
    const entries = Array.from({ length: this.below(4) }, () => [this.text(), this.value(depth + 1)]);
    return Object.fromEntries(entries);
  }
}
