/**
 * The write queue: runs the writes of one turn of the event loop in one transaction, and flushes the transactions that
 * wait for the disk together.
 *
 * @module
 */

import { afterReading, type Clock, PlugboardError } from "../../core/mod.ts";
import { concernsFile, failure } from "./failures.ts";
import type { Transaction } from "./sql_types.ts";
import type { Job, Transactions } from "./transactions.ts";

/** What the queue needs. */
export interface WriteQueueParts {
  readonly transactions: Transactions;
  readonly clock: Clock;
  /** Makes what was committed durable; absent if the commit does. */
  readonly flush: (() => Promise<void>) | undefined;
  readonly maxQueuedWrites: number;
  readonly lockTimeoutMs: number;
  /** Called after each group, with the first failure of the file. */
  readonly settled: (failure: PlugboardError | undefined, wrote: boolean) => void;
  /** Called after each commit with the number of its writes and its duration. */
  readonly committed?: ((writes: number, ms: number) => void) | undefined;
}

/** A queue of writes. */
export interface WriteQueue {
  /** Adds a write; resolves when it is durable. */
  add<T>(run: (tx: Transaction) => unknown): Promise<T>;
  /** Runs no more writes until `resume`. */
  pause(): void;
  resume(): void;
  /** Rejects all writes that are not acknowledged yet, and all later ones. */
  fail(error: PlugboardError): void;
  /** Refuses new writes; resolves when all others have ended. */
  end(): Promise<void>;
}

interface QueuedWrite extends Job {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes that shared a transaction. */
interface Group {
  readonly jobs: readonly QueuedWrite[];
  readonly wrote: boolean;
}

/** How long a group may block the event loop. The overhead of a transaction is a thirtieth of that. */
const GROUP_MS = 0.5;

/** How long groups may follow each other before the event loop reads from sockets. */
const MAX_BLOCKING_MS = 10;

/** The delay before a locked file is tried again. */
const RETRY_MS = { first: 2, max: 50 };

/** Makes an empty queue. */
export function writeQueue(parts: WriteQueueParts): WriteQueue {
  const { transactions, clock, flush, maxQueuedWrites, lockTimeoutMs, settled, committed } = parts;
  const waiting: QueuedWrite[] = [];
  /** Whether `turn` will be called, by `setImmediate` or a timer. */
  let scheduled = false;
  /** Groups that have run and will share the next flush, how long they ran, and how long the last flush took. */
  let unflushed: Group[] = [];
  let ranMs = 0;
  let flushMs = 0;
  /** When the event loop last could read from sockets. */
  let readAt = 0;
  let flushing = false;
  let paused = 0;
  let retryMs = RETRY_MS.first;
  /** Since when another process keeps the file locked, as far as was noticed. */
  let lockedSince: number | undefined;
  let failed: PlugboardError | undefined;
  let ended: { promise: Promise<void>; resolve: () => void } | undefined;

  function schedule(): void {
    if (scheduled || paused > 0) return;
    if (waiting.length > 0 || (unflushed.length > 0 && !flushing)) {
      scheduled = true;
      if (performance.now() - readAt < MAX_BLOCKING_MS) setImmediate(turn);
      else afterReading(read);
    } else if (!flushing) ended?.resolve();
  }

  function read(): void {
    readAt = performance.now();
    turn();
  }

  function turn(): void {
    if (paused > 0 || waiting.length === 0) return endTurn();
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
    lockedSince = undefined;
    const again = group.jobs.filter(({ outcome }) => outcome === undefined);
    if (again.length > 0) waiting.unshift(...again);
    finish(group);
    endTurn();
  }

  function endTurn(): void {
    scheduled = false;
    // Flush if no write waits, or if the waiting ones can as well run during the flush.
    if (waiting.length === 0 || paused > 0 || ranMs >= flushMs) flushAll();
    schedule();
  }

  /** Settles a group when it is durable and earlier groups are settled. */
  function finish(group: Group): void {
    if (flush === undefined || !(group.wrote || flushing || unflushed.length > 0)) settle(group);
    else unflushed.push(group);
  }

  function flushAll(): void {
    if (flushing || unflushed.length === 0) return;
    const groups = unflushed;
    unflushed = [];
    ranMs = 0;
    flushing = true;
    const begun = performance.now();
    flush!().catch((thrown) => rejectAll(groups, flushFailure(thrown))).then(() => {
      if (failed !== undefined) rejectAll(groups, failed);
      flushMs = performance.now() - begun;
      flushing = false;
      readAt = performance.now();
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
    settled(problem, wrote);
  }

  /** Lets groups fail that are committed, but may not be durable. */
  function rejectAll(groups: readonly Group[], error: PlugboardError): void {
    for (const job of groups.flatMap(({ jobs }) => jobs)) {
      if (job.outcome !== undefined && "value" in job.outcome) job.outcome = { error };
    }
  }

  /**
   * Handles a transaction that cannot begin. While another process writes, it is retried. The time counts from the
   * beginning of the lock, so that clients whose publications wait in a row do not wait for each one.
   */
  function refuse(thrown: unknown): void {
    const error = failure(thrown);
    const locked = error instanceof PlugboardError && error.code === "database_locked";
    lockedSince ??= clock.monotonicTime();
    if (!locked || clock.monotonicTime() - lockedSince >= lockTimeoutMs) {
      const jobs = waiting.splice(0);
      for (const job of jobs) job.outcome = { error };
      finish({ jobs, wrote: false });
    }
    if (waiting.length === 0) return endTurn();
    flushAll();
    clock.after(retryMs, endTurn);
    retryMs = Math.min(retryMs * 2, RETRY_MS.max);
  }

  return {
    add<T>(run: (tx: Transaction) => unknown) {
      if (failed !== undefined) return Promise.reject(failed);
      if (ended !== undefined) return Promise.reject(new PlugboardError("stopped", "The database is closed"));
      if (waiting.length >= maxQueuedWrites) {
        const sentence = `More than ${maxQueuedWrites} writes wait for the disk`;
        return Promise.reject(new PlugboardError("overloaded", sentence));
      }
      return new Promise<T>((resolve, reject) => {
        if (!scheduled && !flushing) readAt = performance.now();
        waiting.push({ run, alone: false, outcome: undefined, resolve, reject });
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
    fail(error) {
      failed = error;
      const jobs = waiting.splice(0);
      for (const job of jobs) job.outcome = { error };
      finish({ jobs, wrote: false });
      schedule();
    },
    async end() {
      ended ??= Promise.withResolvers<void>();
      schedule();
      await ended.promise;
    },
  };
}

function flushFailure(cause: unknown): PlugboardError {
  return new PlugboardError("disk_error", "The disk failed to flush the database", { cause });
}
