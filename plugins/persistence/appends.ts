/**
 * Rows that several writes append to a table, inserted by one statement. Measured, a row takes half of the time.
 *
 * @module
 */

import { checkText, quoted } from "../shared/sql_text.ts";
import type { Facts } from "./authorizer.ts";
import type { ChangeFeed } from "./change_feed.ts";
import { failure } from "./failures.ts";
import type { Value } from "./sql_types.ts";
import type { Statement, Statements } from "./statements.ts";

/** The rows of the largest statement. There is one for each power of two up to it. */
const MAX_ROWS = 64;

/** Returns the statement that inserts so many rows of this length. */
export function insertion(table: string, row: readonly Value[], rows = 1): string {
  const marks = `(${row.map(() => "?").join()})`;
  return `INSERT INTO ${quoted(table)} VALUES ${Array(rows).fill(marks).join()}`;
}

/** The rows that the current transaction has appended and not inserted yet. They are of one table. */
export class Appends {
  readonly #statements: Statements;
  readonly #feed: Pick<ChangeFeed, "writing">;
  readonly #inserts = new Map<number, string>();
  #table = "";
  #width = 0;
  #values: Value[] = [];
  /** Whether an insert has failed, which may be because of any of the rows. */
  failed = false;

  constructor(statements: Statements, feed: Pick<ChangeFeed, "writing">) {
    this.#statements = statements;
    this.#feed = feed;
  }

  add(table: string, row: readonly Value[]): void {
    for (const value of row) {
      if (typeof value === "string") checkText("bad_parameter", "A parameter", value);
    }
    if (table !== this.#table || row.length !== this.#width) this.#begin(table, row);
    this.#values.push(...row);
    if (this.#values.length >= MAX_ROWS * this.#width) this.flush();
  }

  /** Call before a statement: it may use what the rows or the triggers of their table change. */
  before({ reads, writes, definesSchema }: Facts): void {
    if (this.#values.length === 0) return;
    const rows = this.#statement(1).facts;
    const isApart = rows.writes.isDisjointFrom(reads) && rows.writes.isDisjointFrom(writes) &&
      writes.isDisjointFrom(rows.reads);
    if (definesSchema || !isApart) this.flush();
  }

  /** Inserts all of them. */
  flush(): void {
    if (this.#values.length === 0) return;
    const values = this.#values;
    this.#values = [];
    try {
      for (let from = 0, rows = MAX_ROWS; from < values.length; rows /= 2) {
        const to = from + rows * this.#width;
        if (to > values.length) continue;
        this.#insert(rows, values.slice(from, to));
        from = to;
      }
    } catch (thrown) {
      this.failed = true;
      throw failure(thrown);
    }
  }

  /** Forgets them, since the transaction was rolled back. */
  clear(): void {
    this.#values = [];
    this.failed = false;
  }

  #begin(table: string, row: readonly Value[]): void {
    this.flush();
    this.#statements.get(insertion(table, row)); // Throws if there is no such table, or it has other columns.
    this.#table = table;
    this.#width = row.length;
    this.#inserts.clear();
    for (let rows = MAX_ROWS; rows >= 1; rows /= 2) this.#inserts.set(rows, insertion(table, row, rows));
  }

  #statement(rows: number): Statement {
    return this.#statements.get(this.#inserts.get(rows)!);
  }

  #insert(rows: number, values: Value[]): void {
    const { native, facts } = this.#statement(rows);
    this.#feed.writing(facts.writes);
    native.run(...values);
  }
}
