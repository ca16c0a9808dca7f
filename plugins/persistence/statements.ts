import type { DatabaseSync, StatementSync } from "node:sqlite";
import { PlugboardError } from "../../core/mod.ts";
import { checkText, startOfStatement } from "../shared/sql_text.ts";
import type { Authorizer, Facts } from "./authorizer.ts";
import { failure, translated } from "./failures.ts";
import type { Params, ReadOptions, Row, Value, WriteResult } from "./sql_types.ts";

/** A prepared statement. */
export class Statement {
  readonly facts: Facts;
  readonly native: StatementSync;
  readonly #empty: StatementSync;

  /** `empty` is a statement of the same connection that does nothing; see {@linkcode iterationFailure}. */
  constructor(native: StatementSync, facts: Facts, empty: StatementSync) {
    this.native = native;
    this.#empty = empty;
    this.facts = facts;
    // Without, an integer beyond 2^53 ends an iteration early, and -2^63 is rounded. It costs nothing measurable.
    native.setReadBigInts(true);
  }

  /** Returns all rows; throws if there are more than `maxRows`. */
  all<R>(
    params?: Params,
    { maxRows = Infinity, atOnce = maxRows === Infinity, bigints }: ReadOptions = {},
  ): R[] {
    const bound = bind(params);
    return translated(() => {
      const first = atOnce ? undefined : firstOf(this.native, bound, maxRows, this.#empty);
      const rows = first ?? this.native.all(...bound) as Row[];
      if (rows.length > maxRows) throw tooManyRows(maxRows);
      return bigints ? rows : narrowRows(rows);
    }) as R[];
  }

  /** Returns the first row. */
  get<R>(params?: Params): R | undefined {
    const bound = bind(params);
    const row = translated(() => this.native.get(...bound)) as Row | undefined;
    return row && narrowRows([row])[0] as R;
  }

  /** Runs a write. */
  run(params?: Params): WriteResult {
    const bound = bind(params);
    try {
      const { changes, lastInsertRowid } = this.native.run(...bound);
      return { changes: Number(changes), lastId: narrowed(lastInsertRowid) as number | bigint };
    } catch (thrown) {
      throw failure(thrown);
    }
  }
}

/** The statements of one database. */
export interface Statements {
  /** Returns the statement of this SQL. */
  get(sql: string): Statement;
  /** Yields the statements of a script. Each is prepared after the one before has run. */
  script(sql: string): Iterable<Statement>;
  /** Clears the cache. */
  clear(): void;
}

/** Caches the `max` most recently used statements. `hooked` runs what prepares a statement; see the change feed. */
export function statements(
  native: DatabaseSync,
  authorizer: Authorizer,
  max: number,
  hooked: <T>(prepare: () => T) => T,
): Statements {
  const cache = new Map<string, Statement>();
  const empty = native.prepare("");

  function prepare(sql: string): Statement {
    return translated(() => {
      const { result, facts } = authorizer.observe(() => hooked(() => native.prepare(sql)));
      return new Statement(result, facts, empty);
    });
  }

  function prepareOne(sql: string): Statement {
    checkText("bad_sql", "SQL", sql);
    if (startOfStatement(sql) === sql.length) {
      throw new PlugboardError("bad_sql", "There is no statement in the SQL");
    }
    const statement = prepare(sql);
    // SQLite prepares the first statement of a text and ignores the rest.
    if (startOfStatement(sql, statement.native.sourceSQL.length) < sql.length) {
      throw new PlugboardError("bad_sql", "There is more than one statement in the SQL; exec runs scripts");
    }
    return statement;
  }

  return {
    get(sql) {
      let statement = cache.get(sql);
      if (statement === undefined) {
        statement = prepareOne(sql);
        if (cache.size >= max) cache.delete(cache.keys().next().value!);
      } else cache.delete(sql); // moves it to the end
      cache.set(sql, statement);
      return statement;
    },
    *script(sql) {
      checkText("bad_sql", "SQL", sql);
      let start = startOfStatement(sql);
      while (start < sql.length) {
        const statement = prepare(sql.slice(start));
        yield statement;
        start = startOfStatement(sql, start + statement.native.sourceSQL.length);
      }
    },
    clear: () => cache.clear(),
  };
}

/** Returns the arguments for the runtime. Named parameters are one argument, which its types do not know. */
function bind(params: Params | undefined): Value[] {
  if (params === undefined) return [];
  const positional = Array.isArray(params);
  const values: readonly Value[] = positional ? params : Object.values(params);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === "string") checkText("bad_parameter", "A parameter", value);
  }
  return (positional ? params : [params]) as Value[];
}

/** Returns the rows, or `undefined` if reading them failed: then `all` throws the reason. */
function firstOf(
  native: StatementSync,
  bound: Value[],
  maxRows: number,
  empty: StatementSync,
): Row[] | undefined {
  const rows: Row[] = [];
  for (const row of native.iterate(...bound)) {
    if (rows.length >= maxRows) {
      throw tooManyRows(maxRows);
    }
    rows.push(row as Row);
  }
  return iterationFailure(empty) === undefined ? rows : undefined;
}

function tooManyRows(maxRows: number): PlugboardError {
  return new PlugboardError("too_many_rows", `The query gives more than ${maxRows} rows`);
}

/**
 * Returns why an iteration ended early. The runtime's `iterate` treats a failure as the end of the rows. Running an empty
 * statement on the same connection changes nothing and throws the error of the last statement.
 *
 * Also runs as source text in a worker, so it uses nothing outside of itself.
 */
export function iterationFailure(empty: StatementSync): string | undefined {
  try {
    empty.iterate().next();
  } catch (thrown) {
    const { message } = thrown as Error;
    if (message !== "not an error") return message;
  }
  return undefined;
}

function narrowRows(rows: Row[]): Row[] {
  for (const row of rows) for (const name in row) row[name] = narrowed(row[name]!);
  return rows;
}

/** Returns a `bigint` as a number if that is exact. Also runs as source text in a worker. */
export function narrowed(value: Value): Value {
  if (typeof value !== "bigint") return value;
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
