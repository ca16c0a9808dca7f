/**
 * Two clocks: the wall clock decides when a moment (`at`, `every`) has come. A delay does not change when that is set.
 *
 * @module
 */

import type { Clock } from "../../core/mod.ts";

/** How far the wall clock has to leap to count as set. It is slewed by less. */
const LEAP_MS = 1_000;

/** The time of the schedule. */
export class Times {
  readonly #clock: Clock;
  /** How far the wall clock was set in total, forward or back, since the first start. */
  #skew: number;
  /** The steady time is this far ahead of the monotonic time. */
  readonly #ahead: number;

  /** `skew` is what an earlier process has found. */
  constructor(clock: Clock, skew: number) {
    this.#clock = clock;
    this.#skew = skew;
    this.#ahead = clock.wallTime() - skew - clock.monotonicTime();
  }

  /** Milliseconds since 1970 by the wall clock. */
  get wall(): number {
    return this.#clock.wallTime();
  }

  /** Milliseconds by a clock that is never set. It goes on after a restart. */
  get steady(): number {
    return this.#clock.monotonicTime() + this.#ahead;
  }

  /** How far the wall clock is ahead of the steady one. */
  get skew(): number {
    return this.#skew;
  }

  /** Looks whether the wall clock was set since the last call; returns by how much. */
  leap(): number {
    const skew = this.wall - this.steady;
    const leap = skew - this.#skew;
    if (Math.abs(leap) < LEAP_MS) return 0;
    this.#skew = Math.round(skew);
    return leap;
  }
}
