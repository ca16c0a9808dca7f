/**
 * The reader: runs one read after the other in a thread of its own, row by row, until it is stopped.
 *
 * @module
 */

import { skipBlank } from "../../shared/sql_text.ts";
import { authorizer, inspection } from "../authorizer.ts";
import type { Inspection, Params, Value } from "../sql_types.ts";
import { iterationFailure, narrowed } from "../statements.ts";
import { ALLOWED, type Allowed, guard } from "./allowed.ts";
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

/** A result; with `inspectOnly`, only the inspection. */
export interface ReadResult extends IsolatedResult {
  readonly inspection?: Inspection;
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

/** What the worker's program uses. These functions use nothing outside of themselves. */
const TOOLS = { authorizer, guard, inspection, iterationFailure, narrowed, skipBlank };

/** Returns the worker's program as text. */
export function readerSource(): string {
  const tools = Object.entries(TOOLS).map(([name, tool]) => `${name}: ${tool}`);
  return `await (${work})({ ${tools.join(",\n")} }, ${JSON.stringify(ALLOWED)}, ${ROWS}, ${STOP});`;
}

/** The worker's program. It uses nothing outside of itself but its arguments. */
async function work(tools: typeof TOOLS, allowed: Allowed, rowsAt: number, stopAt: number): Promise<void> {
  const { DatabaseSync } = await import("node:sqlite");
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent<ReadTask>) => void;
    postMessage: (answer: ReadAnswer) => void;
  };
  // A statement of 200 characters can take gigabytes and hours to prepare; a value can have 1 GB.
  const limits = {
    length: 16_777_216,
    sqlLength: 400_000,
    column: 500,
    exprDepth: 200,
    compoundSelect: 100,
    vdbeOp: 100_000,
    functionArg: 100,
    attach: 0,
    likePatternLength: 1_000,
  };

  function open({ path, heapBytes }: ReadRequest) {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 1_000, limits } as object);
    db.exec("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF");
    // What exceeds the limit fails instead of filling the disk.
    if (heapBytes > 0) db.exec(`PRAGMA hard_heap_limit = ${heapBytes}; PRAGMA temp_store = MEMORY`);
    return db;
  }

  function prepare(db: ReturnType<typeof open>, sql: string) {
    const authorizer = tools.authorizer(db, tools.guard(db, allowed));
    const { result: statement, facts } = authorizer.observe(() => db.prepare(sql));
    if (!facts.readOnly) throw failed("not_a_read", "The query does more than read");
    if (tools.skipBlank(sql, statement.sourceSQL.length) < sql.length) {
      throw failed("bad_sql", "There is more than one statement in the SQL");
    }
    // Reading integers as bigints costs nothing, and a large one may come in any row.
    statement.setReadBigInts(true);
    (statement as unknown as { setReturnArrays(enabled: boolean): void }).setReturnArrays(true);
    return { statement, facts };
  }

  function read(request: ReadRequest, control: Uint32Array<SharedArrayBuffer>): ReadResult {
    const { sql, params, maxRows, maxBytes, inspectOnly, strict } = request;
    const db = open(request);
    try {
      const begun = performance.now();
      const empty = db.prepare("");
      const { statement, facts } = prepare(db, sql);
      const rows: Value[][] = [];
      let [rowCount, bytes, truncated] = [0, 0, false];
      const result = () => {
        const columns = statement.columns().map(({ name }) => name);
        return { columns, rows, rowCount, durationMs: performance.now() - begun, truncated };
      };
      if (inspectOnly) return { ...result(), inspection: tools.inspection(db, statement, facts) };
      const bound = (Array.isArray(params) ? params : [params]) as Value[];
      for (const row of statement.iterate(...bound) as unknown as Iterable<Value[]>) {
        control[rowsAt] = ++rowCount; // an atomic store would make the query 2 % slower, and is not needed
        if (Atomics.load(control, stopAt) === 1) throw failed("cancelled", "The query was cancelled");
        if (truncated) continue;
        bytes += row.reduce<number>((sum, value) => sum + sizeOf(value), 0);
        truncated = rows.length === maxRows || bytes > maxBytes;
        if (truncated && strict) {
          const more = rows.length === maxRows ? `${maxRows} rows` : `${maxBytes} bytes`;
          throw failed("too_many_rows", `The query gives more than ${more}`);
        }
        if (!truncated) rows.push(row.map(tools.narrowed));
      }
      const failure = tools.iterationFailure(empty);
      if (failure === undefined) return result();
      const size = ["out of memory", "string or blob too big"].includes(failure);
      throw failed(size ? "out_of_memory" : "bad_sql", failure);
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

  scope.onmessage = ({ data: { request, control } }) => {
    try {
      scope.postMessage({ result: read(request, control) });
    } catch (thrown) {
      const { message, code, errcode } = thrown as Error & { code?: string; errcode?: number };
      scope.postMessage({ error: message, code, errcode });
    }
  };
}
