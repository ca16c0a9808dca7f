/**
 * The scheduler: runs queries again after writes, once for a burst of them, and lets no expensive one starve the
 * others.
 *
 * @module
 */

import type { Clock } from "../../core/mod.ts";
import type { Instance } from "./instance.ts";

/** When to run. */
export interface SchedulerOptions {
  readonly clock: Clock;
  /** How long to wait for more writes after the first. */
  readonly burstMs: number;
  /** Runs an instance; it measures itself. */
  readonly run: (instance: Instance) => void;
}

/** The event loop is given back after so long, whatever is still to run. */
const TURN_MS = 20;

/** A query may use this part of the time; one that takes 50 ms runs at most every 250 ms. */
const SHARE = 0.2;

/** Instances that are to run, in the order in which they were woken. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #due = new Set<Instance>();
  readonly #later = new Map<Instance, () => void>();
  #cancelBurst: (() => void) | undefined;
  #running = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Has instances run soon. */
  wake(instances: Iterable<Instance>): void {
    for (const instance of instances) {
      if (this.#later.has(instance)) continue;
      const rest = this.#restOf(instance);
      if (rest > 0) this.#later.set(instance, this.#options.clock.after(rest, () => this.#ready(instance)));
      else this.#due.add(instance);
    }
    if (this.#due.size > 0 && !this.#running) {
      this.#cancelBurst ??= this.#options.clock.after(this.#options.burstMs, () => this.#start());
    }
  }

  /** Runs an instance now if it is to run at all. */
  settle(instance: Instance): void {
    const waiting = this.#later.get(instance);
    waiting?.();
    this.#later.delete(instance);
    if (this.#due.delete(instance) || waiting !== undefined) this.#options.run(instance);
  }

  /** Runs all that are to run. */
  settleAll(): void {
    for (const instance of this.#due) this.settle(instance);
    for (const instance of this.#later.keys()) this.settle(instance);
  }

  /** Forgets an instance. */
  forget(instance: Instance): void {
    this.#due.delete(instance);
    this.#later.get(instance)?.();
    this.#later.delete(instance);
  }

  /** Forgets all. */
  stop(): void {
    this.#cancelBurst?.();
    for (const cancel of this.#later.values()) cancel();
    this.#due.clear();
    this.#later.clear();
  }

  #ready(instance: Instance): void {
    this.#later.delete(instance);
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
      this.#options.run(instance);
      if (performance.now() > end) break;
    }
    if (this.#due.size > 0) setImmediate(() => this.#runTurn());
    else this.#running = false;
  }

  /** How long an expensive instance has to rest yet; a cheap one never has to. */
  #restOf({ tookMs, ranAt }: Instance): number {
    if (tookMs < TURN_MS / 4) return 0;
    return ranAt + tookMs / SHARE - this.#options.clock.now();
  }
}
