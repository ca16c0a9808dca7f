/**
 * Transactions: several writes in one, each undone alone when it fails.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { PlugboardError } from "../../core/mod.ts";
import type { ChangeFeed } from "./change_feed.ts";
import { failure, translated } from "./failures.ts";
import type { Statement, Statements } from "./statements.ts";
import type { Params, ReadOptions, Sync, Transaction, WriteResult } from "./types.ts";

/** One write that waits for its transaction. */
export interface Job {
  readonly run: (tx: Transaction) => unknown;
  /** Must have a transaction to itself: a common one was lost with it. */
  alone: boolean;
  /** How it ended; none before it has run, and none again when it must be run once more. */
  outcome: { readonly value: unknown } | { readonly error: unknown } | undefined;
}

/** What became of a group of jobs. */
export interface Group {
  /** How many of them were run, from the first on. */
  readonly taken: number;
  /** Whether something was committed that must be made durable. */
  readonly wrote: boolean;
}

/** Runs groups of jobs. */
export interface Transactions {
  /**
   * Runs about as many of the jobs as `maxMs` allow in a transaction and commits it; sets their outcomes.
   * Throws, with no job run, if the transaction cannot begin.
   */
  run(jobs: readonly Job[], maxMs: number): Group;
}

/**
 * A savepoint for each job costs a third of the time, since SQLite then keeps the pages as they were before each. So
 * there are none until a job fails that has written something: the transaction is rolled back and run again,
 * and for this many groups each job gets a savepoint. Where failures are usual, it stays at that.
 */
const CAREFUL_GROUPS = 64;

/** How often to look at the clock: each look costs a twentieth of a small job. */
const TIMED_JOBS = 4;

