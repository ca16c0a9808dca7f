/**
 * Values as SQLite compares them, reduced to keys.
 *
 * @module
 */

/** What a cell of a table holds. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** Parameters by name, without the sign before it. */
export type Params = Readonly<Record<string, SqlValue>>;

/** Parameters by name, or in a list by their number: `?`, `?1` or `$1`. */
export type Arguments = Params | readonly SqlValue[];

/** The value of a parameter as it stands in SQL, with its sign. */
export function valueOf(params: Arguments, param: string): SqlValue | undefined {
  const name = param.slice(1);
  return isList(params) ? params[Number(name) - 1] : params[name];
}

/** What SQLite is to bind: a list for `?`, and names for everything else, which `$1` is to SQLite. */
export function bound(params: Arguments, byPosition: boolean): Arguments {
  if (byPosition || !isList(params)) return params;
  return Object.fromEntries(params.map((value, i) => [String(i + 1), value]));
}

function isList(params: Arguments): params is readonly SqlValue[] {
  return Array.isArray(params);
}

/** The same text for the same parameters, and another for others: 1 is not "1". */
export function textOf(params: Arguments): string {
  const entries = isList(params) ? params : Object.entries(params).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify(entries, (_, value) => {
    const unsaid = typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value));
    if (unsaid) return { number: String(value) };
    return value instanceof Uint8Array ? { bytes: value.toBase64() } : value;
  });
}

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
