/**
 * The scheduler: runs queries again after writes, once for a burst of them, and lets no expensive one starve the
 * others.
 *
 * @module
 */

import type { Clock, MaybePromise } from "../../core/mod.ts";
import type { Instance } from "./instance.ts";

/** When to run. */
export interface SchedulerOptions {
  readonly clock: Clock;
  /** How long to wait for more writes after the first. */
  readonly burstMs: number;
  /** Runs an instance; it measures itself, and never fails. */
  readonly run: (instance: Instance) => MaybePromise<void>;
}

/** The event loop is given back after so long, whatever is still to run. */
const TURN_MS = 20;

/** A query may use this part of the time; one that takes 50 ms runs at most every 250 ms. */
const SHARE = 0.2;

/** Instances that are to run, in the order in which they were woken. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #due = new Set<Instance>();
  /** Expensive ones, which rest yet. */
  readonly #resting = new Map<Instance, () => void>();
  /** Those that are being run elsewhere, and whether they were woken meanwhile. */
  readonly #away = new Map<Instance, { again: boolean }>();
  readonly #awaited = new Map<Instance, (() => void)[]>();
  #cancelBurst: (() => void) | undefined;
  #running = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Has instances run soon. */
  wake(instances: Iterable<Instance>): void {
    const { clock, burstMs } = this.#options;
    for (const instance of instances) {
      const away = this.#away.get(instance);
      if (away !== undefined) away.again = true;
      if (away !== undefined || this.#resting.has(instance)) continue;
      const rest = this.#restOf(instance);
      if (rest > 0) this.#resting.set(instance, clock.after(rest, () => this.#rested(instance)));
      else this.#due.add(instance);
    }
    if (this.#due.size > 0 && !this.#running) this.#cancelBurst ??= clock.after(burstMs, () => this.#start());
  }

  /** Runs an instance now if it is to run at all. */
  settle(instance: Instance): void {
    const waiting = this.#resting.get(instance);
    waiting?.();
    this.#resting.delete(instance);
    if (this.#due.delete(instance) || waiting !== undefined) this.#run(instance);
  }

  /** Runs all that are to run. */
  settleAll(): void {
    for (const instance of this.#due) this.settle(instance);
    for (const instance of this.#resting.keys()) this.settle(instance);
  }

  /** Begins to run what waits for the end of a burst. */
  hasten(): void {
    if (this.#due.size === 0 || this.#running) return;
    this.#cancelBurst?.();
    this.#start();
  }

  /** Resolves when an instance has run, if it is to run; an expensive one rests first. */
  async ran(instance: Instance): Promise<void> {
    const away = this.#away.get(instance);
    if (away === undefined && !this.#due.has(instance) && !this.#resting.has(instance)) return;
    await this.#nextRun(instance);
    if (away?.again) await this.#nextRun(instance); // what ended now had begun before it was woken
  }

  /** Forgets an instance. */
  forget(instance: Instance): void {
    this.#due.delete(instance);
    this.#resting.get(instance)?.();
    this.#resting.delete(instance);
    this.#away.delete(instance);
    this.#tell(instance);
  }

  /** Forgets all. */
  stop(): void {
    this.#cancelBurst?.();
    for (const instance of [...this.#due, ...this.#resting.keys(), ...this.#away.keys()]) {
      this.forget(instance);
    }
  }

  #rested(instance: Instance): void {
    this.#resting.delete(instance);
    this.#due.add(instance);
    if (!this.#running) this.#cancelBurst ??= this.#options.clock.after(0, () => this.#start());
  }

  #start(): void {
    this.#cancelBurst = undefined;
    this.#running = true;
    this.#runTurn();
  }

  #runTurn(): void {
    const end = performance.now() + TURN_MS;
    for (const instance of this.#due) {
      this.#due.delete(instance);
      this.#run(instance);
      if (performance.now() > end) break;
    }
    if (this.#due.size > 0) setImmediate(() => this.#runTurn());
    else this.#running = false;
  }

  #run(instance: Instance): void {
    const work = this.#options.run(instance);
    if (!(work instanceof Promise)) return this.#tell(instance);
    const away = { again: false };
    this.#away.set(instance, away);
    work.then(() => {
      if (this.#away.get(instance) !== away) return; // it was forgotten
      this.#away.delete(instance);
      if (away.again) this.wake([instance]);
      this.#tell(instance);
    });
  }

  #nextRun(instance: Instance): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited.set(instance, [...this.#awaited.get(instance) ?? [], resolve]);
    });
  }

  #tell(instance: Instance): void {
    const awaited = this.#awaited.get(instance) ?? [];
    this.#awaited.delete(instance);
    for (const resolve of awaited) resolve();
  }

  /** How long an expensive instance has to rest yet; a cheap one never has to. */
  #restOf({ tookMs, ranAt }: Instance): number {
    if (tookMs < TURN_MS / 4) return 0;
    return ranAt + tookMs / SHARE - this.#options.clock.now();
  }
}
