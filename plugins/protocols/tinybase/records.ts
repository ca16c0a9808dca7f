/**
 * Records: objects as dictionaries, whose keys come from clients and may be anything.
 *
 * @module
 */

/** Whether something is an object and no array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A record whose keys may be anything, `__proto__` too. */
export function recordOf<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const record: Record<string, T> = Object.create(null);
  for (const [key, value] of entries) record[key] = value;
  return record;
}

/** Whether a record has nothing in it. */
export function isEmpty(record: object): boolean {
  for (const _ in record) return false;
  return true;
}
