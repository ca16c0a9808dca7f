import type { DatabaseSync, StatementSync } from "node:sqlite";
import { quoted, VIRTUAL_TABLE } from "../shared/sql_text.ts";
import type { Row, TableInfo, Value } from "./sql_types.ts";

/** A table, with what the change feed needs. */
export interface Table {
  readonly info: TableInfo;
  /** The indexes of the primary key's columns among the stored ones. */
  readonly key: readonly number[];
  /** Whether a session records the rows of this table reliably now; see {@linkcode catalog}. */
  recordable(): boolean;
  /** Returns the row with this primary key, in the order of the stored columns; integers as `bigint`. */
  row(key: readonly Value[]): readonly Value[] | undefined;
}

/** The tables of a database, by name in lower case. */
export interface Catalog {
  /** Returns a table; `undefined` for views and unknown names. */
  get(name: string): Table | undefined;
  /** Clears the cache after a change of the schema. */
  clear(): void;
}

interface ColumnRow {
  name: string;
  notnull: number;
  pk: number;
  /** 1 for hidden columns of a virtual table, 2 and 3 for generated ones. */
  hidden: number;
}

/**
 * Reads and caches tables.
 *
 * The session extension ignores tables without a declared primary key, virtual tables, and rows with NULL in their key.
 * It also confuses keys that are equal by a collation. A table where that can happen is not recordable.
 */
export function catalog(native: DatabaseSync): Catalog {
  const cache = new Map<string, Table | undefined>();
  return {
    get(name) {
      if (!cache.has(name)) cache.set(name, readTable(native, name));
      return cache.get(name);
    },
    clear: () => cache.clear(),
  };
}

function readTable(native: DatabaseSync, wanted: string): Table | undefined {
  // The runtime would cut it there, and find the table of another name.
  if (wanted.includes("\0")) return undefined;
  const rows = <R>(sql: string, name: string) => native.prepare(sql).all(name) as unknown[] as R[];
  const [table] = rows<{ name: string; type: string; wr: number }>(
    "SELECT name, type, wr FROM pragma_table_list(?) WHERE schema = 'main'",
    wanted,
  );
  if (table === undefined || table.type === "view") return undefined;
  const { name } = table;
  const virtual = table.type === "virtual";
  const all = rows<ColumnRow>(`SELECT name, "notnull", pk, hidden FROM pragma_table_xinfo(?)`, name);
  const key = all.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
  const [index] = rows<{ name: string }>("SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'", name);
  const collations = index === undefined
    ? [] // the key is the rowid, or there is none
    : rows<{ coll: string }>("SELECT coll FROM pragma_index_xinfo(?) WHERE key = 1", index.name);
  const unambiguous = !virtual && key.length > 0 && collations.every(({ coll }) => coll === "BINARY");
  // NULL is possible unless the column is the rowid, declared NOT NULL, or in a table WITHOUT ROWID.
  const strict = index === undefined || table.wr === 1;
  const hasNull = nullCheck(native, name, key, strict ? [] : key.filter(({ notnull }) => notnull === 0));
  const stored = all.filter(({ hidden }) => hidden === 0).map((column) => column.name);
  let byKey: StatementSync | undefined;
  return {
    info: {
      name,
      virtual,
      module: virtual ? moduleOf(native, name) : null,
      shadow: table.type === "shadow",
      columns: all.filter(({ hidden }) => hidden !== 1).map((column) => column.name),
      stored,
      primaryKey: key.map((column) => column.name),
    },
    key: key.map((column) => stored.indexOf(column.name)),
    recordable: () => unambiguous && !hasNull(),
    row(values) {
      byKey ??= rowByKey(native, name, stored, key);
      const row = byKey.get(...values) as Row | undefined;
      return row && stored.map((column) => row[column]!);
    },
  };
}

/** The option of full-text tables that names the table of their content. */
const CONTENT = /\bcontent\s*=/i;

/** The module of a virtual table; empty if its content is in another table, or its SQL has an unusual form. */
function moduleOf(native: DatabaseSync, name: string): string {
  const row = native.prepare("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name);
  const sql = String(row?.sql);
  return CONTENT.test(sql) ? "" : VIRTUAL_TABLE.exec(sql)?.[1]?.toLowerCase() ?? "";
}

/**
 * Returns a function that tells whether a key may contain NULL. Where only the first column of the key can be NULL, it
 * looks it up in the key's index. Otherwise it assumes that there are NULLs.
 */
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
