import type { Clock } from "../../core/mod.ts";

/** A clock that tests advance. */
export class FakeClock implements Clock {
  /** The monotonic time. */
  #now = 1_000_000;
  /** How far the wall time is ahead of it. */
  #ahead: number;
  #timers = new Set<{ at: number; every: number | undefined; run: () => void }>();

  constructor(wallTime = 1_700_000_000_000) {
    this.#ahead = wallTime - this.#now;
  }

  wallTime(): number {
    return this.#now + this.#ahead;
  }

  monotonicTime(): number {
    return this.#now;
  }

  /** Somebody sets the clock, forward or back. */
  set(ms: number): void {
    this.#ahead += ms;
  }

  after(ms: number, run: () => void): () => void {
    return this.#add(ms, undefined, run);
  }

  every(ms: number, run: () => void): () => void {
    return this.#add(ms, ms, run);
  }

  /** Advances the time, and calls the due timers in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let due = this.#due(end); due !== undefined; due = this.#due(end)) {
      this.#now = Math.max(this.#now, due.at);
      if (due.every === undefined) this.#timers.delete(due);
      else due.at = this.#now + due.every;
      due.run();
    }
    this.#now = end;
  }

  /** Lets time pass while the event loop is blocked: timers run at the next `advance`. */
  block(ms: number): void {
    this.#now += ms;
  }

  /** The number of timers. */
  get pending(): number {
    return this.#timers.size;
  }

  #add(ms: number, every: number | undefined, run: () => void): () => void {
    const timer = { at: this.#now + ms, every, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  #due(end: number) {
    let first: { at: number; every: number | undefined; run: () => void } | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= end && (first === undefined || timer.at < first.at)) first = timer;
    }
    return first;
  }
}
