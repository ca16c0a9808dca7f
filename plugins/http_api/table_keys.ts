/**
 * The order of a table's rows, and the keys that find them: between pages, and for changes.
 *
 * @module
 */

import type { Store } from "../persistence.ts";
import { quoted } from "../shared/sql_text.ts";
import { badRequest } from "./errors.ts";

/** The names of the row's number, as far as no column has them. */
const ROWIDS = ["rowid", "_rowid_", "oid"];

/** What a statement may be given. */
export type SqlValue = string | number | bigint | Uint8Array | null;

/** A value in a statement: SQL with its parameter. */
export interface Bound {
  readonly sql: string;
  readonly value: SqlValue;
}

/**
 * Returns the columns that order a table and tell its rows apart. A key of a usual table can have NULLs, and then it is not
 * unique, so the number of the row is a part of the order.
 */
export function orderOf(
  store: Pick<Store, "all">,
  { name, columns, primaryKey }: { name: string; columns: readonly string[]; primaryKey: readonly string[] },
): readonly string[] {
  const taken = new Set(columns.map((each) => each.toLowerCase()));
  const rowid = ROWIDS.find((each) => !taken.has(each));
  const [table] = store.all<{ wr: number }>(
    "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'",
    [name],
  );
  if (table?.wr === 1 || (rowid === undefined && primaryKey.length > 0)) return primaryKey;
  if (rowid === undefined) throw badRequest("name: the rows of this table cannot be told apart");
  return [...primaryKey, rowid];
}

/**
 * SQL that reads a column of a key, and its type. A text becomes its bytes, since the runtime would cut it at a NUL. What is
 * longer than `maxBytes` has the type `long`.
 */
export function readKey(column: string, maxBytes = Infinity): [value: string, type: string] {
  const name = quoted(column);
  const bytes = `CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) ELSE ${name} END`;
  if (maxBytes === Infinity) return [bytes, `typeof(${name})`];
  const long = `octet_length(${name}) > ${maxBytes}`;
  return [
    `CASE WHEN ${long} THEN NULL ELSE ${bytes} END`,
    `CASE WHEN ${long} THEN '${LONG}' ELSE typeof(${name}) END`,
  ];
}

const LONG = "long";

/** Returns a key for JSON, from what {@linkcode readKey} has read; `null` if it is too long. */
export function keyOf(read: readonly unknown[]): unknown[] | null {
  const key: unknown[] = [];
  for (let i = 0; i < read.length; i += 2) {
    const value = read[i];
    if (read[i + 1] === LONG) return null;
    key.push(read[i + 1] === "text" && value instanceof Uint8Array ? textOf(value) : value);
  }
  return key;
}

/** Returns a text from its bytes. One that JSON or SQLite's functions would change is an object. */
export function textOf(bytes: Uint8Array): string | { text: string } {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch { /* It is not valid UTF-8. */ }
  return { text: bytes.toBase64() };
}

/** JSON can express neither large integers, nor blobs, nor infinity. */
export function plain(_name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: value.toBase64() };
  if (typeof value === "number" && !Number.isFinite(value)) return { real: String(value) };
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : { integer: String(value) };
}

/** Returns the values of a key for a statement. */
export function boundKey(given: readonly unknown[], length: number, name: string): Bound[] {
  const bound = given.map(boundOf);
  const valid = bound.length === length && bound.every((each) => each !== undefined);
  if (!valid) throw badRequest(`${name} must be a key as it was returned`);
  return bound as Bound[];
}

/** Returns a value for a statement; `undefined` if it is not one. */
export function boundOf(given: unknown): Bound | undefined {
  if (given === null || typeof given === "string") return { sql: "?", value: given };
  // The runtime passes every number on as a float, and a column of texts would get "5.0".
  if (typeof given === "number") {
    return { sql: "?", value: Number.isSafeInteger(given) ? BigInt(given) : given };
  }
  if (typeof given !== "object") return undefined;
  const { integer, base64, text, real } = given as Record<string, unknown>;
  if (typeof integer === "string" && /^-?\d{1,19}$/.test(integer)) {
    const value = BigInt(integer);
    return BigInt.asIntN(64, value) === value ? { sql: "?", value } : undefined;
  }
  if (real === "Infinity" || real === "-Infinity") return { sql: "?", value: Number(real) };
  const bytes = bytesOf(base64 ?? text);
  // The plus keeps the cast from converting the column that it is compared with.
  return bytes && { sql: base64 === undefined ? "+CAST(? AS TEXT)" : "?", value: bytes };
}

function bytesOf(base64: unknown): Uint8Array | undefined {
  if (typeof base64 !== "string") return undefined;
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return undefined;
  }
}

/** The condition for the rows behind a key. NULLs come first, and compare as equal to each other. */
export function behind(order: readonly string[], key: readonly Bound[]): { sql: string; values: SqlValue[] } {
  const values = key.map(({ value }) => value);
  if (!values.includes(null)) {
    return { sql: `(${order.map(quoted)}) > (${key.map(({ sql }) => sql)})`, values };
  }
  const alternatives = order.map((column, i) => {
    const same = order.slice(0, i).map((each, n) => `${quoted(each)} IS ${key[n]!.sql}`);
    const last = values[i] === null
      ? `${quoted(column)} IS NOT ${key[i]!.sql}`
      : `${quoted(column)} > ${key[i]!.sql}`;
    return { sql: [...same, last].join(" AND "), values: values.slice(0, i + 1) };
  });
  return {
    sql: `(${alternatives.map(({ sql }) => `(${sql})`).join(" OR ")})`,
    values: alternatives.flatMap((each) => each.values),
  };
}
