/**
 * What SQL events tell, of queries and of tables, and what running a query takes and gives.
 *
 * @module
 */

import type { Value } from "../persistence.ts";

/** A query was started. */
export interface QueryStartedData {
  /** The query's id. */
  readonly queryId: string;
  /** The SQL. */
  readonly query: string;
  /** Who did it. */
  readonly userId?: string;
  /** Milliseconds since 1970. */
  readonly timestamp?: number;
}

/** A query goes on. */
export interface QueryProgressData {
  /** The query's id. */
  readonly queryId: string;
  /** Percent, where the whole is known. */
  readonly progress?: number;
  /** What it is doing. */
  readonly message?: string;
  /** Rows so far. */
  readonly rowCount?: number;
}

/** A query has ended well. */
export interface QueryCompleteData {
  /** The query's id. */
  readonly queryId: string;
  /** How many rows it gave, or changed. */
  readonly rowCount: number;
  /** Milliseconds. */
  readonly duration: number;
}

/** A query has failed. */
export interface QueryErrorData {
  /** The query's id. */
  readonly queryId: string;
  /** What went wrong. */
  readonly error: string;
}

/** A query was cancelled. */
export interface QueryCancelledData {
  /** The query's id. */
  readonly queryId: string;
  /** Whose query it was. */
  readonly userId?: string;
  /** It goes on nevertheless until it gives a row, since its worker cannot be interrupted. */
  readonly goesOn?: true;
}

/** A table was created, modified or dropped. */
export interface TableEventData {
  /** The table's name. */
  readonly tableName: string;
  /** Who did it, where that is known. */
  readonly userId?: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

/** What each type of event carries. */
export interface SqlEventData {
  /** A query was started. */
  "query:started": QueryStartedData;
  /** A query goes on. */
  "query:progress": QueryProgressData;
  /** A query has ended well. */
  "query:complete": QueryCompleteData;
  /** A query has failed. */
  "query:error": QueryErrorData;
  /** A query was cancelled. */
  "query:cancelled": QueryCancelledData;
  /** A table was created. */
  "table:created": TableEventData;
  /** A table was altered. */
  "table:modified": TableEventData;
  /** A table was dropped. */
  "table:dropped": TableEventData;
}

/** The name of an event. */
export type SqlEventType = keyof SqlEventData;

/** How to run a query. */
export interface QueryOptions {
  /** Who runs it: told to everybody who hears the events. */
  user?: string;
  /** What events call it. @default {a new one} */
  queryId?: string;
  /** Cancels it. */
  signal?: AbortSignal;
  /** How many rows it gives, if that is known: then its progress has a percentage. */
  totalRows?: number;
  /** Whether it may write. If it does, it is a write of the store: everybody waits for it, and nothing can stop it. @default {false} */
  write?: boolean;
}

/** What a query gave. */
export interface QueryResult {
  /** The names of the columns. */
  readonly columns: readonly string[];
  /** The first rows; each has a value for each column. */
  readonly rows: readonly (readonly Value[])[];
  /** How many rows it gave in all; for a write without rows, how many it changed. */
  readonly rowCount: number;
  /** How long it took, where it ran. */
  readonly durationMs: number;
  /** Whether there were more rows than are here. */
  readonly truncated: boolean;
}

/** A query under way. */
export interface RunningQuery {
  /** What events call it. */
  readonly queryId: string;
  /** Its SQL. */
  readonly query: string;
  /** Who runs it; empty for nobody in particular. */
  readonly user: string;
  /** When it began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** The rows so far. */
  readonly rowCount: number;
  /** What it gives in the end; a failure nobody waits for is told by its event alone. */
  readonly result: Promise<QueryResult>;
}
