/**
 * The write queue: gathers the writes of a turn, and those that come while the disk is busy, into one transaction.
 *
 * @module
 */

import { type Clock, PlugboardError } from "../../core/mod.ts";
import { concernsFile, failure } from "./failures.ts";
import type { Job, Transactions } from "./transactions.ts";
import type { Transaction } from "./types.ts";

/** What the queue needs. */
export interface WriteQueueParts {
  readonly transactions: Transactions;
  readonly clock: Clock;
  /** Makes what was committed durable; absent where the commit itself suffices. */
  readonly flush: (() => Promise<void>) | undefined;
  readonly maxQueuedWrites: number;
  readonly lockTimeoutMs: number;
  /** Told after each group: the first failure that concerns the file, or none. */
  readonly told: (failure: PlugboardError | undefined, wrote: boolean) => void;
  /** Told of each commit: how many writes shared it, and how long it took. */
  readonly committed?: ((writes: number, ms: number) => void) | undefined;
}

/** Waiting writes. */
export interface WriteQueue {
  /** Adds a write; resolves when it is durable. */
  add<T>(run: (tx: Transaction) => unknown): Promise<T>;
  /** Lets nothing begin until `resume`. */
  pause(): void;
  resume(): void;
  /** Takes no more; resolves when all that was taken has ended. */
  end(): Promise<void>;
}

interface Waiting extends Job {
  readonly since: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** A group may hold the event loop for this long. */
const GROUP_MS = 4;

/** How long to wait before trying a locked file again, at first and at most. */
const RETRY_MS = { first: 2, most: 50 };

/** Makes an empty queue. */
export function writeQueue(parts: WriteQueueParts): WriteQueue {
  const { transactions, clock, flush, maxQueuedWrites, lockTimeoutMs, told, committed } = parts;
  let waiting: Waiting[] = [];
  /** Something will call `turn`: the end of this turn, a flush, or a timer. */
  let scheduled = false;
  let paused = 0;
  let retryMs = RETRY_MS.first;
  let ended: { promise: Promise<void>; resolve: () => void } | undefined;

  function schedule(): void {
    if (scheduled || paused > 0) return;
    if (waiting.length === 0) return ended?.resolve();
    scheduled = true;
    setImmediate(turn);
  }

  function turn(): void {
    if (paused > 0) return turnOver();
    let taken: Waiting[];
    let wrote: boolean;
    const begun = performance.now();
    try {
      const group = transactions.run(waiting, GROUP_MS);
      taken = waiting.splice(0, group.taken);
      wrote = group.wrote;
      if (wrote) committed?.(group.taken, performance.now() - begun);
    } catch (thrown) {
      return refuse(thrown);
    }
    retryMs = RETRY_MS.first;
    const again = taken.filter(({ outcome }) => outcome === undefined);
    if (again.length > 0) waiting.unshift(...again);
    if (wrote && flush !== undefined) flush().then(() => settle(taken, wrote), (error) => fail(taken, error));
    else settle(taken, wrote);
  }

  function settle(jobs: readonly Waiting[], wrote: boolean): void {
    let problem: PlugboardError | undefined;
    for (const { outcome, resolve, reject } of jobs) {
      if (outcome === undefined) continue;
      if ("value" in outcome) {
        resolve(outcome.value as never);
      } else {
        if (concernsFile(outcome.error)) problem ??= outcome.error;
        reject(outcome.error);
      }
    }
    told(problem, wrote);
    turnOver();
  }

  /** The group is committed, but nobody knows whether it would survive. */
  function fail(jobs: readonly Waiting[], thrown: unknown): void {
    const error = new PlugboardError("disk_error", "The disk failed to flush the database", {
      cause: thrown,
    });
    for (const job of jobs) if (job.outcome !== undefined && "value" in job.outcome) job.outcome = { error };
    settle(jobs, false);
  }

  /** No transaction can begin. Another process that writes is waited for. */
  function refuse(thrown: unknown): void {
    const error = failure(thrown);
    const locked = error instanceof PlugboardError && error.code === "database_locked";
    const oldest = locked ? clock.now() - lockTimeoutMs : Infinity;
    const refused = waiting.filter(({ since }) => since <= oldest);
    waiting = waiting.filter(({ since }) => since > oldest);
    for (const job of refused) job.outcome = { error };
    if (waiting.length === 0) return settle(refused, false);
    for (const { reject } of refused) reject(error);
    if (refused.length > 0) told(error as PlugboardError, false);
    clock.after(retryMs, turnOver);
    retryMs = Math.min(retryMs * 2, RETRY_MS.most);
  }

  function turnOver(): void {
    scheduled = false;
    schedule();
  }

  return {
    add<T>(run: (tx: Transaction) => unknown) {
      if (ended !== undefined) return Promise.reject(new PlugboardError("stopped", "The database is closed"));
      if (waiting.length >= maxQueuedWrites) {
        const sentence = `More than ${maxQueuedWrites} writes wait for the disk`;
        return Promise.reject(new PlugboardError("overloaded", sentence));
      }
      return new Promise<T>((resolve, reject) => {
        waiting.push({ run, alone: false, outcome: undefined, since: clock.now(), resolve, reject });
        schedule();
      });
    },
    pause() {
      paused++;
    },
    resume() {
      paused--;
      schedule();
    },
    async end() {
      ended ??= Promise.withResolvers<void>();
      schedule();
      await ended.promise;
    },
  };
}
