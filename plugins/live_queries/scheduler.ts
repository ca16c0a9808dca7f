/**
 * The scheduler: runs jobs some time after they are woken, once for a burst of wakes. An expensive job does not delay
 * the others.
 *
 * @module
 */

import { afterReading, type Clock, type MaybePromise } from "../../core/mod.ts";

/** The cost of a job's latest run. */
export interface Job {
  /** In milliseconds. */
  readonly tookMs: number;
  /** When it ended. */
  readonly ranAt: number;
}

/** Options of a {@linkcode Scheduler}. */
export interface SchedulerOptions<J extends Job> {
  readonly clock: Clock;
  /** How long to wait for more wakes after the first. */
  readonly burstMs: number;
  /** Runs a job. Must not throw, and sets the job's cost. */
  readonly run: (job: J) => MaybePromise<void>;
}

/** Runs yield to the event loop after this time. */
const SLICE_MS = 10;

/** A run of this time or longer is expensive. */
const EXPENSIVE_MS = 5;

/** An expensive job may use this share of the time: one that takes 50 ms runs at most every 250 ms. */
const MAX_SHARE = 0.2;

/** One run of a job. All wakes before it starts share it. */
export class Run {
  #over = false;
  #waiting: PromiseWithResolvers<void> | undefined;

  /** Resolves when the run has ended or was cancelled; `undefined` if that is the case already. */
  get ended(): Promise<void> | undefined {
    if (this.#over) return undefined;
    return (this.#waiting ??= Promise.withResolvers<void>()).promise;
  }

  end(): void {
    this.#over = true;
    this.#waiting?.resolve();
  }
}

/** Woken jobs, in the order of their wakes. */
export class Scheduler<J extends Job> {
  readonly #options: SchedulerOptions<J>;
  /** Runs that have not started; their jobs are in `#due`, in `#resting` or in `#running`. */
  readonly #next = new Map<J, Run>();
  readonly #due = new Set<J>();
  /** Expensive jobs and the timers that end their rest. */
  readonly #resting = new Map<J, () => void>();
  /** Runs that have returned a promise. */
  readonly #running = new Map<J, Run>();
  #cancelBurst: (() => void) | undefined;
  #slicing = false;
  #cancelSlice: (() => void) | undefined;

  constructor(options: SchedulerOptions<J>) {
    this.#options = options;
  }

  /** Returns the run that takes the wake into account. */
  wake(job: J): Run {
    const next = this.#next.get(job);
    if (next !== undefined) return next;
    const run = new Run();
    this.#next.set(job, run);
    if (!this.#running.has(job)) this.#queue(job); // else when it has ended
    return run;
  }

  /** Returns the latest run of a job that has not ended. */
  pending(job: J): Run | undefined {
    return this.#next.get(job) ?? this.#running.get(job);
  }

  /** Starts a job's run now, if it has one to start. */
  settle(job: J): void {
    if (this.#next.has(job) && !this.#running.has(job)) this.#start(job);
  }

  /** Starts all runs. */
  settleAll(): void {
    for (const job of this.#next.keys()) this.settle(job);
  }

  /** Ends the wait for more wakes. Expensive jobs keep resting. */
  hasten(): void {
    if (this.#due.size > 0 && !this.#slicing) this.#startSlices();
  }

  /** Cancels all runs of a job. */
  cancel(job: J): void {
    this.#unqueue(job);
    for (const runs of [this.#next, this.#running]) {
      runs.get(job)?.end();
      runs.delete(job);
    }
  }

  /** Cancels all runs. */
  stop(): void {
    this.#cancelBurst?.();
    this.#cancelSlice?.();
    for (const job of [...this.#next.keys(), ...this.#running.keys()]) this.cancel(job);
  }

  #queue(job: J): void {
    const { clock, burstMs } = this.#options;
    const restMs = this.#restMs(job);
    if (restMs > 0) {
      this.#resting.set(job, clock.after(restMs, () => this.#rested(job)));
      return;
    }
    this.#due.add(job);
    this.#startSoon(burstMs);
  }

  #rested(job: J): void {
    this.#resting.delete(job);
    this.#due.add(job);
    this.#startSoon(0);
  }

  #unqueue(job: J): void {
    this.#due.delete(job);
    this.#resting.get(job)?.();
    this.#resting.delete(job);
  }

  #startSoon(ms: number): void {
    if (!this.#slicing) this.#cancelBurst ??= this.#options.clock.after(ms, () => this.#startSlices());
  }

  #startSlices(): void {
    this.#cancelBurst?.();
    this.#cancelBurst = undefined;
    this.#slicing = true;
    this.#runSlice();
  }

  #runSlice(): void {
    const deadline = performance.now() + SLICE_MS;
    for (const job of this.#due) {
      this.#start(job);
      if (performance.now() > deadline) break;
    }
    if (this.#due.size > 0) this.#cancelSlice = afterReading(() => this.#runSlice());
    else this.#slicing = false;
  }

  #start(job: J): void {
    this.#unqueue(job);
    const run = this.#next.get(job)!;
    this.#next.delete(job);
    const work = this.#options.run(job);
    if (!(work instanceof Promise)) return run.end();
    this.#running.set(job, run);
    work.then(() => {
      if (this.#running.get(job) !== run) return; // cancelled
      this.#running.delete(job);
      if (this.#next.has(job)) this.#queue(job);
      run.end();
    });
  }

  /** The remaining rest of an expensive job; a cheap one has none. */
  #restMs({ tookMs, ranAt }: J): number {
    if (tookMs < EXPENSIVE_MS) return 0;
    return ranAt + tookMs / MAX_SHARE - this.#options.clock.monotonicTime();
  }
}
