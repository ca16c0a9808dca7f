/**
 * The reader: runs one read after the other in a thread of its own, row by row, until it is stopped.
 *
 * @module
 */

import type { StatementSync } from "node:sqlite";
import { skipBlank } from "../../shared/sql_text.ts";
import type { ColumnOrigin, Params, Value } from "../types.ts";
import type { IsolatedResult } from "./types.ts";

/** What to read, and how much of it to keep. */
export interface ReadRequest {
  /** The database file. */
  readonly path: string;
  readonly sql: string;
  readonly params: Params;
  readonly maxRows: number;
  readonly maxBytes: number;
  /** Memory limit for SQLite in this process; 0 for none. */
  readonly heapBytes: number;
  /** Whether to inspect the query without running it. */
  readonly inspectOnly?: boolean;
  /** Whether more rows or bytes than these are an error. */
  readonly strict?: boolean;
}

/** What SQLite reports of a query while it prepares it. Names of tables and columns are in lower case. */
export interface ReadFacts {
  readonly columns: readonly ColumnOrigin[];
  /** Views are among the tables. */
  readonly reads: ReadonlyMap<string, ReadonlySet<string>>;
  /** Tables that are read through a view or a common table expression. */
  readonly viaView: ReadonlySet<string>;
  readonly views: ReadonlySet<string>;
  readonly functions: ReadonlySet<string>;
  readonly recursive: boolean;
}

/** A result; with `inspectOnly`, the facts of the query. */
export interface ReadResult extends IsolatedResult {
  readonly facts?: ReadFacts;
}

/** A reader's answer. `code` and SQLite's `errcode` give the kind of failure. */
export type ReadAnswer = { readonly result: ReadResult } | {
  readonly error: string;
  readonly code: string | undefined;
  readonly errcode: number | undefined;
};

/** A reader's task. */
export interface ReadTask {
  readonly request: ReadRequest;
  /** Shared memory: the rows so far, and whether to stop. */
  readonly control: Uint32Array<SharedArrayBuffer>;
}

/** Indexes in the shared memory. */
export const ROWS = 0;
export const STOP = 1;

/**
 * Returns the worker's program as text. Unlike a file, it is also available in a bundle and in a compiled executable.
 */
export function readerSource(): string {
  return `await (${work})(${skipBlank}, ${ROWS}, ${STOP});`;
}

