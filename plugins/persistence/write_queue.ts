/**
 * The write queue: gathers the writes of a turn into one transaction, and the transactions that come while the disk is
 * busy into one flush.
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

/** Writes that have shared a transaction. */
interface Group {
  readonly jobs: readonly Waiting[];
  readonly wrote: boolean;
}

/** A group may hold the event loop for this long. A transaction of its own costs a thirtieth of that. */
const GROUP_MS = 0.5;

/** How long to wait before trying a locked file again, at first and at most. */
const RETRY_MS = { first: 2, most: 50 };

/** Makes an empty queue. */
export function writeQueue(parts: WriteQueueParts): WriteQueue {
  const { transactions, clock, flush, maxQueuedWrites, lockTimeoutMs, told, committed } = parts;
  let waiting: Waiting[] = [];
  /** Something will call `turn`: the end of this turn, or a timer. */
  let scheduled = false;
  /** Groups that have run and wait for the next flush, which they share; how long they ran, and the last flush took. */
  let unflushed: Group[] = [];
  let ranMs = 0;
  let flushMs = 0;
  let flushing = false;
  let paused = 0;
  let retryMs = RETRY_MS.first;
  let ended: { promise: Promise<void>; resolve: () => void } | undefined;

  function schedule(): void {
    if (scheduled || paused > 0) return;
    if (waiting.length > 0 || (unflushed.length > 0 && !flushing)) {
      scheduled = true;
      setImmediate(turn);
    } else if (!flushing) ended?.resolve();
  }

  function turn(): void {
    if (paused > 0 || waiting.length === 0) return turnOver();
    let group: Group;
    const begun = performance.now();
    try {
      const { taken, wrote } = transactions.run(waiting, GROUP_MS);
      group = { jobs: waiting.splice(0, taken), wrote };
    } catch (thrown) {
      return refuse(thrown);
    }
    const ms = performance.now() - begun;
    if (group.wrote) committed?.(group.jobs.length, ms);
    ranMs += ms;
    retryMs = RETRY_MS.first;
    const again = group.jobs.filter(({ outcome }) => outcome === undefined);
    if (again.length > 0) waiting.unshift(...again);
    finish(group);
    turnOver();
  }

  function turnOver(): void {
    scheduled = false;
    // Nobody else to wait for; or they would take longer than the disk, and can run while that is busy.
    if (waiting.length === 0 || paused > 0 || ranMs >= flushMs) flushAll();
    schedule();
  }

  /** Settles a group when it is durable and those before it have been settled. */
  function finish(group: Group): void {
    const settled = flush === undefined || !(group.wrote || flushing || unflushed.length > 0);
    if (settled) settle(group);
    else unflushed.push(group);
  }

  function flushAll(): void {
    if (flushing || unflushed.length === 0) return;
    const groups = unflushed;
    unflushed = [];
    ranMs = 0;
    flushing = true;
    const begun = performance.now();
    flush!().catch((thrown) => fail(groups, thrown)).then(() => {
      flushMs = performance.now() - begun;
      flushing = false;
      groups.forEach(settle);
      if (paused > 0) flushAll();
      else schedule();
    });
  }

  function settle({ jobs, wrote }: Group): void {
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
  }

  /** The groups are committed, but nobody knows whether they would survive. */
  function fail(groups: readonly Group[], thrown: unknown): void {
    const error = new PlugboardError("disk_error", "The disk failed to flush the database", {
      cause: thrown,
    });
    for (const job of groups.flatMap(({ jobs }) => jobs)) {
      if (job.outcome !== undefined && "value" in job.outcome) job.outcome = { error };
    }
  }

  /** No transaction can begin. Another process that writes is waited for. */
  function refuse(thrown: unknown): void {
    const error = failure(thrown);
    const locked = error instanceof PlugboardError && error.code === "database_locked";
    const oldest = locked ? clock.now() - lockTimeoutMs : Infinity;
    const refused = waiting.filter(({ since }) => since <= oldest);
    waiting = waiting.filter(({ since }) => since > oldest);
    for (const job of refused) job.outcome = { error };
    if (refused.length > 0) finish({ jobs: refused, wrote: false });
    if (waiting.length === 0) return turnOver();
    flushAll();
    clock.after(retryMs, turnOver);
    retryMs = Math.min(retryMs * 2, RETRY_MS.most);
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
