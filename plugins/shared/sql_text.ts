/**
 * As much of SQL's grammar as shows where a statement begins. Using a prepared statement made from a text without any
 * statement ends the process, so such texts must be refused before.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/**
 * Returns the index of the first character from `from` on that is no white space, comment or semicolon. An open
 * comment extends to the end. `\s` matches more than SQLite skips, never less.
 *
 * Also runs as source text in a worker, so it uses nothing outside of itself.
 */
export function skipBlank(sql: string, from = 0): number {
  const blank = /(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[^]*?(?:\*\/|$))*/y;
  blank.lastIndex = from;
  blank.test(sql);
  return blank.lastIndex;
}

/** Whether the SQL contains a statement, and no NUL character, at which SQLite stops. */
export function hasStatement(sql: string): boolean {
  return skipBlank(sql) < sql.length && !sql.includes("\0");
}

/** Returns where the next statement begins, or the length of the text if there is none. */
export function startOfStatement(sql: string, from = 0): number {
  const start = skipBlank(sql, from);
  if (start < sql.length && !/[a-z]/i.test(sql[start]!)) {
    throw new PlugboardError("bad_sql", `A statement cannot begin with ${JSON.stringify(sql[start])}`);
  }
  return start;
}

/** Refuses text that SQLite would not return unchanged: it ends text at a NUL, and a lone surrogate has no UTF-8. */
export function checkText(code: string, what: string, text: string): void {
  if (text.includes("\0")) throw new PlugboardError(code, `${what} must not contain a NUL character`);
  if (!text.isWellFormed()) throw new PlugboardError(code, `${what} contains half a surrogate pair`);
}

/** Quotes a name for SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Returns a name as SQLite compares it: only the letters A to Z are the same in both cases. */
export function lowerName(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * Matches the SQL of a virtual table as SQLite stores it, and captures the module. The name and what follows are as they
 * were written.
 */
export const VIRTUAL_TABLE =
  /^CREATE VIRTUAL TABLE\s+(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|[^\s"'`[]+)\s+USING\s+(\w+)/i;
