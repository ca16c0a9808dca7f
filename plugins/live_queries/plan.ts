/**
 * Plans: what SQLite says about a query before it runs.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Inspection, Store, TableInfo } from "../persistence.ts";
import { lowerName } from "../shared/sql_text.ts";
import { conditionsOf } from "./conditions.ts";
import type { AnyQuery } from "./definition.ts";
import { refuseUnseen } from "./refusals.ts";
import { tokenize } from "./tokens.ts";
import type { Dependency } from "./wake_index.ts";

/** The facts about a query that hold for any parameters. */
export interface Plan {
  readonly dependencies: readonly Dependency[];
  /** The result columns that identify a row; `null` where only its position does. */
  readonly key: readonly string[] | null;
  /** Whether it has unnamed parameters: `?`. */
  readonly byPosition: boolean;
}

/** Where tables are looked up. */
export type Tables = Pick<Store, "table">;

/** Plans a query. Refuses one that can change without a write, unless it also runs at an interval. */
export function planOf(
  { sql, key, refreshMs }: AnyQuery,
  inspection: Inspection,
  tables: Tables,
): Plan {
  const tokens = tokenize(sql);
  if (refreshMs === undefined) refuseUnseen(tokens, inspection, tables);
  return {
    dependencies: dependenciesOf(sql, inspection, tables),
    key: key ?? keyIn(inspection, tables),
    byPosition: tokens.some(({ type, text }) => type === "param" && text.startsWith("?")),
  };
}

/** The tables that a query reads, directly or through views. */
function dependenciesOf(sql: string, { reads, viaView }: Inspection, tables: Tables): Dependency[] {
  const conditions = conditionsOf(sql, (name) => storedColumns(tables.table(name)));
  return Array.from(reads, ([name, columns]) => {
    const table = tables.table(name);
    const stored = storedColumns(table);
    // Changes of a virtual table come without rows, so columns and conditions are of no use.
    if (table === undefined || stored === undefined) {
      return { table: name, columns: new Set(), conditions: [] };
    }
    // A row can get another rowid and keep its primary key. The change feed does not report that.
    if (columns.has("rowid") && !stored.has("rowid") && table.primaryKey.length > 0) {
      throw new PlugboardError(
        "bad_request",
        `The query reads the rowid of "${table.name}", whose changes cannot be seen; read its primary key instead`,
      );
    }
    const read = Array.from(columns, (column) => stored.get(column));
    // A generated column depends on others. Which ones is unknown.
    const needed = read.includes(undefined) ? table.stored : read as string[];
    // A view may read the table a second time, without the condition.
    const required = viaView.has(name) ? [] : (conditions.get(name) ?? []).map(({ column, operands }) => ({
      column: stored.get(column)!,
      operands,
    }));
    return { table: name, columns: new Set(needed), conditions: required };
  });
}

/** The stored columns of a base table, by name in lower case. Changes contain no others. */
function storedColumns(table: TableInfo | undefined): ReadonlyMap<string, string> | undefined {
  if (table === undefined || table.virtual) return undefined;
  return new Map(table.stored.map((column) => [lowerName(column), column]));
}

/**
 * The columns of the primary key in the result, where the query reads a single table. A self-join or an aggregate may
 * return a key twice; `Result` finds that out and falls back to positions.
 */
function keyIn({ reads, columns }: Inspection, tables: Tables): readonly string[] | null {
  if (reads.size !== 1) return null;
  const table = tables.table([...reads.keys()][0]!);
  if (table === undefined || table.virtual || table.primaryKey.length === 0) return null;
  const names = table.primaryKey.map((key) =>
    columns.find(({ table: origin, column }) => origin === table.name && column === key)?.name
  );
  return names.every((name) => name !== undefined) ? names : null;
}
