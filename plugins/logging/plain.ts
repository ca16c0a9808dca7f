/**
 * Plain copies of what is to be logged: small, without secrets and cycles, made of nothing but what JSON knows.
 *
 * @module
 */

import { REDACTED, type Secrets } from "../shared/secrets.ts";

// How deep, how wide, and how many characters: enough to understand, too little to flood.
const MAX_DEPTH = 4;
const MAX_ENTRIES = 20;
const MAX_TEXT = 1_000;
const MAX_STACK = 4_000;
const MAX_RECORD = 10_000;

/** What a value counts at least, so that many small ones fill a record too. */
const VALUE_SIZE = 50;

/** Stands for what a getter or a proxy did not give out. */
const UNREADABLE = "[unreadable]";

/** The text without secrets, and no longer than `max`. */
export function plainText(text: string, secrets: Secrets, max = MAX_TEXT): string {
  // The search for secrets is bounded too. A secret that this bound cuts in two lies far behind what is shown.
  const searched = text.slice(0, 4 * max);
  const clean = secrets.removedFrom(searched);
  const left = clean.length - max + (text.length - searched.length);
  return left > 0 ? `${clean.slice(0, max)}… (${left} more characters)` : clean;
}

/** A copy of a record's fields that any formatter can write; with `stacks`, errors keep theirs. */
export function plainFields(
  fields: Readonly<Record<string, unknown>>,
  secrets: Secrets,
  stacks: boolean,
): Record<string, unknown> {
  const within = new Set<object>();
  let room = MAX_RECORD;

  function copy(value: unknown, depth: number): unknown {
    room -= VALUE_SIZE;
    if (typeof value === "string") return copyText(value);
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
    if (value === null || value === undefined || typeof value === "boolean") return value;
    if (typeof value !== "object") return describe(value);
    if (within.has(value)) return "[circular]";
    if (depth > MAX_DEPTH) return describe(value);
    within.add(value);
    try {
      return copyObject(value, depth);
    } catch {
      return UNREADABLE;
    } finally {
      within.delete(value);
    }
  }

  function copyText(text: string, max = MAX_TEXT): string {
    const copied = plainText(text, secrets, Math.max(0, Math.min(max, room)));
    room -= copied.length;
    return copied;
  }

  function copyObject(value: object, depth: number): unknown {
    if (value instanceof Error) return copyError(value, depth);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
    if (value instanceof URL) return copyText(value.href);
    if (Array.isArray(value) || value instanceof Set) return copyItems(value, depth);
    if (value instanceof Map || value instanceof Headers) return copyEntries(value, depth);
    const keys = ArrayBuffer.isView(value) ? [] : Object.keys(value);
    return keys.length > 0 || isLiteral(value)
      ? copyEntries(properties(value, keys), depth)
      : describe(value);
  }

  function copyError(error: Error, depth: number): Record<string, unknown> {
    const { name, message, cause, stack } = error;
    const own = copyEntries(properties(error, Object.keys(error)), depth);
    return {
      name: copy(name, depth + 1),
      message: copy(message, depth + 1),
      ...own,
      ...(stacks && typeof stack === "string" && { stack: copyText(stack, MAX_STACK) }),
      ...(cause !== undefined && { cause: copy(cause, depth + 1) }),
      ...(error instanceof AggregateError && { errors: copy(error.errors, depth + 1) }),
    };
  }

  function copyItems(items: Iterable<unknown>, depth: number): unknown[] {
    if (isSecretPair(items)) return [items[0], REDACTED];
    const copies: unknown[] = [];
    for (const item of items) {
      if (full(copies.length)) return [...copies, "…"];
      copies.push(copy(item, depth + 1));
    }
    return copies;
  }

  function copyEntries(entries: Iterable<[unknown, unknown]>, depth: number): Record<string, unknown> {
    const copies: [string, unknown][] = [];
    for (const [key, value] of entries) {
      if (full(copies.length)) {
        copies.push(["…", "…"]);
        break;
      }
      const name = typeof key === "string" ? copyText(key, 100) : describe(key);
      copies.push([name, isSecret(name, value) ? REDACTED : copy(value, depth + 1)]);
    }
    return Object.fromEntries(copies); // unlike assignments, this makes `__proto__` a key like any other
  }

  /** That a secret is there or not may be told. */
  function isSecret(name: string, value: unknown): boolean {
    return value !== undefined && value !== null && typeof value !== "boolean" && secrets.named(name);
  }

  /** A header or a parameter, as it comes out of `[...headers]`. */
  function isSecretPair(items: Iterable<unknown>): items is [string, unknown] {
    return Array.isArray(items) && items.length === 2 && typeof items[0] === "string" &&
      isSecret(items[0], items[1]);
  }

  function full(entries: number): boolean {
    return entries >= MAX_ENTRIES || room <= 0;
  }

  return copyEntries(properties(fields, Object.keys(fields)), 0);
}

/** One after the other, so that nothing is read that there is no room for. */
function* properties(object: object, keys: readonly string[]): Iterable<[string, unknown]> {
  for (const key of keys) yield [key, read(object, key)];
}

function read(object: object, key: string): unknown {
  try {
    return (object as Record<string, unknown>)[key];
  } catch {
    return UNREADABLE;
  }
}

function isLiteral(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** What a value is, where its contents are not shown. */
function describe(value: unknown): string {
  if (typeof value === "function") return `[function ${value.name}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const name = value.constructor?.name ?? "object";
  const size = "length" in value ? value.length : "size" in value ? value.size : undefined;
  return typeof size === "number" ? `[${name} of ${size}]` : `[${name}]`;
}
