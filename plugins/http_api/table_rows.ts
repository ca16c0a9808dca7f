/**
 * Rows of a table, a page at a time.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Store } from "../persistence.ts";
import { OWN_TABLES } from "../shared/own_tables.ts";
import { badRequest } from "./errors.ts";

/** How much of a long value is read. */
const MAX_CHARS = 1_000;

/** The order of a table without a primary key. */
const ROWID = "rowid";

/** Returns a page as JSON text. It reads by the key, so that a page costs the same anywhere in the table. */
export function tableText(
  store: Pick<Store, "all" | "table">,
  name: string,
  limit: number,
  after: readonly unknown[] | undefined,
): string {
  const table = OWN_TABLES.test(name) ? undefined : store.table(name);
  if (table === undefined || table.shadow) {
    throw new PlugboardError("not_found", `name: there is no table ${JSON.stringify(name)}`);
  }
  const key = table.primaryKey.length > 0 ? table.primaryKey : [ROWID];
  const from = after === undefined ? undefined : valuesOf(after, key.length);
  const columns = [
    ...key.map((each, i) => `${quoted(each)} AS key${i}`),
    ...table.columns.map((each, i) => `${shortened(each)} AS value${i}`),
  ];
  const where = from && `WHERE (${key.map(quoted)}) > (${key.map(() => "?")})`;
  const sql = `SELECT ${columns} FROM ${quoted(table.name)} ${where ?? ""} ` +
    `ORDER BY ${key.map(quoted)} LIMIT ${limit + 1}`;
  const found = store.all(sql, from ?? [], { bigints: true }).map((row) => Object.values(row));
  const page = found.slice(0, limit);
  const next = found.length > limit ? page.at(-1)?.slice(0, key.length) : undefined;
  const rows = page.map((row) => row.slice(key.length));
  return JSON.stringify({ columns: table.columns, key, rows, next }, plain);
}

/** A text keeps its type, and a blob becomes its length. */
function shortened(column: string): string {
  const name = quoted(column);
  return `CASE typeof(${name}) WHEN 'text' THEN substr(${name}, 1, ${MAX_CHARS}) ` +
    `WHEN 'blob' THEN '[' || length(${name}) || ' bytes]' ELSE ${name} END`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function valuesOf(after: readonly unknown[], length: number): SqlValue[] {
  const values = after.map(valueOf);
  const valid = values.length === length && values.every((each) => each !== undefined);
  if (!valid) throw badRequest("after must be the `next` of the previous page");
  return values as SqlValue[];
}

type SqlValue = string | number | bigint | Uint8Array;

function valueOf(given: unknown): SqlValue | undefined {
  if (typeof given === "string" || typeof given === "number") return given;
  if (typeof given !== "object" || given === null) return undefined;
  const { integer, base64 } = given as Record<string, unknown>;
  if (typeof integer === "string") return /^-?\d{1,19}$/.test(integer) ? BigInt(integer) : undefined;
  if (typeof base64 !== "string") return undefined;
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return undefined;
  }
}

/** JSON can express neither large integers nor blobs. */
function plain(_name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: value.toBase64() };
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : { integer: String(value) };
}
