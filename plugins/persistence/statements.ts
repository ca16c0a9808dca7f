/**
 * Prepared statements: one for each SQL text, kept while it is used.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { PlugboardError } from "../../core/mod.ts";
import { failure, translated } from "./failures.ts";
import type { Facts, Observer } from "./observer.ts";
import { checkText, startOfStatement } from "../shared/sql_text.ts";
import type { ColumnOrigin, Params, Row, Value, WriteResult } from "./types.ts";

/** A prepared statement. */
export class Statement {
  readonly facts: Facts;
  readonly columns: readonly ColumnOrigin[];
  readonly #native: StatementSync;
  readonly #empty: StatementSync;

  /** Statements are made by {@linkcode statements}; `empty` is one of the same connection that does nothing. */
  constructor(native: StatementSync, facts: Facts, empty: StatementSync) {
    this.#native = native;
    this.#empty = empty;
    this.facts = facts;
    this.columns = native.columns().map(({ name, table, column }) => ({ name, table, column }));
    // What writes cannot be run again when an integer turns out to be large.
    if (!facts.readOnly) native.setReadBigInts(true);
  }

  /** All rows; an error if there are more than `maxRows`. */
  all<R>(params?: Params, maxRows = Infinity): R[] {
    const bound = bind(params);
    return this.#read((native) => {
      const rows = maxRows === Infinity ? undefined : firstOf(native, bound, maxRows, this.#empty);
      return rows ?? native.all(...bound) as Row[];
    }) as R[];
  }

  /** The first row. */
  get<R>(params?: Params): R | undefined {
    const bound = bind(params);
    return this.#read((native) => {
      const row = native.get(...bound) as Row | undefined;
      return row === undefined ? [] : [row];
    })[0] as R | undefined;
  }

  /** Runs it for what it does. */
  run(params?: Params): WriteResult {
    const bound = bind(params);
    try {
      const { changes, lastInsertRowid } = this.#native.run(...bound);
      return { changes: Number(changes), lastId: narrowed(lastInsertRowid) as number | bigint };
    } catch (thrown) {
      throw failure(thrown);
    }
  }

  #read(read: (native: StatementSync) => Row[]): Row[] {
    if (!this.facts.readOnly) return narrowRows(translated(() => read(this.#native)));
    try {
      return read(this.#native);
    } catch (thrown) {
      if (!isTooLarge(thrown)) throw failure(thrown);
    }
    this.#native.setReadBigInts(true);
    try {
      return narrowRows(translated(() => read(this.#native)));
    } finally {
      this.#native.setReadBigInts(false);
    }
  }
}

/** The statements of one database. */
export interface Statements {
  /** The statement of this text, prepared now or before. */
  get(sql: string): Statement;
  /** The statements of a script, each prepared when those before it were run. */
  script(sql: string): Iterable<Statement>;
  /** Forgets all. */
  clear(): void;
}

/**
 * Keeps up to `max` statements, the most recently used ones. `hooked` runs what prepares a statement; see the change
 * feed.
 */
export function statements(
  native: DatabaseSync,
  observer: Observer,
  max: number,
  hooked: <T>(prepare: () => T) => T,
): Statements {
  const kept = new Map<string, Statement>();
  const empty = native.prepare("");

  function prepare(sql: string): { statement: Statement; native: StatementSync } {
    return translated(() => {
      const { result, facts } = observer.observe(() => hooked(() => native.prepare(sql)));
      return { statement: new Statement(result, facts, empty), native: result };
    });
  }

  function prepareOne(sql: string): Statement {
    checkText("bad_sql", "SQL", sql);
    if (startOfStatement(sql) === sql.length) {
      throw new PlugboardError("bad_sql", "There is no statement in the SQL");
    }
    const prepared = prepare(sql);
    // SQLite prepares the first statement of a text and says nothing about the rest.
    if (startOfStatement(sql, prepared.native.sourceSQL.length) < sql.length) {
      throw new PlugboardError("bad_sql", "There is more than one statement in the SQL; exec runs scripts");
    }
    return prepared.statement;
  }

  return {
    get(sql) {
      let statement = kept.get(sql);
      if (statement === undefined) {
        statement = prepareOne(sql);
        if (kept.size >= max) kept.delete(kept.keys().next().value!);
      } else {
        kept.delete(sql); // to be the latest again
      }
      kept.set(sql, statement);
      return statement;
    },
    *script(sql) {
      checkText("bad_sql", "SQL", sql);
      let begin = startOfStatement(sql);
      while (begin < sql.length) {
        const rest = sql.slice(begin);
        const { statement, native } = prepare(rest);
        yield statement;
        begin = startOfStatement(sql, begin + native.sourceSQL.length);
      }
    },
    clear: () => kept.clear(),
  };
}

/** The arguments for the runtime. Named parameters are one argument among them, which its types have no word for. */
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

/** The rows, unless reading them failed: then `all` will say why. */
function firstOf(
  native: StatementSync,
  bound: Value[],
  maxRows: number,
  empty: StatementSync,
): Row[] | undefined {
  const rows: Row[] = [];
  for (const row of native.iterate(...bound)) {
    if (rows.length >= maxRows) {
      throw new PlugboardError("too_many_rows", `The query gives more than ${maxRows} rows`);
    }
    rows.push(row as Row);
  }
  return hasFailed(empty) ? undefined : rows;
}

/**
 * Whether the latest statement of the connection failed: the runtime's `iterate` takes that for the end of the rows.
 * Running an empty statement touches nothing, and throws with what the connection has to say of the one before.
 */
function hasFailed(empty: StatementSync): boolean {
  try {
    empty.iterate().next();
    return false;
  } catch (thrown) {
    return (thrown as Error).message !== "not an error";
  }
}

function isTooLarge(thrown: unknown): boolean {
  return thrown instanceof RangeError && (thrown as { code?: string }).code === "ERR_OUT_OF_RANGE";
}

function narrowRows(rows: Row[]): Row[] {
  for (const row of rows) for (const name in row) row[name] = narrowed(row[name]!);
  return rows;
}

/** A `bigint` as a number where that says the same. */
export function narrowed(value: Value): Value {
  if (typeof value !== "bigint") return value;
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
