/**
 * The data of SQL events, and the options and results of queries.
 *
 * @module
 */

import type { IsolatedResult } from "../persistence.ts";

/** A query was started. */
export interface QueryStartedData {
  /** The query's id. */
  readonly queryId: string;
  /** The SQL. */
  readonly query: string;
  /** Who started it. */
  readonly userId?: string;
  /** Milliseconds since 1970. */
  readonly timestamp?: number;
}

/** A query makes progress. */
export interface QueryProgressData {
  /** The query's id. */
  readonly queryId: string;
  /** Percent, where the total is known. */
  readonly progress?: number;
  /** What it is doing. */
  readonly message?: string;
  /** Rows so far. */
  readonly rowCount?: number;
}

/** A query has completed. */
export interface QueryCompleteData {
  /** The query's id. */
  readonly queryId: string;
  /** How many rows it returned, or changed. */
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
  /** Set when it goes on until it produces a row, since its worker cannot be interrupted. */
  readonly goesOn?: true;
}

/** A table was created, modified or dropped. */
export interface TableEventData {
  /** The table's name. */
  readonly tableName: string;
  /** Who did it, if known. */
  readonly userId?: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

/** The data of each type of event. */
export interface SqlEventData {
  /** A query was started. */
  "query:started": QueryStartedData;
  /** A query makes progress. */
  "query:progress": QueryProgressData;
  /** A query has completed. */
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
  /** Who runs it; included in the events. */
  user?: string;
  /** Its id in events. @default {a new one} */
  queryId?: string;
  /** Cancels it. */
  signal?: AbortSignal;
  /** How many rows it will return, if known; its progress then has a percentage. */
  totalRows?: number;
  /** Whether it may write. A write blocks the server's thread and cannot be stopped. @default {false} */
  write?: boolean;
}

/** The rows of a query. For a write without rows, `rowCount` is how many it changed. */
export type QueryResult = IsolatedResult;

/** A running query. */
export interface RunningQuery {
  /** Its id in events. */
  readonly queryId: string;
  /** Its SQL. */
  readonly query: string;
  /** Who runs it, or an empty string. */
  readonly user: string;
  /** When it started, in milliseconds since 1970. */
  readonly startedAt: number;
  /** The rows so far. */
  readonly rowCount: number;
  /** Its result. A failure that nobody awaits is no unhandled rejection. */
  readonly result: Promise<QueryResult>;
}
