/**
 * Queries: admits them, tells of them, and stops them.
 *
 * @module
 */

import { type Clock, type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import type { Params } from "../persistence.ts";
import type { Execution } from "./execution.ts";
import { isBlank } from "./reader.ts";
import type { QueryOptions, QueryResult, RunningQuery, SqlEventData, SqlEventType } from "./types.ts";

/** What running queries needs. */
export interface QueriesParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly maxQueries: number;
  readonly maxQueriesPerUser: number;
  readonly maxMs: number;
  readonly progressMs: number;
  execute(sql: string, params: Params, options: QueryOptions): Execution;
  tell<Type extends SqlEventType>(type: Type, data: SqlEventData[Type]): void;
}

/** The queries under way. */
export interface Queries {
  readonly running: readonly RunningQuery[];
  start(sql: string, params: Params, options: QueryOptions): RunningQuery;
  cancel(queryId: string): Promise<boolean>;
  /** Cancels all, and takes no more. Not `async`: its clients are about to go, and are to hear of it. */
  end(): void;
}

interface Query extends RunningQuery {
  /** Has it stopped for this reason; resolves to whether it did. */
  stop(reason: PlugboardError): Promise<boolean>;
  /** Gives it up without waiting for that. */
  giveUp(reason: PlugboardError): void;
}

/** How long a query may take to stop. */
const GRACE_MS = 1_000;

/** As much of the SQL is told. */
const TOLD_CHARS = 2_000;

/** Runs queries. */
export function queries(parts: QueriesParts): Queries {
  const { clock, log, maxQueries, maxQueriesPerUser, maxMs, progressMs, execute, tell } = parts;
  const running = new Map<string, Query>();
  /** One for each query, until nothing works on it any more: longer than it is running where it cannot be stopped. */
  const places = new Set<{ readonly user: string }>();
  let ended = false;

  function admit(user: string, queryId: string): void {
    if (ended) throw new PlugboardError("stopped", "The server stops");
    if (running.has(queryId)) throw new PlugboardError("bad_request", `A query "${queryId}" runs already`);
    if (places.size >= maxQueries) {
      throw new PlugboardError(
        "overloaded",
        `${maxQueries} queries run already; try again when one has ended`,
      );
    }
    if (user === "") return;
    const own = [...places].filter((place) => place.user === user).length;
    if (own < maxQueriesPerUser) return;
    throw new PlugboardError("limit_exceeded", `${maxQueriesPerUser} queries of "${user}" run already`);
  }

  function start(sql: string, params: Params, options: QueryOptions): RunningQuery {
    const { user = "", queryId = crypto.randomUUID() } = options;
    checkQuery(sql, params, { ...options, user, queryId });
    admit(user, queryId);
    const execution = execute(sql, params, options);
    const place = { user };
    places.add(place);
    const free = () => void places.delete(place);
    execution.result.then(free, free);
    return follow(execution, sql.length > TOLD_CHARS ? `${sql.slice(0, TOLD_CHARS)}…` : sql, {
      ...options,
      user,
      queryId,
    });
  }

  function follow(
    execution: Execution,
    sql: string,
    { user, queryId, signal, totalRows }: QueryOptions & { user: string; queryId: string },
  ): Query {
    const startedAt = clock.now();
    const whose = user === "" ? {} : { userId: user };
    const outcome = Promise.withResolvers<QueryResult>();
    outcome.promise.catch(() => {}); // see RunningQuery.result
    let why: PlugboardError | undefined;
    const release = [
      clock.every(progressMs, progress),
      clock.after(maxMs, () => {
        stop(new PlugboardError("timeout", `The query takes longer than ${maxMs} ms`));
      }),
    ];

    function progress(): void {
      const { rowCount } = execution;
      const message = `${rowCount} rows after ${((clock.now() - startedAt) / 1_000).toFixed(1)} s`;
      const percent = totalRows === undefined ? {} : {
        progress: Math.min(100, Math.floor(100 * rowCount / totalRows)),
      };
      tell("query:progress", { queryId, rowCount, message, ...percent });
    }

    /** Whether this is the query's end; there is only one. */
    function over(): boolean {
      if (running.get(queryId) !== query) return false;
      running.delete(queryId);
      for (const each of release) each();
      return true;
    }

    function complete(result: QueryResult): void {
      if (!over()) return;
      const { rowCount, durationMs } = result;
      tell("query:complete", { queryId, rowCount, duration: Math.round(durationMs * 1_000) / 1_000 });
      outcome.resolve(result);
    }

    function fail(error: unknown, goesOn = false): void {
      if (!over()) return;
      if (error instanceof PlugboardError && error.code === "cancelled") {
        tell("query:cancelled", { queryId, ...whose, ...(goesOn && { goesOn }) });
      } else tell("query:error", { queryId, error: messageOf(error) });
      if (goesOn) {
        log.warn("a query goes on in its worker and keeps its place; with --allow-run it has a process", {
          queryId,
          sql,
        });
      }
      outcome.reject(error);
    }

    function stop(reason: PlugboardError): Promise<boolean> {
      if (why === undefined) {
        const certain = execution.stop();
        release.push(clock.after(GRACE_MS, () => fail(why, !certain)));
      }
      why ??= reason;
      return outcome.promise.then(() => false, () => true);
    }

    function giveUp(reason: PlugboardError): void {
      execution.stop();
      fail(reason);
    }

    const query: Query = {
      queryId,
      query: sql,
      user,
      startedAt,
      result: outcome.promise,
      stop,
      giveUp,
      get rowCount() {
        return execution.rowCount;
      },
    };
    running.set(queryId, query);
    if (signal !== undefined) {
      const aborted = () => void stop(cancelled());
      signal.addEventListener("abort", aborted);
      release.push(() => signal.removeEventListener("abort", aborted));
    }
    tell("query:started", { queryId, query: sql, ...whose, timestamp: startedAt });
    // Once it was to stop, that is why it failed, whatever it says itself.
    execution.result.then(complete, (error) => fail(why ?? error));
    return query;
  }

  return {
    get running() {
      return [...running.values()];
    },
    start,
    cancel: async (queryId) => await running.get(queryId)?.stop(cancelled()) ?? false,
    end() {
      ended = true;
      for (const query of [...running.values()]) {
        query.giveUp(new PlugboardError("cancelled", "The server stops"));
      }
    },
  };
}

