/**
 * Values as they may be written down: short, without secrets, and JSON whatever they are.
 *
 * @module
 */

import { findSecrets, REDACTED } from "../shared/secrets.ts";

/** Bounds of what is written. */
export interface PlainLimits {
  /** Characters of a whole value. */
  readonly maxChars: number;
  /** Words in the names of fields that hold secrets, beside the usual ones. */
  readonly secretNames: readonly string[];
}

/** Characters of one text, entries of one list, and how deep to look. */
const MAX_TEXT = 200;
const MAX_ENTRIES = 20;
const MAX_DEPTH = 5;

/** Writes values down. */
export interface PlainWriter {
  /** A value as JSON text. */
  json(value: unknown): string;
  /** A text, shortened and without secrets. */
  text(text: string): string;
}

/** Makes a writer. */
export function plainWriter({ maxChars, secretNames }: PlainLimits): PlainWriter {
  const secrets = findSecrets(secretNames);

  function text(whole: string): string {
    // Longer than what may stay, so that a secret at the cut is still recognized.
    const part = secrets.removedFrom(whole.slice(0, 2 * MAX_TEXT));
    const cut = part.length > MAX_TEXT || whole.length > 2 * MAX_TEXT;
    return cut ? `${part.slice(0, MAX_TEXT).toWellFormed()}… (${whole.length} characters)` : part;
  }

  /** The value as plain data; `budget` is what may still be written of the whole. */
  function plain(value: unknown, budget: { chars: number }, above: readonly object[]): unknown {
    if (budget.chars <= 0) return "…";
    const simple = typeof value === "object" ? undefined : scalar(value);
    if (simple !== undefined || value === null) {
      budget.chars -= String(simple).length + 4;
      return simple ?? null;
    }
    const object = value as object;
    const name = opaque(object);
    if (name !== undefined || above.includes(object)) return name ?? "[circular]";
    if (above.length >= MAX_DEPTH) return "…";
    const inside = [...above, object];
    if (Array.isArray(object)) {
      const list = object.slice(0, MAX_ENTRIES).map((each) => plain(each, budget, inside));
      return object.length > MAX_ENTRIES ? [...list, `… (${object.length} entries)`] : list;
    }
    return fields(object, budget, inside);
  }

  function scalar(value: unknown): unknown {
    if (typeof value === "string") return text(value);
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
    if (typeof value === "boolean") return value;
    if (typeof value === "function") return `[function ${value.name}]`;
    return String(value);
  }

  function fields(object: object, budget: { chars: number }, inside: readonly object[]): unknown {
    const all = Object.entries(object);
    const result: Record<string, unknown> = {};
    for (const [key, value] of all.slice(0, MAX_ENTRIES)) {
      if (value === undefined) continue;
      const short = key.slice(0, 50);
      budget.chars -= short.length + 4;
      result[short] = secrets.named(key) ? REDACTED : plain(value, budget, inside);
    }
    if (all.length > MAX_ENTRIES) result["…"] = `${all.length} fields`;
    return result;
  }

  /** What is told of an object that is no plain data. */
  function opaque(object: object): string | undefined {
    if (object instanceof Error) return text(`${object.name}: ${object.message}`);
    if (object instanceof Date) return Number.isNaN(object.getTime()) ? "[no date]" : object.toISOString();
    if (object instanceof URL) return text(object.href);
    if (ArrayBuffer.isView(object)) return `[${object.byteLength} bytes]`;
    const { constructor } = Object.getPrototypeOf(object) ?? {};
    if (constructor === undefined || constructor === Object || Array.isArray(object)) return undefined;
    const { id } = object as { id?: unknown };
    return `[${constructor.name}${typeof id === "string" ? ` ${text(id)}` : ""}]`;
  }

  return { text, json: (value) => JSON.stringify(plain(value, { chars: maxChars }, [])) };
}
