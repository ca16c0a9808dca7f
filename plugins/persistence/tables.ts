/**
 * What the change feed has to know of a table.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { quoted } from "../shared/sql_text.ts";
import type { Row, TableInfo, Value } from "./types.ts";

/** A table as changesets see it. */
export interface Shape {
  readonly info: TableInfo;
  /** The columns that changesets have: all but generated ones. */
  readonly columns: readonly string[];
  /** Where in `columns` the primary key is. */
  readonly key: readonly number[];
  /** Whether a session tells the rows of this table reliably now; see {@linkcode tables}. */
  recordable(): boolean;
  /** The row with this primary key, in the order of `columns`; integers as `bigint`. */
  row(key: readonly Value[]): readonly Value[] | undefined;
}

interface ColumnRow {
  name: string;
  notnull: number;
  pk: number;
  /** 1 is a virtual table's, 2 and 3 are generated. */
  hidden: number;
}

/**
 * The tables of a database, by name in lower case; looked at once until the schema changes.
 *
 * The session extension leaves out tables without a declared primary key, virtual tables, and rows whose key has a
 * NULL. It also confuses keys that a collation finds equal. A table where that may happen is not recordable.
 */
export function tables(native: DatabaseSync): { get(name: string): Shape | undefined; clear(): void } {
  const known = new Map<string, Shape | undefined>();
  return {
    get(name) {
      if (!known.has(name)) known.set(name, lookAt(native, name));
      return known.get(name);
    },
    clear: () => known.clear(),
  };
}

function lookAt(native: DatabaseSync, wanted: string): Shape | undefined {
  const rows = <R>(sql: string, name: string) => native.prepare(sql).all(name) as unknown[] as R[];
  const [table] = rows<{ name: string; type: string; wr: number }>(
    "SELECT name, type, wr FROM pragma_table_list(?) WHERE schema = 'main'",
    wanted,
  );
  if (table === undefined || table.type === "view") return undefined;
  const { name } = table;
  const all = rows<ColumnRow>(`SELECT name, "notnull", pk, hidden FROM pragma_table_xinfo(?)`, name);
  const keyColumns = all.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
  const columns = all.filter(({ hidden }) => hidden === 0).map((column) => column.name);
  const key = keyColumns.map((column) => columns.indexOf(column.name));
  const [index] = rows<{ name: string }>("SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'", name);
  const collations = index === undefined
    ? [] // the rowid itself, or no key at all
    : rows<{ coll: string }>("SELECT coll FROM pragma_index_xinfo(?) WHERE key = 1", index.name);
  const plain = table.type !== "virtual" && key.length > 0 &&
    collations.every(({ coll }) => coll === "BINARY");
  // NULL is possible in what is neither the rowid, nor declared NOT NULL, nor without rowid.
  const nullable = index === undefined || table.wr === 1
    ? []
    : keyColumns.filter(({ notnull }) => notnull === 0);
  const hasNull = nullCheck(native, name, keyColumns, nullable);
  let byKey: StatementSync | undefined;
  return {
    info: {
      name,
      columns: all.filter(({ hidden }) => hidden !== 1).map((column) => column.name),
      primaryKey: keyColumns.map((column) => column.name),
    },
    columns,
    key,
    recordable: () => plain && !hasNull(),
    row(values) {
      byKey ??= rowByKey(native, name, columns, keyColumns);
      const row = byKey.get(...values) as Row | undefined;
      return row && columns.map((column) => row[column]!);
    },
  };
}

/** Only the key's first column can be looked up in its index; NULLs in others are taken to be there. */
function nullCheck(
  native: DatabaseSync,
  table: string,
  key: readonly ColumnRow[],
  nullable: readonly ColumnRow[],
): () => boolean {
  const [first] = nullable;
  if (first === undefined) return () => false;
  if (nullable.length > 1 || first !== key[0]) return () => true;
  const check = native.prepare(`SELECT 1 FROM ${quoted(table)} WHERE ${quoted(first.name)} IS NULL LIMIT 1`);
  return () => check.get() !== undefined;
}

function rowByKey(
  native: DatabaseSync,
  table: string,
  columns: readonly string[],
  key: readonly ColumnRow[],
): StatementSync {
  const where = key.map(({ name }) => `${quoted(name)} IS ?`).join(" AND ");
  const statement = native.prepare(
    `SELECT ${columns.map(quoted).join(", ")} FROM ${quoted(table)} WHERE ${where}`,
  );
  statement.setReadBigInts(true);
  return statement;
}
