import { PlugboardError } from "../../core/mod.ts";
import type { Params } from "../persistence.ts";
import { hasStatement } from "../shared/sql_text.ts";
import type { Execution } from "./execution.ts";
import { Query, type QueryParts, type ResolvedOptions } from "./query.ts";
import type { QueryOptions, RunningQuery } from "./types.ts";

/** What {@linkcode queries} needs. */
export interface QueriesParts extends QueryParts {
  readonly maxQueries: number;
  readonly maxQueriesPerUser: number;
  execute(sql: string, params: Params, options: QueryOptions): Execution;
}

/** The running queries. */
export interface Queries {
  readonly running: readonly RunningQuery[];
  start(sql: string, params: Params, options: QueryOptions): RunningQuery;
  cancel(queryId: string): Promise<boolean>;
  /** Cancels all and refuses more. Not `async`: clients are about to be disconnected and must get the events before. */
  end(): void;
}

/** Runs queries. */
export function queries(parts: QueriesParts): Queries {
  const { maxQueries, maxQueriesPerUser, execute } = parts;
  const running = new Map<string, Query>();
  /** One for each execution. A query that cannot be stopped may end before its execution. */
  const places = new Set<{ readonly user: string }>();
  let ended = false;

  function admit({ user, queryId }: ResolvedOptions): void {
    if (ended) throw new PlugboardError("stopped", "The server stops");
    if (running.has(queryId)) throw new PlugboardError("bad_request", `A query "${queryId}" runs already`);
    if (places.size >= maxQueries) {
      const sentence = `${maxQueries} queries run already; try again when one has ended`;
      throw new PlugboardError("overloaded", sentence);
    }
    if (user === "") return;
    const own = [...places].filter((place) => place.user === user).length;
    if (own < maxQueriesPerUser) return;
    throw new PlugboardError("limit_exceeded", `${maxQueriesPerUser} queries of "${user}" run already`);
  }

  function start(sql: string, params: Params, given: QueryOptions): RunningQuery {
    const options = { ...given, user: given.user ?? "", queryId: given.queryId ?? crypto.randomUUID() };
    checkQuery(sql, params, options);
    admit(options);
    const execution = execute(sql, params, options);
    const place = { user: options.user };
    places.add(place);
    const free = () => void places.delete(place);
    execution.result.then(free, free);
    const query = new Query(parts, execution, sql, options);
    running.set(query.queryId, query);
    const over = () => void running.delete(query.queryId);
    query.result.then(over, over);
    return query;
  }

  return {
    get running() {
      return [...running.values()];
    },
    start,
    cancel: async (queryId) => await running.get(queryId)?.cancel() ?? false,
    end() {
      ended = true;
      for (const query of running.values()) query.abandon("The server stops");
    },
  };
}

const MAX_SQL_CHARS = 100_000;
const MAX_ID_CHARS = 100;

/** Throws for the first rule that does not hold. */
function checkQuery(
  sql: unknown,
  params: Params,
  { user, queryId, signal, totalRows }: ResolvedOptions,
): void {
  const values: readonly unknown[] = Array.isArray(params) ? params : Object.values(params);
  const text = (value: unknown, max: number) => typeof value === "string" && value.length <= max;
  const rules: [holds: boolean, code: string, sentence: string][] = [
    [text(sql, MAX_SQL_CHARS), "bad_sql", `SQL is a text of up to ${MAX_SQL_CHARS} characters`],
    [hasStatement(String(sql)), "bad_sql", "There is no statement in the SQL, or a NUL character"],
    [values.every(isValue), "bad_parameter", "Parameters are null, numbers, bigints, texts or bytes"],
    [typeof user === "string", "bad_request", "A user is a text"],
    [
      queryId !== "" && text(queryId, MAX_ID_CHARS),
      "bad_request",
      `A query's id is a text of 1 to ${MAX_ID_CHARS} characters`,
    ],
    [totalRows === undefined || totalRows > 0, "bad_request", '"totalRows" must be a number above zero'],
    [!signal?.aborted, "cancelled", "The query was cancelled before it began"],
  ];
  for (const [holds, code, sentence] of rules) if (!holds) throw new PlugboardError(code, sentence);
}

function isValue(value: unknown): boolean {
  return value === null || ["number", "bigint", "string"].includes(typeof value) ||
    value instanceof Uint8Array;
}
