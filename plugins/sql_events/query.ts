/**
 * A running query: publishes its events, and stops it when it is cancelled or takes too long.
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
  /** How often its progress is published. */
  readonly progressMs: number;
  publish<Type extends SqlEventType>(type: Type, data: SqlEventData[Type]): void;
}

/** Options of a query with their defaults. */
export interface ResolvedOptions extends QueryOptions {
  readonly user: string;
  readonly queryId: string;
}

/** How long to wait for a query to stop. */
const GRACE_MS = 1_000;

/** Events contain the SQL up to this length. */
const MAX_EVENT_SQL_CHARS = 2_000;

/** A query. It starts when it is constructed. */
export class Query implements RunningQuery {
  readonly queryId: string;
  readonly query: string;
  readonly user: string;
  readonly startedAt: number;
  readonly #parts: QueryParts;
  readonly #execution: Execution;
  readonly #totalRows: number | undefined;
  readonly #begunAt: number;
  readonly #outcome = Promise.withResolvers<QueryResult>();
  /** Run when it ends. */
  readonly #release: (() => void)[];
  /** Why it must stop. */
  #stopReason: PlugboardError | undefined;
  /** Its final row count; the executor may count another query's rows by then. */
  #finalRows: number | undefined;

  constructor(parts: QueryParts, execution: Execution, sql: string, options: ResolvedOptions) {
    const { clock, maxMs, progressMs, publish } = parts;
    const { user, queryId, signal, totalRows } = options;
    this.#parts = parts;
    this.#execution = execution;
    this.#totalRows = totalRows;
    this.queryId = queryId;
    this.query = sql.length > MAX_EVENT_SQL_CHARS ? `${sql.slice(0, MAX_EVENT_SQL_CHARS)}…` : sql;
    this.user = user;
    this.startedAt = clock.wallTime();
    this.#begunAt = clock.monotonicTime();
    this.result.catch(() => {}); // the error is published as an event
    const aborted = () => void this.cancel();
    signal?.addEventListener("abort", aborted);
    this.#release = [
      clock.every(progressMs, () => this.#publishProgress()),
      clock.after(maxMs, () => this.#stop("timeout", `The query takes longer than ${maxMs} ms`)),
      () => signal?.removeEventListener("abort", aborted),
    ];
    publish("query:started", { queryId, query: this.query, ...this.#owner, timestamp: this.startedAt });
    // After a stop, the stop is the reason for any failure.
    execution.result.then(
      (result) => this.#complete(result),
      (error) => this.#fail(this.#stopReason ?? error),
    );
  }

  get result(): Promise<QueryResult> {
    return this.#outcome.promise;
  }

  get rowCount(): number {
    return this.#finalRows ?? this.#execution.rowCount;
  }

  /** Resolves when it has stopped, to `false` if it had completed before. */
  cancel(): Promise<boolean> {
    this.#stop("cancelled", "The query was cancelled");
    return this.result.then(() => false, () => true);
  }

  /** Cancels it without waiting for it to stop. */
  abandon(reason: string): void {
    this.#execution.stop();
    this.#fail(new PlugboardError("cancelled", reason));
  }

  get #owner(): { userId?: string } {
    return this.user === "" ? {} : { userId: this.user };
  }

  #publishProgress(): void {
    const { queryId, rowCount } = this;
    const seconds = (this.#parts.clock.monotonicTime() - this.#begunAt) / 1_000;
    const percent = this.#totalRows === undefined ? undefined : Math.floor(100 * rowCount / this.#totalRows);
    this.#parts.publish("query:progress", {
      queryId,
      rowCount,
      message: `${rowCount} rows after ${seconds.toFixed(1)} s`,
      ...(percent !== undefined && { progress: Math.min(100, percent) }),
    });
  }

  #stop(code: string, sentence: string): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = new PlugboardError(code, sentence);
    const certain = this.#execution.stop();
    this.#release.push(this.#parts.clock.after(GRACE_MS, () => this.#fail(this.#stopReason, !certain)));
  }

  #complete(result: QueryResult): void {
    const { rowCount, durationMs } = result;
    if (!this.#end(rowCount)) return;
    const duration = Math.round(durationMs * 1_000) / 1_000;
    this.#parts.publish("query:complete", { queryId: this.queryId, rowCount, duration });
    this.#outcome.resolve(result);
  }

  #fail(error: unknown, goesOn = false): void {
    if (!this.#end(this.rowCount)) return;
    const { queryId, query } = this;
    const { publish, log } = this.#parts;
    if (error instanceof PlugboardError && error.code === "cancelled") {
      publish("query:cancelled", { queryId, ...this.#owner, ...(goesOn && { goesOn }) });
    } else publish("query:error", { queryId, error: messageOf(error) });
    if (goesOn) {
      const message = "a query goes on in its worker and keeps its place; with --allow-run it has a process";
      log.warn(message, { queryId, query });
    }
    this.#outcome.reject(error);
  }

  /** Releases everything; `false` if it had ended before. */
  #end(rows: number): boolean {
    if (this.#finalRows !== undefined) return false;
    this.#finalRows = rows;
    for (const release of this.#release) release();
    return true;
  }
}
