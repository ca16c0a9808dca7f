import type { Clock } from "../../core/mod.ts";

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  #now: number;
  #timers = new Set<{ at: number; every: number | undefined; run: () => void }>();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    return this.#add(ms, undefined, run);
  }

  every(ms: number, run: () => void): () => void {
    return this.#add(ms, ms, run);
  }

  /** Moves time forward, and calls what falls due on the way, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let due = this.#due(end); due !== undefined; due = this.#due(end)) {
      this.#now = Math.max(this.#now, due.at);
      if (due.every === undefined) this.#timers.delete(due);
      else due.at += due.every;
      due.run();
    }
    this.#now = end;
  }

  /** Lets time pass unnoticed, as it does while the event loop is blocked: timers find out when it moves again. */
  block(ms: number): void {
    this.#now += ms;
  }

  /** How many timers are set. */
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
