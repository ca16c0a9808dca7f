/**
 * What SQL events tell: of queries and of tables.
 *
 * @module
 */

/** A query was started. */
export interface QueryStartedData {
  readonly queryId: string;
  readonly query: string;
  readonly userId?: string;
  /** Milliseconds since 1970. */
  readonly timestamp?: number;
}

/** A query goes on. */
export interface QueryProgressData {
  readonly queryId: string;
  /** Percent, where the whole is known. */
  readonly progress?: number;
  readonly message?: string;
  readonly rowCount?: number;
}

/** A query has ended well. */
export interface QueryCompleteData {
  readonly queryId: string;
  readonly rowCount: number;
  /** Milliseconds. */
  readonly duration: number;
}

/** A query has failed. */
export interface QueryErrorData {
  readonly queryId: string;
  readonly error: string;
}

/** A query was cancelled. */
export interface QueryCancelledData {
  readonly queryId: string;
  readonly userId?: string;
}

/** A table was created, modified or dropped. */
export interface TableEventData {
  readonly tableName: string;
  readonly userId?: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

/** What each type of event carries. */
export interface SqlEventData {
  "query:started": QueryStartedData;
  "query:progress": QueryProgressData;
  "query:complete": QueryCompleteData;
  "query:error": QueryErrorData;
  "query:cancelled": QueryCancelledData;
  "table:created": TableEventData;
  "table:modified": TableEventData;
  "table:dropped": TableEventData;
}
