import { checkOptions, parseDuration } from "../../core/mod.ts";

/**
 * How many in how much time: `600/1m`, `50/10s`, `10/s`; `off` means no limit.
 *
 * @pattern ^(off|0*[1-9]\d{0,13}/([1-9]\d{0,7})?(ms|s|m|h))$
 * @examples ["600/1m", "off"]
 */
export type Rate = `${number}/${number | ""}${"ms" | "s" | "m" | "h"}` | "off";

/** A parsed rate. */
export interface Pace {
  readonly limit: number;
  readonly windowMs: number;
  /** The time that one costs. */
  readonly eachMs: number;
}

/** Parses a rate; returns `undefined` for `off`. */
export function paceOf(name: string, rate: string): Pace | undefined {
  if (rate === "off") return undefined;
  const [, limit, time, unit] = rate.match(/^(\d{1,15})\/(\d{0,9})(ms|s|m|h)$/) ?? [];
  const windowMs = parseDuration(`${time || 1}${unit}`);
  const valid = Number(limit) > 0 && windowMs > 0;
  checkOptions("rate_limits").that(valid, name, "a rate such as 600/1m or off", rate);
  return { limit: Number(limit), windowMs, eachMs: windowMs / Number(limit) };
}

/** Sums of fractions of milliseconds are not exact. */
const TOLERANCE_MS = 0.001;

/**
 * Spends from a token bucket that is one number: the time at which it is full again (GCRA). The bucket holds a whole
 * window's worth and refills evenly: it allows bursts, and holds a steady stream to the rate.
 *
 * Returns the new number, or the time to wait as a negative number.
 */
export function spend({ eachMs, windowMs }: Pace, fullAt: number, cost: number, now: number): number {
  const next = Math.max(fullAt, now) + cost * eachMs;
  const waitMs = next - now - windowMs;
  return waitMs > TOLERANCE_MS ? -waitMs : next;
}

/** Returns how many are spent. */
export function spent({ eachMs }: Pace, fullAt: number, now: number): number {
  return Math.max(0, fullAt - now) / eachMs;
}
