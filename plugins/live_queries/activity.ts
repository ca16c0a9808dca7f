/**
 * What live queries do, for operators: how often writes wake them, how long they take, and which write was the last.
 *
 * @module
 */

import type { Changes } from "../persistence.ts";
import type { Arguments } from "./values.ts";

/** A write that woke a query. */
export interface Cause {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The changed tables with their numbers of rows; absent where the rows are not known. */
  readonly tables: readonly { readonly table: string; readonly rows?: number }[];
  /** Whether it changed the schema, or came from another process. */
  readonly everything: boolean;
}

/** Counts what happens. */
export class Activity implements Counts {
  wakes = 0;
  runs = 0;
  diffs = 0;
  totalMs = 0;
  slowestMs = 0;
  wokenBy: Cause | undefined;

  woken(cause: Cause): void {
    this.wakes++;
    this.wokenBy = cause;
  }

  ran(tookMs: number): void {
    this.runs++;
    this.totalMs += tookMs;
    this.slowestMs = Math.max(this.slowestMs, tookMs);
  }
}

/** Counts of a query, or of one instance of it, as operators see them. */
export interface Counts {
  /** How often a write woke it. */
  readonly wakes: number;
  /** How often it ran. */
  readonly runs: number;
  /** How often its result had changed. */
  readonly diffs: number;
  /** The time of all runs, in milliseconds. */
  readonly totalMs: number;
  /** The time of the slowest run. */
  readonly slowestMs: number;
  /** The latest write that woke it; absent if none has. */
  readonly wokenBy: Cause | undefined;
}

/** What operators see of a query. */
export interface QueryInfo extends Counts {
  /** The name; for SQL that was not declared, the SQL is in it. */
  readonly name: string;
  /** The SQL. */
  readonly sql: string;
  /** Whether the app declared it. */
  readonly declared: boolean;
  /** The columns that it reads, by table; a write to others does not wake it. */
  readonly reads: readonly { readonly table: string; readonly columns: readonly string[] }[];
  /** The number of instances: different parameters. */
  readonly instances: number;
}

/** What operators see of a query with certain parameters. */
export interface InstanceInfo extends Counts {
  /** Identifies it. */
  readonly id: string;
  /** The parameters. */
  readonly params: Arguments;
  /** The number of rows. */
  readonly rows: number;
  /** The characters of its whole result. */
  readonly chars: number;
  /** How long the latest run took. */
  readonly tookMs: number;
  /** The channels it publishes to. */
  readonly channels: readonly string[];
}

/** Returns the cause of a wake. */
export function causeOf({ tables, schema, outside }: Changes, time: number): Cause {
  const changed = Array.from(tables.values(), ({ table, rows }) => {
    return rows === undefined ? { table } : { table, rows: rows.length };
  });
  return { time, tables: changed, everything: schema || outside };
}
