/**
 * Plans: what is known of a query before any of its instances runs.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import { conditionsOf } from "./conditions.ts";
import type { Inspection } from "../persistence.ts";
import type { LiveStore, Schema } from "./schema.ts";
import { isSymbol, isWord, tokenize } from "./tokens.ts";
import type { Dependency } from "./wakes.ts";

/** A query that was looked at. */
export interface Plan {
  readonly sql: string;
  readonly dependencies: readonly Dependency[];
  /** The result's columns that tell rows apart; null if only their position does. */
  readonly key: readonly string[] | null;
}

/** Functions whose value is another each time. */
const VOLATILE = ["random", "randomblob", "last_insert_rowid", "changes", "total_changes"];
const CLOCKS = ["current_timestamp", "current_date", "current_time"];
const DATES = ["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];

/** Looks at a query. Refuses one that depends on the time, unless it is run again at intervals anyway. */
export function planOf(
  sql: string,
  store: LiveStore,
  schema: Schema,
  { key, refreshed, recursion }: {
    key: readonly string[] | undefined;
    refreshed: boolean;
    recursion: boolean;
  },
): Plan {
  const inspection = store.inspect(sql);
  if (inspection.functions.has("load_extension")) {
    throw new PlugboardError("bad_request", "A query cannot load extensions");
  }
  if (!refreshed) refuseVolatile(sql, inspection);
  if (inspection.recursive && !recursion) {
    throw new PlugboardError(
      "bad_request",
      "A recursive query could run for ever, so it must be declared by the server",
    );
  }
  return {
    sql,
    dependencies: dependenciesOf(sql, inspection, schema),
    key: key ?? keyIn(inspection, schema),
  };
}

/** The base tables it reads; whatever it reads through views is among them. */
function dependenciesOf(sql: string, { reads }: Inspection, schema: Schema): Dependency[] {
  // Through a view, a table may be read a second time, without the condition.
  const plain = [...reads.keys()].every((name) => schema.table(name) !== undefined);
  const conditions = plain ? conditionsOf(sql, (table) => schema.table(table)?.columns) : undefined;
  return [...reads].flatMap(([name, columns]) => {
    const table = schema.table(name);
    if (table === undefined) return [];
    const stored = Array.from(columns, (column) => table.columns.get(column.toLowerCase()));
    // A generated column depends on others, whichever they are.
    const read = stored.includes(undefined) ? table.columns.values() : stored as string[];
    const needed = (conditions?.get(name.toLowerCase()) ?? []).map(({ column, operands }) => ({
      column: table.columns.get(column)!,
      operands,
    }));
    return [{ table: table.name, columns: new Set(read), conditions: needed }];
  });
}

function refuseVolatile(sql: string, { functions }: Inspection): void {
  const found = [...VOLATILE, ...CLOCKS].find((name) => functions.has(name)) ??
    DATES.find((name) => functions.has(name) && readsClock(sql, name));
  if (found === undefined) return;
  throw new PlugboardError(
    "bad_request",
    `The query calls ${found}, so its result changes without a write; give it a refresh interval`,
  );
}

/** Whether a date function is about now: told so, or left without a date. */
function readsClock(sql: string, name: string): boolean {
  const tokens = tokenize(sql);
  if (tokens.some((token) => token.type === "string" && token.text.toLowerCase() === "now")) return true;
  return tokens.some((token, i) => {
    if (!isWord(token, name) || !isSymbol(tokens[i + 1], "(")) return false;
    const bare = isSymbol(tokens[i + 2], ")");
    return bare || (name === "strftime" && tokens[i + 2]?.type === "string" && isSymbol(tokens[i + 3], ")"));
  });
}

/**
 * The primary key's columns in the result, where the query reads rows of one table and nothing else. A join or an
 * aggregate may give the same key twice; that shows when it runs, and then the position tells rows apart.
 */
function keyIn({ reads, columns }: Inspection, schema: Schema): readonly string[] | null {
  if (reads.size !== 1) return null;
  const table = schema.table([...reads.keys()][0]!);
  if (table === undefined || table.primaryKey.length === 0) return null;
  const names = table.primaryKey.map((key) =>
    columns.find(({ table: origin, column }) => origin === table.name && column === key)?.name
  );
  return names.every((name) => name !== undefined) ? names : null;
}
