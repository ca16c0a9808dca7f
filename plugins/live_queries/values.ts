/**
 * Values as SQLite compares them, reduced to keys.
 *
 * @module
 */

/** What a cell of a table holds. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** Parameters by name, without the sign before it. */
export type Params = Readonly<Record<string, SqlValue>>;

/**
 * A key with this promise: values that SQLite finds equal, in a column of whatever affinity and collation, have the
 * same key. The other way round it need not hold: a key shared by unequal values wakes a query too many, no more.
 *
 * So numbers and texts that look like numbers fall together (a column's affinity turns one into the other), and so
 * do upper and lower case and trailing spaces (NOCASE, RTRIM).
 */
export function keyOf(value: SqlValue | boolean | undefined): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "object") return keyOf(new TextDecoder().decode(value));
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value !== "string") return String(Number(value));
  const text = value.trim();
  const number = text === "" ? NaN : Number(text);
  return Number.isNaN(number) ? `'${text.toLowerCase()}` : String(number);
}
