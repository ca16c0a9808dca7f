/**
 * As much of SQL's grammar as tells where a statement begins. Preparing a text without any statement gives an object
 * whose methods end the process, so it must not come to that.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** White space as SQLite sees it, comments, and semicolons that end nothing. An open comment goes on to the end. */
const NOTHING = /(?:[ \t\n\f\r\uFEFF;]|--[^\n]*(?:\n|$)|\/\*[^]*?(?:\*\/|$))*/y;

/** Where the next statement begins, or the length of the text if there is none. */
export function beginOfStatement(sql: string, from = 0): number {
  NOTHING.lastIndex = from;
  NOTHING.test(sql);
  const begin = NOTHING.lastIndex;
  if (begin < sql.length && !/[a-z]/i.test(sql[begin]!)) {
    throw new PlugboardError("bad_sql", `A statement cannot begin with ${JSON.stringify(sql[begin])}`);
  }
  return begin;
}

/** Refuses what would not arrive: SQLite's text ends at a NUL, and half a surrogate pair has no UTF-8. */
export function checkText(code: string, what: string, text: string): void {
  if (text.includes("\0")) throw new PlugboardError(code, `${what} must not contain a NUL character`);
  if (!text.isWellFormed()) throw new PlugboardError(code, `${what} contains half a surrogate pair`);
}

/** A name as SQL takes it, whatever it contains. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
