/**
 * Transactions of several writes. A write that fails is undone alone.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { PlugboardError } from "../../core/mod.ts";
import type { Appends } from "./appends.ts";
import { type ChangeFeed, numberReader } from "./change_feed.ts";
import { failure, translated } from "./failures.ts";
import type { Transaction } from "./sql_types.ts";
import type { Statements } from "./statements.ts";
import { Handle, invalidate, synchronous, type TransactionParts } from "./transaction.ts";

/** A write that waits for its transaction. */
export interface Job {
  readonly run: (tx: Transaction) => unknown;
  /** Whether it must run in a transaction of its own, because a shared one failed. */
  alone: boolean;
  /** How it ended; `undefined` before it has run, and when it must run again. */
  outcome: { readonly value: unknown } | { readonly error: unknown } | undefined;
}

/** The result of a group of jobs. */
export interface Group {
  /** How many of the jobs have run. */
  readonly taken: number;
  /** Whether something was committed that must be flushed. */
  readonly wrote: boolean;
}

/** Runs groups of jobs. */
export interface Transactions {
  /**
   * Runs as many of the jobs as `maxMs` allow in one transaction, commits it and sets their outcomes. Throws if the
   * transaction cannot begin; then no job has run.
   */
  run(jobs: readonly Job[], maxMs: number): Group;
}

/**
 * A savepoint for each job costs a third of the time, since SQLite then saves pages for each of them. So there are none
 * until a job fails after it has written. Then the transaction is rolled back and run again with savepoints, and so are
 * this many groups after it.
 */
const GROUPS_WITH_SAVEPOINTS = 64;

/** The clock is read after this many jobs, since reading it costs a twentieth of a small job. */
const TIMED_JOBS = 4;

/** Runs transactions on `native`. */
export function transactions(
  native: DatabaseSync,
  statements: Statements,
  feed: ChangeFeed,
  appends: Appends,
): Transactions {
  const sql = {
    begin: native.prepare("BEGIN IMMEDIATE"),
    commit: native.prepare("COMMIT"),
    rollback: native.prepare("ROLLBACK"),
    save: native.prepare("SAVEPOINT plugboard"),
    release: native.prepare("RELEASE plugboard"),
    undo: native.prepare("ROLLBACK TO plugboard"),
  };
  const parts: TransactionParts = {
    native,
    statements,
    feed,
    appends,
    sql,
    definedSchema: false,
    invalid: new Set(),
  };
  const dataVersion = numberReader(native, "PRAGMA data_version");
  let version = -1;
  let groupsWithSavepoints = 0;

  function rollback(): void {
    // After some failures, such as a full disk, SQLite has rolled back already.
    if (native.isTransaction) sql.rollback.run();
    appends.clear();
    feed.discard();
    invalidate(parts);
  }

  /** Another process has written since the last transaction, or this is the first. */
  function checkOutside(): void {
    const current = dataVersion();
    if (current !== version) invalidate(parts);
    version = current;
  }

  /** Lets the successful jobs run again, each in a transaction of its own. */
  function runAlone(jobs: readonly Job[]): void {
    for (const job of jobs) {
      if (succeeded(job)) Object.assign(job, { outcome: undefined, alone: true });
    }
  }

  function attempt(job: Job, saving: boolean, gathering: boolean): Handle {
    const tx = new Handle(parts, saving, gathering);
    try {
      const value = synchronous(job.run(tx));
      tx.keep();
      job.outcome = { value };
    } catch (thrown) {
      job.outcome = { error: failure(thrown) };
      tx.undo();
    }
    tx.over = true;
    return tx;
  }

  /** Rolls back because of the last of these jobs. `lost` means that SQLite has rolled back by itself. */
  function undone(jobs: readonly Job[], alone: boolean, lost: boolean): Group {
    rollback();
    if (lost) runAlone(jobs);
    else if (!alone) {
      groupsWithSavepoints = GROUPS_WITH_SAVEPOINTS;
      for (const job of jobs) job.outcome = undefined;
    }
    return { taken: jobs.length, wrote: false };
  }

  /** Rolls back because rows could not be inserted. Whose they are will be seen when each job runs alone. */
  function unappended(jobs: readonly Job[]): Group {
    rollback();
    for (const job of jobs) Object.assign(job, { outcome: undefined, alone: true });
    return { taken: jobs.length, wrote: false };
  }

  function commit(jobs: readonly Job[]): boolean {
    let changes;
    try {
      appends.flush();
      changes = feed.collect();
      sql.commit.run();
    } catch (thrown) {
      const { failed } = appends;
      rollback();
      const error = failure(thrown);
      const deferred = error instanceof PlugboardError && error.code === "constraint";
      if ((failed || deferred) && jobs.filter(succeeded).length > 1) runAlone(jobs);
      else for (const job of jobs) if (succeeded(job)) job.outcome = { error };
      return false;
    }
    feed.publish(changes);
    return true;
  }

  return {
    run(jobs, maxMs) {
      if (native.isTransaction) rollback(); // an earlier one whose end failed
      translated(() => sql.begin.run());
      feed.begun();
      if (parts.invalid.size > 0) checkOutside();
      parts.definedSchema = false;
      const deadline = performance.now() + maxMs;
      const alone = jobs.length === 1 || jobs[0]!.alone;
      const saving = !alone && groupsWithSavepoints > 0;
      if (saving) groupsWithSavepoints--;
      let taken = 0;
      let wrote = false;
      do {
        const job = jobs[taken++]!;
        const tx = attempt(job, saving, !alone && !saving);
        wrote ||= tx.wrote;
        if (appends.failed) return unappended(jobs.slice(0, taken));
        const lost = !native.isTransaction;
        if (lost || (tx.wrote && !saving && !succeeded(job))) {
          return undone(jobs.slice(0, taken), alone, lost);
        }
        if (taken % TIMED_JOBS === 0 && performance.now() >= deadline) break;
      } while (!alone && taken < jobs.length && !jobs[taken]!.alone);
      return { taken, wrote: commit(jobs.slice(0, taken)) && wrote };
    },
  };
}

function succeeded({ outcome }: Job): boolean {
  return outcome !== undefined && "value" in outcome;
}