/** The worker's program. It uses nothing outside of itself but its arguments. */
async function work(skip: typeof skipBlank, rowsAt: number, stopAt: number): Promise<void> {
  const { DatabaseSync } = await import("node:sqlite");
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent<ReadTask>) => void;
    postMessage: (answer: ReadAnswer) => void;
  };
  // A value may be as long as this; the default, 1 GB, would be enough to end the process.
  const limits = { length: 67_108_864 };
  // SQLite's own numbers, of what statements do and of what to say to it.
  const [PRAGMA, READ, SELECT, FUNCTION, RECURSIVE] = [19, 20, 21, 31, 33];
  const [OK, DENY] = [0, 1];
  const pragmas =
    /^(table_x?info|table_list|index_(list|x?info)|foreign_key_list|(function|collation)_list)$/i;

  /** A statement that neither selects nor asks is something like VACUUM, which the authorizer is not told of. */
  let asks = false;
  let noted = notes();

  function notes() {
    const [reads, viaView, functions] = [
      new Map<string, Set<string>>(),
      new Set<string>(),
      new Set<string>(),
    ];
    return { reads, viaView, functions, recursive: false };
  }

  function allow(
    action: number,
    first: string | null,
    second: string | null,
    _database: string | null,
    via: string | null,
  ): number {
    if (action === SELECT || (action === PRAGMA && pragmas.test(first ?? ""))) asks = true;
    else if (action === FUNCTION && second?.toLowerCase() === "load_extension") return DENY;
    else if (action === FUNCTION) noted.functions.add((second ?? "").toLowerCase());
    else if (action === RECURSIVE) noted.recursive = true;
    else if (action === READ) noteRead((first ?? "").toLowerCase(), (second ?? "").toLowerCase(), via);
    else return DENY;
    return OK;
  }

  function noteRead(table: string, column: string, via: string | null): void {
    const columns = noted.reads.get(table) ?? new Set();
    noted.reads.set(table, column === "" ? columns : columns.add(column));
    if (via !== null) noted.viaView.add(table);
  }

  function factsOf(db: ReturnType<typeof open>, statement: StatementSync): ReadFacts {
    const facts = noted;
    noted = notes(); // what follows is no part of it
    const rows = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'").all();
    const views = new Set(rows.map(({ name }) => (name as string).toLowerCase()));
    return {
      ...facts,
      views,
      columns: statement.columns().map(({ name, table, column }) => ({ name, table, column })),
    };
  }

  function open({ path, heapBytes }: ReadRequest) {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 1_000, limits } as object);
    db.exec("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF");
    // What does not fit there fails, instead of filling the disk.
    if (heapBytes > 0) db.exec(`PRAGMA hard_heap_limit = ${heapBytes}; PRAGMA temp_store = MEMORY`);
    (db as unknown as { setAuthorizer(callback: typeof allow): void }).setAuthorizer(allow);
    return db;
  }

  function prepare(db: ReturnType<typeof open>, sql: string) {
    asks = false;
    noted = notes();
    const statement = db.prepare(sql);
    if (!asks) throw failed("not_a_read", "The query does more than read");
    if (skip(sql, statement.sourceSQL.length) < sql.length) {
      throw failed("bad_sql", "There is more than one statement in the SQL");
    }
    // Reading large integers as such costs nothing, and nobody knows beforehand whether there is one.
    statement.setReadBigInts(true);
    (statement as unknown as { setReturnArrays(enabled: boolean): void }).setReturnArrays(true);
    return statement;
  }

  /**
   * The runtime's `iterate` takes a failure for the end of the rows. The connection still knows the failure then, and
   * running an empty statement, which touches nothing, throws with what the connection knows.
   */
  function checkEnd(empty: StatementSync): void {
    try {
      empty.iterate().next();
    } catch (thrown) {
      const { message } = thrown as Error;
      if (message !== "not an error") {
        throw failed(message === "out of memory" ? "out_of_memory" : "bad_sql", message);
      }
    }
  }

  function read(request: ReadRequest, control: Uint32Array<SharedArrayBuffer>): ReadResult {
    const { sql, params, maxRows, maxBytes, inspectOnly, strict } = request;
    const db = open(request);
    try {
      const begun = performance.now();
      const empty = db.prepare("");
      const statement = prepare(db, sql);
      if (inspectOnly) {
        const facts = factsOf(db, statement);
        return { columns: [], rows: [], rowCount: 0, durationMs: 0, truncated: false, facts };
      }
      const rows: Value[][] = [];
      let [rowCount, bytes, truncated] = [0, 0, false];
      const bound = (Array.isArray(params) ? params : [params]) as Value[];
      for (const row of statement.iterate(...bound) as unknown as Iterable<Value[]>) {
        control[rowsAt] = ++rowCount; // an atomic store would cost the query 2 %, and late is soon enough
        if (Atomics.load(control, stopAt) === 1) throw failed("cancelled", "The query was cancelled");
        if (truncated) continue;
        bytes += row.reduce<number>((sum, value) => sum + sizeOf(value), 0);
        truncated = rows.length === maxRows || bytes > maxBytes;
        if (truncated && strict) {
          const more = rows.length === maxRows ? `${maxRows} rows` : `${maxBytes} bytes`;
          throw failed("too_many_rows", `The query gives more than ${more}`);
        }
        if (!truncated) rows.push(row.map(narrowed));
      }
      checkEnd(empty);
      const columns = statement.columns().map(({ name }) => name);
      return { columns, rows, rowCount, durationMs: performance.now() - begun, truncated };
    } finally {
      db.close();
    }
  }

  function failed(code: string, message: string): Error {
    return Object.assign(new Error(message), { code });
  }

  function sizeOf(value: Value): number {
    if (typeof value === "string") return value.length * 2;
    return value instanceof Uint8Array ? value.length : 8;
  }

  function narrowed(value: Value): Value {
    return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  scope.onmessage = ({ data: { request, control } }) => {
    try {
      scope.postMessage({ result: read(request, control) });
    } catch (thrown) {
      const { message, code, errcode } = thrown as Error & { code?: string; errcode?: number };
      scope.postMessage({ error: message, code, errcode });
    }
  };
}
