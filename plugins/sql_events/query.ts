/**
 * One query under way: told of from its start to its end, and stopped when it has to be.
 *
 * @module
 */

import { type Clock, type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import type { Execution } from "./execution.ts";
import type { QueryOptions, QueryResult, RunningQuery, SqlEventData, SqlEventType } from "./types.ts";

/** What a query needs. */
export interface QueryParts {
  readonly clock: Clock;
  readonly log: Log;
  /** How long it may take. */
  readonly maxMs: number;
  /** How often its progress is told. */
  readonly progressMs: number;
  tell<Type extends SqlEventType>(type: Type, data: SqlEventData[Type]): void;
}

/** Options of a query with everything decided that others see. */
export interface DecidedOptions extends QueryOptions {
  readonly user: string;
  readonly queryId: string;
}

/** How long a query may take to stop. */
const GRACE_MS = 1_000;

/** As much of the SQL is told. */
const TOLD_CHARS = 2_000;

/** A query; it begins when it is made. */
export class Query implements RunningQuery {
  readonly queryId: string;
  readonly query: string;
  readonly user: string;
  readonly startedAt: number;
  readonly #parts: QueryParts;
  readonly #execution: Execution;
  readonly #totalRows: number | undefined;
  readonly #outcome = Promise.withResolvers<QueryResult>();
  /** What is to be undone at its end. */
  readonly #release: (() => void)[];
  /** Why it is to stop. */
  #why: PlugboardError | undefined;
  /** Its rows in the end; another query counts in the same place then. */
  #rows: number | undefined;

  constructor(parts: QueryParts, execution: Execution, sql: string, options: DecidedOptions) {
    const { clock, maxMs, progressMs, tell } = parts;
    const { user, queryId, signal, totalRows } = options;
    this.#parts = parts;
    this.#execution = execution;
    this.#totalRows = totalRows;
    this.queryId = queryId;
    this.query = sql.length > TOLD_CHARS ? `${sql.slice(0, TOLD_CHARS)}…` : sql;
    this.user = user;
    this.startedAt = clock.now();
    this.result.catch(() => {}); // its event tells of it
    const aborted = () => void this.cancel();
    signal?.addEventListener("abort", aborted);
    this.#release = [
      clock.every(progressMs, () => this.#tellProgress()),
      clock.after(maxMs, () => this.#stop("timeout", `The query takes longer than ${maxMs} ms`)),
      () => signal?.removeEventListener("abort", aborted),
    ];
    tell("query:started", { queryId, query: this.query, ...this.#whose, timestamp: this.startedAt });
    // Once it was to stop, that is why it failed, whatever it says itself.
    execution.result.then((result) => this.#complete(result), (error) => this.#fail(this.#why ?? error));
  }

  get result(): Promise<QueryResult> {
    return this.#outcome.promise;
  }

  get rowCount(): number {
    return this.#rows ?? this.#execution.rowCount;
  }

  /** Resolves once it has stopped, to `false` if it was complete before that. */
  cancel(): Promise<boolean> {
    this.#stop("cancelled", "The query was cancelled");
    return this.result.then(() => false, () => true);
  }

  /** Cancels it without waiting until it has stopped. */
  giveUp(reason: string): void {
    this.#execution.stop();
    this.#fail(new PlugboardError("cancelled", reason));
  }

  get #whose(): { userId?: string } {
    return this.user === "" ? {} : { userId: this.user };
  }

  #tellProgress(): void {
    const { queryId, rowCount } = this;
    const seconds = (this.#parts.clock.now() - this.startedAt) / 1_000;
    const percent = this.#totalRows === undefined ? undefined : Math.floor(100 * rowCount / this.#totalRows);
    this.#parts.tell("query:progress", {
      queryId,
      rowCount,
      message: `${rowCount} rows after ${seconds.toFixed(1)} s`,
      ...(percent !== undefined && { progress: Math.min(100, percent) }),
    });
  }

  #stop(code: string, sentence: string): void {
    if (this.#why !== undefined) return;
    this.#why = new PlugboardError(code, sentence);
    const certain = this.#execution.stop();
    this.#release.push(this.#parts.clock.after(GRACE_MS, () => this.#fail(this.#why, !certain)));
  }

  #complete(result: QueryResult): void {
    const { rowCount, durationMs } = result;
    if (!this.#end(rowCount)) return;
    const duration = Math.round(durationMs * 1_000) / 1_000;
    this.#parts.tell("query:complete", { queryId: this.queryId, rowCount, duration });
    this.#outcome.resolve(result);
  }

  #fail(error: unknown, goesOn = false): void {
    if (!this.#end(this.rowCount)) return;
    const { queryId, query } = this;
    const { tell, log } = this.#parts;
    if (error instanceof PlugboardError && error.code === "cancelled") {
      tell("query:cancelled", { queryId, ...this.#whose, ...(goesOn && { goesOn }) });
    } else tell("query:error", { queryId, error: messageOf(error) });
    if (goesOn) {
      const what = "a query goes on in its worker and keeps its place; with --allow-run it has a process";
      log.warn(what, { queryId, query });
    }
    this.#outcome.reject(error);
  }

  /** Whether this is its end; there is only one. */
  #end(rows: number): boolean {
    if (this.#rows !== undefined) return false;
    this.#rows = rows;
    for (const release of this.#release) release();
    return true;
  }
}
