/**
 * Doing once what is asked for twice: a backend that got no answer asks again.
 *
 * @module
 */

import type { Clock } from "../../../core/mod.ts";

/** Runs `work` for a key, or gives the result of the run it had not long ago. */
export type Repeats<T> = (key: string, work: () => Promise<T>) => Promise<T>;

/** Remembers results, each for a time, and only so many. What has failed may be tried again. */
export function repeats<T>({ ms, max, clock }: { ms: number; max: number; clock: () => Clock }): Repeats<T> {
  /** Those that ran first at the front. */
  const known = new Map<string, { result: Promise<T>; until: number }>();

  function forgetOld(now: number): void {
    for (const [key, { until }] of known) {
      if (until > now && known.size < max) break;
      known.delete(key);
    }
  }

  return (key, work) => {
    const now = clock().now();
    forgetOld(now);
    const before = known.get(key);
    if (before !== undefined) return before.result;
    const result = work();
    known.set(key, { result, until: now + ms });
    result.catch(() => known.delete(key));
    return result;
  };
}
