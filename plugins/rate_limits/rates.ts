/**
 * Rates: how much of something in how much time.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** So many in so much time: `600/1m`, `50/10s`, `10/s`; `off` for no limit. */
export type Rate = `${number}/${number | ""}${"ms" | "s" | "m" | "h"}` | "off";

/** A rate, ready for counting. */
export interface Pace {
  readonly limit: number;
  readonly windowMs: number;
  /** What one costs, in time. */
  readonly eachMs: number;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Reads a rate; nothing for `off`. */
export function paceOf(name: string, rate: string): Pace | undefined {
  if (rate === "off") return undefined;
  const [, limit, time, unit = ""] = rate.match(/^(\d{1,15})\/(\d{0,9})(ms|s|m|h)$/) ?? [];
  const windowMs = Number(time || 1) * (UNITS[unit] ?? 0);
  if (Number(limit) > 0 && windowMs > 0) {
    return { limit: Number(limit), windowMs, eachMs: windowMs / Number(limit) };
  }
  throw new PlugboardError(
    "bad_option",
    `Cannot start rate_limits: "${name}" must be a rate such as 600/1m or off, got ${JSON.stringify(rate)}`,
  );
}

/**
 * A token bucket in one number: the time at which it will be full again. It holds a whole window's worth and fills
 * evenly, so that a burst is fine and a steady stream is held to the rate. (Known as GCRA.)
 *
 * Gives the new number, or how long to wait, negative.
 */
export function spend({ eachMs, windowMs }: Pace, fullAt: number, cost: number, now: number): number {
  const next = Math.max(fullAt, now) + cost * eachMs;
  const waitMs = next - now - windowMs;
  return waitMs > 0 ? -waitMs : next;
}

/** How many are spent now. */
export function spent({ eachMs }: Pace, fullAt: number, now: number): number {
  return Math.max(0, fullAt - now) / eachMs;
}
