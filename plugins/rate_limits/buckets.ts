import { type Pace, spend, spent } from "./rates.ts";
import { RecentMap } from "./recent_map.ts";

/**
 * A token bucket for each name, with a bound on memory: for addresses, channels and others of which clients can make
 * many.
 */
export class Buckets {
  readonly #pace: Pace;
  readonly #fullAt: RecentMap<number>;

  constructor(pace: Pace, maxTracked: number) {
    this.#pace = pace;
    this.#fullAt = new RecentMap(maxTracked);
  }

  /** Spends one; returns 0, or the time to wait. */
  take(name: string, now: number): number {
    const fullAt = this.fullAt(name);
    const next = spend(this.#pace, fullAt, 1, now);
    // Written in both cases: a name that is refused repeatedly must not be evicted.
    this.#fullAt.set(name, next < 0 ? fullAt : next);
    return next < 0 ? -next : 0;
  }

  /** Returns the time to wait until one can be spent. */
  waitMs(name: string, now: number): number {
    return Math.max(0, -spend(this.#pace, this.fullAt(name), 1, now));
  }

  /** Returns how many are spent. */
  spent(name: string, now: number): number {
    return spent(this.#pace, this.fullAt(name), now);
  }

  /** Returns when the bucket is full again. */
  fullAt(name: string): number {
    return this.#fullAt.get(name) ?? 0;
  }
}
