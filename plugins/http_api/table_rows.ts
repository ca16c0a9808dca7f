/**
 * Rows of a table, a page at a time.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Store, TableInfo } from "../persistence.ts";
import { OWN_TABLES } from "../shared/own_tables.ts";
import { Slices } from "../shared/slices.ts";
import { quoted } from "../shared/sql_text.ts";
import { badRequest } from "./errors.ts";
import { behind, type Bound, boundKey, keyOf, orderOf, plain, readKey, textOf } from "./table_keys.ts";

/** A longer text is cut. */
const MAX_BYTES = 1_000;

/** SQLite reads the whole of a text to cut it, so of a longer one nothing is read. */
const MAX_TEXT_BYTES = 262_144;

/** SQLite returns at most 2,000 columns, and each value needs two. */
const MAX_COLUMNS = 900;

/** Rows with a longer key cannot be changed by it. */
const MAX_KEY_BYTES = 1_000;

/** Rows that are read at once. */
const CHUNK = 10;

/** Returns a table of the app. */
export function appTable(store: Pick<Store, "table">, name: string): TableInfo {
  const table = OWN_TABLES.test(name) ? undefined : store.table(name);
  if (table !== undefined && !table.shadow) return table;
  throw new PlugboardError("not_found", `name: there is no table ${JSON.stringify(name)}`);
}

/**
 * Returns a page as JSON text. It reads by the key, so that a page costs the same anywhere in the table, and in small parts,
 * so that large values do not hold the event loop.
 */
export async function tableText(
  store: Pick<Store, "all" | "table">,
  name: string,
  limit: number,
  after: readonly unknown[] | undefined,
  mayWrite: boolean,
): Promise<string> {
  const table = appTable(store, name);
  if (table.columns.length > MAX_COLUMNS) throw badRequest(`name: it has more than ${MAX_COLUMNS} columns`);
  const order = orderOf(store, table);
  const by = order.map(quoted).join();
  const slices = new Slices();
  const read = (columns: string, from: readonly Bound[] | undefined, page: string) => {
    const where = from && behind(order, from);
    const sql = `SELECT ${columns} FROM ${quoted(table.name)} ${
      where ? `WHERE ${where.sql}` : ""
    } ORDER BY ${by} ${page}`;
    return store.all(sql, where?.values ?? [], { bigints: true }).map((row) => Object.values(row));
  };

  const width = 2 * order.length;
  const columns = named([
    ...order.flatMap((each) => readKey(each, MAX_KEY_BYTES)),
    ...table.columns.flatMap(readValue),
  ]);
  const exactKey = named(order.flatMap((each) => readKey(each)));
  const rows: unknown[][] = [];
  const keys: unknown[] = [];
  let from = after && boundKey(after, order.length, "after");
  let next: unknown[] | null | undefined;
  while (rows.length < limit) {
    const wanted = Math.min(CHUNK, limit - rows.length);
    const found = read(columns, from, `LIMIT ${wanted + 1}`);
    for (const row of found.slice(0, wanted)) {
      keys.push(keyOf(row.slice(0, width)));
      rows.push(valuesOf(row.slice(width)));
    }
    const last = found.length > wanted ? read(exactKey, from, `LIMIT 1 OFFSET ${wanted - 1}`)[0] : undefined;
    next = last && keyOf(last);
    if (!next) break;
    from = boundKey(JSON.parse(JSON.stringify(next, plain)), order.length, "after");
    if (slices.due) await slices.next();
  }
  const writable = mayWrite ? table.stored : undefined;
  return JSON.stringify(
    { columns: table.columns, writable, key: order, rows, keys, next: next ?? undefined },
    plain,
  );
}

/** Names each column, since columns with the same name would become one. */
function named(columns: readonly string[]): string {
  return columns.map((sql, i) => `${sql} AS c${i}`).join();
}

/**
 * SQL that reads a value, and what it is: a text as its bytes, as in a key; a long one without its end, with its length. Of
 * a blob only the length is read.
 */
function readValue(column: string): [value: string, type: string] {
  const name = quoted(column);
  const length = `octet_length(${name})`;
  // The function ends at a NUL.
  const begins = `CAST(substr(${name}, 1, ${MAX_BYTES}) AS BLOB)`;
  const text =
    `CASE WHEN ${length} > ${MAX_TEXT_BYTES} THEN x'' WHEN ${length} > ${MAX_BYTES} THEN ${begins} ` +
    `ELSE CAST(${name} AS BLOB) END`;
  return [
    `CASE typeof(${name}) WHEN 'text' THEN ${text} WHEN 'blob' THEN NULL ELSE ${name} END`,
    `CASE typeof(${name}) WHEN 'text' THEN CASE WHEN ${length} > ${MAX_BYTES} THEN ${length} ELSE 'text' END ` +
    `WHEN 'blob' THEN ${length} END`,
  ];
}

/** Returns the values of a row for JSON. Texts that are cut, and blobs, are objects with their length. */
function valuesOf(read: readonly unknown[]): unknown[] {
  const values: unknown[] = [];
  for (let i = 0; i < read.length; i += 2) {
    const [value, type] = [read[i], read[i + 1]];
    if (!(value instanceof Uint8Array)) values.push(type === null ? value : { bytes: type });
    else if (type === "text") values.push(textOf(value));
    else values.push({ begins: new TextDecoder().decode(value), bytes: type });
  }
  return values;
}
