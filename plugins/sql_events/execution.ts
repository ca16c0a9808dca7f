import { afterReading, PlugboardError } from "../../core/mod.ts";
import type { IsolatedRead, Params, Row, Store, Transaction } from "../persistence.ts";
import type { Tables } from "./tables.ts";
import type { QueryResult } from "./types.ts";

/** A query in progress: an isolated read, or something with the same interface. */
export type Execution = IsolatedRead;

/**
 * Runs what only reads in isolation, and only what does more in the store. Which one it is shows when the query is
 * prepared; preparing can take very long too.
 */
export function readingFirst(read: Execution, write: () => Execution): Execution {
  let current = read;
  let stopped = false;
  const result = read.result.catch((error) => {
    if (stopped || error?.code !== "not_a_read") throw error;
    current = write();
    return current.result;
  });
  return {
    result,
    stop() {
      stopped = true;
      return current.stop();
    },
    get rowCount() {
      return current.rowCount;
    },
  };
}

/** Writes in a transaction of the store. It can be stopped until it begins; after that nothing else can run. */
export function writing(
  store: Pick<Store, "write">,
  tables: Tables,
  { sql, params, user, maxRows }: { sql: string; params: Params; user: string; maxRows: number },
): Execution {
  return stoppable(async (check) => {
    try {
      return await store.write((tx) => {
        check();
        return tables.defining(tx, user, () => written(tx, sql, params, maxRows));
      });
    } finally {
      tables.forget(user);
    }
  });
}

/** A query of a database in memory with more rows is refused, since all of them are in memory at once. */
const MEMORY_ROWS = 100_000;

/** Reads from a database in memory. No other thread can open it, so it blocks the event loop. */
export function readingInMemory(
  store: Pick<Store, "all" | "inspect">,
  { sql, params, maxRows }: { sql: string; params: Params; maxRows: number },
): Execution {
  return stoppable(async (check) => {
    // Lets `query:started` go out, and a cancellation in.
    await new Promise<void>((resolve) => void afterReading(resolve));
    check();
    const { columns, recursive } = store.inspect(sql);
    if (recursive) {
      throw new PlugboardError(
        "not_available",
        "A recursive query needs a database file: it could run forever",
      );
    }
    const begun = performance.now();
    const rows = store.all(sql, params, { maxRows: MEMORY_ROWS });
    return resultOf(columns.map(({ name }) => name), rows, rows.length, begun, maxRows);
  });
}

/** Runs something that calls `check` before it begins; `check` throws if it was stopped. */
function stoppable(run: (check: () => void) => Promise<QueryResult>): Execution {
  let stopped = false;
  return {
    rowCount: 0,
    result: run(() => {
      if (stopped) throw new PlugboardError("cancelled", "The query was cancelled");
    }),
    stop: () => stopped = true,
  };
}

function written(tx: Transaction, sql: string, params: Params, maxRows: number): QueryResult {
  const begun = performance.now();
  const total = () => tx.get<{ n: number }>("SELECT total_changes() AS n")!.n;
  const before = total();
  const rows = tx.all(sql, params);
  // Where this statement changed nothing, `changes` still returns the count of an earlier one.
  const changed = total() === before ? 0 : tx.get<{ n: number }>("SELECT changes() AS n")!.n;
  return resultOf(Object.keys(rows[0] ?? {}), rows, rows.length || changed, begun, maxRows);
}

function resultOf(
  columns: readonly string[],
  rows: readonly Row[],
  rowCount: number,
  begun: number,
  maxRows: number,
): QueryResult {
  const durationMs = performance.now() - begun;
  const first = rows.slice(0, maxRows).map((row) => columns.map((column) => row[column]!));
  return { columns, rows: first, rowCount, durationMs, truncated: rows.length > maxRows };
}
