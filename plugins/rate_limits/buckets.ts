/**
 * Buckets by name: for addresses, channels and whatever else strangers can make many of.
 *
 * @module
 */

import { type Pace, spend, spent } from "./rates.ts";
import { RecentMap } from "./recent_map.ts";

/** A token bucket for each name, within a bounded memory. */
export class Buckets {
  readonly #pace: Pace;
  readonly #fullAt: RecentMap<number>;

  constructor(pace: Pace, maxTracked: number) {
    this.#pace = pace;
    this.#fullAt = new RecentMap(maxTracked);
  }

  /** Spends one; gives 0, or how long to wait. */
  take(name: string, now: number): number {
    const fullAt = this.fullAt(name);
    const next = spend(this.#pace, fullAt, 1, now);
    // Written in any case: who is refused again and again must not be forgotten.
    this.#fullAt.set(name, next < 0 ? fullAt : next);
    return next < 0 ? -next : 0;
  }

  /** How long to wait before one can be spent; 0 if it can. */
  waitMs(name: string, now: number): number {
    return Math.max(0, -spend(this.#pace, this.fullAt(name), 1, now));
  }

  /** How many are spent. */
  spent(name: string, now: number): number {
    return spent(this.#pace, this.fullAt(name), now);
  }

  /** When the bucket is full again. */
  fullAt(name: string): number {
    return this.#fullAt.get(name) ?? 0;
  }
}