/** Runs transactions on `native`. */
export function transactions(native: DatabaseSync, statements: Statements, feed: ChangeFeed): Transactions {
  const sql = {
    begin: native.prepare("BEGIN IMMEDIATE"),
    commit: native.prepare("COMMIT"),
    rollback: native.prepare("ROLLBACK"),
    save: native.prepare("SAVEPOINT plugboard"),
    release: native.prepare("RELEASE plugboard"),
    undo: native.prepare("ROLLBACK TO plugboard"),
  };
  const work: Work = { native, statements, feed, sql, defined: false };
  /** In how many groups yet each job gets a savepoint. */
  let careful = 0;

  function rollback(): void {
    // Some failures, like a full disk, have SQLite roll back by itself.
    if (native.isTransaction) sql.rollback.run();
    feed.discard();
  }

  /** Has the successful ones run again, each in a transaction of its own. */
  function again(jobs: readonly Job[]): void {
    for (const job of jobs) {
      if (succeeded(job)) Object.assign(job, { outcome: undefined, alone: true });
    }
  }

  function attempt(job: Job, saving: boolean): Handle {
    const tx = new Handle(work, saving);
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

  /** The transaction is gone, or has to go, because of the last of these jobs. */
  function undone(jobs: readonly Job[], alone: boolean, lost: boolean): Group {
    rollback();
    if (lost) again(jobs);
    else if (!alone) {
      careful = CAREFUL_GROUPS;
      for (const job of jobs) job.outcome = undefined;
    }
    return { taken: jobs.length, wrote: false };
  }

  function commit(jobs: readonly Job[]): boolean {
    let changes;
    try {
      changes = feed.collect();
      sql.commit.run();
    } catch (thrown) {
      rollback();
      const error = failure(thrown);
      const deferred = error instanceof PlugboardError && error.code === "constraint";
      if (deferred && jobs.filter(succeeded).length > 1) again(jobs);
      else for (const job of jobs) if (succeeded(job)) job.outcome = { error };
      return false;
    }
    feed.tell(changes);
    return true;
  }

  return {
    run(jobs, maxMs) {
      if (native.isTransaction) rollback(); // one whose end failed
      translated(() => sql.begin.run());
      feed.begun();
      work.defined = false;
      const deadline = performance.now() + maxMs;
      const alone = jobs.length === 1 || jobs[0]!.alone;
      const saving = !alone && careful > 0;
      if (saving) careful--;
      let taken = 0;
      let wrote = false;
      do {
        const job = jobs[taken++]!;
        const tx = attempt(job, saving);
        wrote ||= tx.wrote;
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

/** What the transactions of a database share. */
interface Work {
  readonly native: DatabaseSync;
  readonly statements: Statements;
  readonly feed: ChangeFeed;
  readonly sql: Readonly<Record<"save" | "release" | "undo", { run(): unknown }>>;
  /** Whether the schema was changed in this transaction, be it undone since. */
  defined: boolean;
}

/** The transaction as one job sees it; with `saving`, a savepoint is set before its first write. */
class Handle implements Transaction {
  readonly #work: Work;
  readonly #saving: boolean;
  #saved = false;
  wrote = false;
  over = false;

  constructor(work: Work, saving: boolean) {
    this.#work = work;
    this.#saving = saving;
  }

  get commit(): object {
    return this.#work.feed.commit;
  }

  all<R extends object>(sql: string, params?: Params, options?: ReadOptions): R[] {
    return this.#use(this.#get(sql), (statement) => statement.all<R>(params, options?.maxRows));
  }

  get<R extends object>(sql: string, params?: Params): R | undefined {
    return this.#use(this.#get(sql), (statement) => statement.get<R>(params));
  }

  run(sql: string, params?: Params): WriteResult {
    return this.#use(this.#get(sql), (statement) => statement.run(params));
  }

  exec(script: string): void {
    this.#check();
    for (const statement of this.#work.statements.script(script)) this.#use(statement, () => statement.run());
  }

  savepoint<T>(fn: () => Sync<T>): T {
    this.#check();
    this.#beforeWrite();
    const { sql } = this.#work;
    sql.save.run();
    try {
      const value = synchronous(fn());
      this.#check();
      sql.release.run();
      return value as T;
    } catch (thrown) {
      this.#undo();
      throw thrown;
    }
  }

  /** Keeps what it wrote, as far as the transaction goes. */
  keep(): void {
    this.#check();
    if (this.#saved) this.#work.sql.release.run();
  }

  /** Undoes what it wrote. Without a savepoint the whole transaction must be rolled back. */
  undo(): void {
    if (this.#saved) this.#undo();
  }

  #undo(): void {
    const { native, sql, feed, defined } = this.#work;
    if (!native.isTransaction) return;
    sql.undo.run();
    sql.release.run();
    if (defined) feed.defined();
  }

  #get(sql: string): Statement {
    this.#check();
    return this.#work.statements.get(sql);
  }

  #use<T>(statement: Statement, use: (statement: Statement) => T): T {
    const { readOnly, writes, definesSchema, drops } = statement.facts;
    if (readOnly) return use(statement);
    this.#beforeWrite();
    this.#work.feed.writing(writes);
    try {
      return use(statement);
    } finally {
      if (definesSchema) {
        this.#work.defined = true;
        this.#work.feed.defined(drops);
      }
    }
  }

  #beforeWrite(): void {
    this.wrote = true;
    if (!this.#saving || this.#saved) return;
    this.#work.sql.save.run();
    this.#saved = true;
  }

  /** Outside of the transaction a statement would take effect by itself. */
  #check(): void {
    if (this.over) {
      throw new PlugboardError(
        "transaction_over",
        "The transaction is over: it ends when the function returns",
      );
    }
    if (!this.#work.native.isTransaction) {
      throw new PlugboardError("transaction_lost", "The transaction was rolled back by a failure before");
    }
  }
}

function succeeded({ outcome }: Job): boolean {
  return outcome !== undefined && "value" in outcome;
}

/** The types refuse an `async` function; one that came in untyped must not pass for a transaction either. */
function synchronous<T>(value: T): T {
  const then = (value as { then?: unknown } | null | undefined)?.then;
  if (typeof then !== "function") return value;
  Promise.resolve(value).catch(() => {});
  throw new PlugboardError(
    "async_write",
    "A function given to write cannot be async: a transaction does not wait",
  );
}
