/**
 * Refusals: queries whose results can change although no write can be seen. What is not known is refused.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Inspection, Store } from "../persistence.ts";
import { isSymbol, isWord, type Token } from "./tokens.ts";

/** Functions that return another value on each call, or read what the authorizer does not report. */
const VOLATILE = [
  "random",
  "randomblob",
  "last_insert_rowid",
  "changes",
  "total_changes",
  "current_timestamp",
  "current_date",
  "current_time",
  "rtreecheck",
  "optimize",
  "sqlite_log",
];

/** Functions that read the clock where their argument says so, or where it is missing. */
const DATES = ["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];

/** Tables that only change with the schema, which wakes all queries. */
const OF_THE_SCHEMA =
  /^(sqlite_(master|schema)|json(b)?_(each|tree)|pragma_(collation_list|foreign_key_list|function_list|index_(x?info|list)|table_(x?info|list)))$/;

/** Virtual tables that change by writes to themselves only. */
const MODULES = ["fts3", "fts4", "fts5", "rtree", "rtree_i32"];

/** Throws a sentence if a query's result can change without a write that wakes it. */
export function refuseUnseen(
  tokens: readonly Token[],
  inspection: Inspection,
  tables: Pick<Store, "table">,
): void {
  refuseVolatile(tokens, inspection);
  const [first, pragma] = tokens;
  if (isWord(first, "pragma") && !OF_THE_SCHEMA.test(`pragma_${pragma?.text}`)) {
    throw refused(`The query uses the pragma "${pragma?.text}"`);
  }
  for (const [name, columns] of inspection.reads) {
    if (!seen(name, columns, tokens, inspection, tables)) throw refused(`The query reads "${name}"`);
  }
}

/** Whether the changes of a table wake the queries that read it. */
function seen(
  name: string,
  columns: ReadonlySet<string>,
  tokens: readonly Token[],
  { reads }: Inspection,
  tables: Pick<Store, "table">,
): boolean {
  if (OF_THE_SCHEMA.test(name)) return true;
  const table = tables.table(name);
  // Without columns, it may be the name of a common table expression.
  if (table === undefined) return columns.size === 0 && isCommon(name, tokens);
  if (/^sqlite_/.test(name)) return false;
  if (table.module !== null) return MODULES.includes(table.module);
  // Full-text search reads its own tables.
  return !table.shadow || [...reads.keys()].some((owner) => owner !== name && name.startsWith(`${owner}_`));
}

function isCommon(name: string, tokens: readonly Token[]): boolean {
  return tokens.some((token) => isWord(token, "with")) &&
    tokens.filter(({ text }) => text === name).length > 1;
}

function refuseVolatile(tokens: readonly Token[], { functions, viaView }: Inspection): void {
  const found = VOLATILE.find((name) => functions.has(name)) ??
    // A view may call it with another argument.
    DATES.find((name) => functions.has(name) && (viaView.size > 0 || !readsNoClock(tokens, name)));
  if (found !== undefined) throw refused(`The query calls ${found}`);
}

/**
 * Whether every call has a date that is written in the query, or a number of seconds or days. The text in a column or a
 * parameter can be "now".
 */
function readsNoClock(tokens: readonly Token[], name: string): boolean {
  const calls = tokens.flatMap(({ text }, i) => text === name && isSymbol(tokens[i + 1], "(") ? [i + 2] : []);
  return calls.length > 0 && calls.every((at) => {
    const args = argumentsAt(tokens, at);
    const [date, second] = name === "strftime" ? args.slice(1) : args;
    const dates = name === "timediff" ? [date, second] : [date];
    if (dates.every((arg) => arg?.length === 1 && isWrittenDate(arg[0]!))) return true;
    const [unit, ...rest] = second ?? [];
    return name !== "timediff" && rest.length === 0 && unit?.type === "string" &&
      /^(unixepoch|julianday)$/i.test(unit.text);
  });
}

function isWrittenDate({ type, text }: Token): boolean {
  return type === "number" || (type === "string" && /^\s*[\d+-]/.test(text));
}

/** The arguments of the call whose first argument begins here. */
function argumentsAt(tokens: readonly Token[], start: number): Token[][] {
  const args: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens.slice(start)) {
    if (isSymbol(token, ")") && depth-- === 0) break;
    if (isSymbol(token, "(")) depth++;
    if (depth === 0 && isSymbol(token, ",")) args.push([]);
    else args.at(-1)!.push(token);
  }
  return args;
}

function refused(sentence: string): PlugboardError {
  const reason = "so its result can change without a write that is seen";
  return new PlugboardError("bad_request", `${sentence}, ${reason}; declare it with a refresh interval`);
}
