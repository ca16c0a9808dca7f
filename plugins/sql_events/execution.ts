/**
 * Executions: the three ways a query runs.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Params, Row, Store, Transaction } from "../persistence.ts";
import type { Executor } from "./executor.ts";
import type { Pool } from "./pool.ts";
import type { ReadRequest } from "./reader.ts";
import type { Tables } from "./tables.ts";
import type { QueryResult } from "./types.ts";

/** A query under way. */
export interface Execution {
  /** The rows so far. */
  readonly rowCount: number;
  readonly result: Promise<QueryResult>;
  /** Has it stopped; `true` if it certainly does nothing more. */
  stop(): boolean;
}

/** Reads in an executor of the pool. */
export function reading(pool: Pool, request: ReadRequest): Execution {
  const executor: Executor = pool.take();
  const read = async () => {
    try {
      return await executor.read(request);
    } finally {
      pool.give(executor);
    }
  };
  return {
    result: read(),
    stop: () => executor.stop(),
    get rowCount() {
      return executor.rowCount;
    },
  };
}

/**
 * Runs what only reads where it can be stopped, and only what does more in the store: whether it does shows when it is
 * prepared, and preparing it may take for ever too.
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

/** Writes in a transaction of the store. It can be stopped as long as it has not begun; then nothing else can run. */
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

/** With more rows than this, a query of a database in memory is refused: all of them are held at once. */
const MEMORY_ROWS = 100_000;

/** Reads from a database in memory, which no other thread can open: everybody waits for it. */
export function readingInMemory(
  store: Pick<Store, "all" | "inspect">,
  { sql, params, maxRows }: { sql: string; params: Params; maxRows: number },
): Execution {
  return stoppable(async (check) => {
    await new Promise((resolve) => setImmediate(resolve)); // so that it can still be cancelled, and is told of first
    check();
    const { columns, recursive } = store.inspect(sql);
    if (recursive) {
      throw new PlugboardError(
        "not_available",
        "A recursive query needs a database file: it could run for ever",
      );
    }
    const begun = performance.now();
    const rows = store.all(sql, params, { maxRows: MEMORY_ROWS });
    return resultOf(columns.map(({ name }) => name), rows, rows.length, begun, maxRows);
  });
}

/** An execution that asks, before it begins, whether it was stopped. */
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
  // `changes` still speaks of an earlier statement where this one changed nothing.
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