function cancelled(): PlugboardError {
  return new PlugboardError("cancelled", "The query was cancelled");
}

const MAX_SQL_CHARS = 100_000;
const MAX_ID_CHARS = 100;

function checkQuery(
  sql: string,
  params: Params,
  { user, queryId, signal, totalRows }: QueryOptions & { user: string; queryId: string },
): void {
  const check = (holds: boolean, code: string, sentence: string) => {
    if (!holds) throw new PlugboardError(code, sentence);
  };
  check(
    typeof sql === "string" && sql.length <= MAX_SQL_CHARS,
    "bad_sql",
    `SQL is a text of up to ${MAX_SQL_CHARS} characters`,
  );
  // An empty statement would end the process: the runtime trips over it.
  check(
    !sql.includes("\0") && !isBlank(sql),
    "bad_sql",
    "There is no statement in the SQL, or a NUL character",
  );
  const values: readonly unknown[] = Array.isArray(params) ? params : Object.values(params);
  check(values.every(isValue), "bad_parameter", "Parameters are null, numbers, bigints, texts or bytes");
  check(typeof user === "string", "bad_request", "A user is a text");
  const fit = typeof queryId === "string" && queryId !== "" && queryId.length <= MAX_ID_CHARS;
  check(fit, "bad_request", `A query's id is a text of 1 to ${MAX_ID_CHARS} characters`);
  check(totalRows === undefined || totalRows > 0, "bad_request", '"totalRows" must be a number above zero');
  if (signal?.aborted) throw cancelled();
}

function isValue(value: unknown): boolean {
  return value === null || ["number", "bigint", "string"].includes(typeof value) ||
    value instanceof Uint8Array;
}
