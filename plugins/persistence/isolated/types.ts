import type { Inspection, Params, Row, Value } from "../sql_types.ts";

/** Where isolated reads run. */
export type RunIn = "process" | "worker";

/** Options of {@linkcode IsolatedReads}. */
export interface IsolatedOptions {
  /**
   * Where they run. A worker is for SQL of your own: it cannot be stopped between two rows, and the limit of its memory
   * would be that of the whole server. @default {"process"}
   */
  readonly runIn?: RunIn | undefined;
  /** Whether the SQL is your own, so that it runs in a worker where no process can be started. @default {false} */
  readonly trusted?: boolean;
  /** Memory for SQLite in a process; a query that needs more fails. A worker has no such limit. @default {268435456} */
  readonly maxMemoryBytes?: number | undefined;
  /** The plugin that errors about these options name. @default {"isolated reads"} */
  readonly plugin?: string;
}

/** Limits of one read. */
export interface IsolatedLimits {
  /** A read with more rows is refused. */
  readonly maxRows: number;
  /** How long it may take, waiting included. */
  readonly maxMs: number;
  /** Who asks. Users take turns. @default {""} */
  readonly user?: string;
  /** Whether it waits for its turn as long as it takes, so that `maxMs` begins then. @default {false} */
  readonly patient?: boolean;
}

/** The rows that one read returned. */
export interface IsolatedResult {
  /** The names of the columns. */
  readonly columns: readonly string[];
  /** The first rows; each has a value for each column. */
  readonly rows: readonly (readonly Value[])[];
  /** The number of all rows. */
  readonly rowCount: number;
  /** How long it took, where it ran. */
  readonly durationMs: number;
  /** Whether there were more rows than are here. */
  readonly truncated: boolean;
}

/** A read in progress. */
export interface IsolatedRead {
  /** The rows so far. */
  readonly rowCount: number;
  /** Rejects with `cancelled` after `stop`. */
  readonly result: Promise<IsolatedResult>;
  /** Stops it; `true` if it stops at once, `false` if it goes on until it produces a row. */
  stop(): boolean;
}

/**
 * Reads outside of the server's thread, for SQL that the server does not trust or that may take long. The event loop stays
 * free, and the reads can be stopped. They see committed data only. A process stops at once. A worker stops between two
 * rows, since SQLite cannot be interrupted from JavaScript: an aggregate runs until it has its row, and keeps its place.
 */
export interface IsolatedReads {
  /** Inspects a query without running it. */
  inspect(sql: string, limits: Omit<IsolatedLimits, "maxRows">): Promise<Inspection>;
  /**
   * All rows. Rejects with `timeout`, `too_many_rows`, `overloaded` where it waited too long, `not_available` without the
   * permission to start processes, or the code of a failed query. Few run at once; others wait.
   */
  read(sql: string, params: Params, limits: IsolatedLimits): Promise<Row[]>;
  /** Starts a read at once, keeping only the first rows. The caller limits how many run. */
  start(sql: string, params: Params, keep: { maxRows: number; maxBytes: number }): IsolatedRead;
  /** Refuses new reads, rejects those that wait, and stops those that run. The store does it when it stops. */
  end(): Promise<void>;
}
