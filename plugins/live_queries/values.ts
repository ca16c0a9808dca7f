/**
 * SQL values, and keys that compare as SQLite compares the values.
 *
 * @module
 */

/** The value of a column. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** Parameters by name, without the prefix `:`, `@` or `$`. */
export type Params = Readonly<Record<string, SqlValue>>;

/** Parameters by name, or as a list for `?`, `?1` and `$1`. */
export type Arguments = Params | readonly SqlValue[];

/** Returns the value of a parameter as SQL writes it, with its prefix. */
export function valueOf(params: Arguments, param: string): SqlValue | undefined {
  const name = param.slice(1);
  return isList(params) ? params[Number(name) - 1] : params[name];
}

/** Returns what SQLite must bind: a list for `?`, names for all others. `$1` is a name to SQLite. */
export function bound(params: Arguments, byPosition: boolean): Arguments {
  if (byPosition || !isList(params)) return params;
  return Object.fromEntries(params.map((value, i) => [String(i + 1), value]));
}

function isList(params: Arguments): params is readonly SqlValue[] {
  return Array.isArray(params);
}

/** Returns the same text for equal parameters only; 1 and "1" differ. */
export function textOf(params: Arguments): string {
  const entries = isList(params) ? params : Object.entries(params).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify(entries, (_, value) => {
    const notInJson = typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value));
    if (notInJson) return { number: String(value) };
    return value instanceof Uint8Array ? { bytes: value.toBase64() } : value;
  });
}

/**
 * Returns a key. Values that SQLite compares as equal, in a column of any affinity and collation, have the same key.
 * Unequal values may share one; a query is then woken without need.
 *
 * So a number and the text of it have the same key, because a column's affinity converts one into the other. Case and
 * trailing spaces are ignored because of the collations NOCASE and RTRIM.
 */
export function keyOf(value: SqlValue | boolean | undefined): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "object") return keyOf(new TextDecoder().decode(value));
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value !== "string") return String(Number(value));
  const text = value.trim();
  const number = text === "" ? NaN : numberIn(text);
  return Number.isNaN(number) ? `'${text.toLowerCase()}` : String(number);
}

/** SQLite reads "inf" and "infinity" as numbers, in any case. */
function numberIn(text: string): number {
  const [, minus, infinite] = /^([+-]?)(inf(?:inity)?)$/i.exec(text) ?? [];
  return infinite === undefined ? Number(text) : minus === "-" ? -Infinity : Infinity;
}
