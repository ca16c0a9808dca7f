/**
 * What SQL events tell: of queries and of tables.
 *
 * @module
 */

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
