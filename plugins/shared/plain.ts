import { findSecrets, REDACTED, type Secrets } from "./secrets.ts";

const MAX_DEPTH = 4;
const MAX_ENTRIES = 20;
const MAX_NAME = 100;
const MAX_STACK = 4_000;

/** Names that are remembered. Most fields have one of a few. */
const MAX_NAMES = 1_000;

/** Characters that a value counts in addition to its own, for quotes, brackets and commas. */
const OVERHEAD = 4;

/** Replaces a value whose getter or proxy throws. */
const UNREADABLE = "[unreadable]";

/** Options of a {@linkcode PlainWriter}. */
export interface PlainOptions {
  /** Maximum characters of one text. */
  readonly maxText: number;
  /** Maximum characters of a whole copy, approximately. */
  readonly maxTotal: number;
  /** Additional words in names of fields that hold secrets. */
  readonly secretNames?: readonly string[];
  /** Whether errors and instances of classes become one short text. */
  readonly brief?: boolean;
}

/** The name of a field. */
interface Name {
  /** The name as it is written. */
  readonly text: string;
  /** Whether a field of this name holds a secret. */
  readonly secret: boolean;
}

/**
 * Makes plain copies of values for logs and traces: short, without secrets and cycles, and limited to what JSON can
 * express.
 */
export class PlainWriter {
  readonly options: Required<Omit<PlainOptions, "secretNames">>;
  readonly #secrets: Secrets;
  readonly #names = new Map<string, Name>();

  constructor({ secretNames, brief = false, ...limits }: PlainOptions) {
    this.options = { ...limits, brief };
    this.#secrets = findSecrets(secretNames);
  }

  /** Returns the text without secrets, shortened. */
  text(text: string, max = this.options.maxText): string {
    // The search for secrets is bounded too. A secret cut by this bound is far behind the part that is kept.
    const searched = text.slice(0, 4 * max);
    const clean = this.#secrets.removedFrom(searched);
    const hidden = clean.length - max + (text.length - searched.length);
    return hidden > 0 ? `${clean.slice(0, max).toWellFormed()}… (${hidden} more characters)` : clean;
  }

  /** Returns a copy of the fields. Errors in it keep their stacks if `stacks` is set. */
  fields(fields: Readonly<Record<string, unknown>>, stacks: boolean): Record<string, unknown> {
    return new Copy(this, stacks).fields(fields, 0);
  }

  /** Returns a copy of the value as JSON text. */
  json(value: unknown): string {
    return JSON.stringify(new Copy(this, false).value(value, 0)) ?? String(value);
  }

  /** Returns what is written of a field's name. */
  name(key: string): Name {
    let name = this.#names.get(key);
    if (name === undefined) {
      name = { text: this.text(key, MAX_NAME), secret: this.#secrets.named(key) };
      if (key.length <= MAX_NAME && this.#names.size < MAX_NAMES) this.#names.set(key, name);
    }
    return name;
  }
}

/** One copy in the making. */
class Copy {
  readonly #writer: PlainWriter;
  readonly #stacks: boolean;
  readonly #ancestors = new Set<object>();
  #room: number;

  constructor(writer: PlainWriter, stacks: boolean) {
    this.#writer = writer;
    this.#stacks = stacks;
    this.#room = writer.options.maxTotal;
  }

  value(value: unknown, depth: number): unknown {
    if (this.#room <= 0) return "…";
    this.#room -= OVERHEAD;
    if (typeof value === "string") return this.#text(value);
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
    if (value === null || value === undefined || typeof value === "boolean") return value;
    if (typeof value !== "object") return this.#text(describe(value));
    if (this.#ancestors.has(value)) return "[circular]";
    this.#ancestors.add(value);
    try {
      return depth > MAX_DEPTH ? this.#text(describe(value)) : this.#object(value, depth);
    } catch {
      return UNREADABLE;
    } finally {
      this.#ancestors.delete(value);
    }
  }

  fields(object: object, depth: number): Record<string, unknown> {
    const keys = Object.keys(object);
    return this.#entries(properties(object, keys), depth, keys.length);
  }

  #entries(
    entries: Iterable<readonly [unknown, unknown]>,
    depth: number,
    size: number,
  ): Record<string, unknown> {
    const copies: [string, unknown][] = [];
    for (const [key, value] of entries) {
      if (this.#isFull(copies)) {
        copies.push(["…", `${size} fields`]);
        break;
      }
      const { text, secret } = this.#writer.name(typeof key === "string" ? key : describe(key));
      this.#room -= text.length;
      copies.push([text, secret && isSecret(value) ? REDACTED : this.value(value, depth + 1)]);
    }
    return Object.fromEntries(copies); // an assignment would treat `__proto__` as special
  }

  #text(text: string, max = this.#writer.options.maxText): string {
    const copied = this.#writer.text(text, Math.max(0, Math.min(max, this.#room)));
    this.#room -= copied.length;
    return copied;
  }

  #object(value: object, depth: number): unknown {
    const { brief } = this.#writer.options;
    if (value instanceof Error) {
      return brief ? this.#text(`${value.name}: ${value.message}`) : this.#error(value, depth);
    }
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
    if (value instanceof URL) return this.#text(value.href);
    if (Array.isArray(value)) return this.#items(value, depth, value.length);
    if (isLiteral(value)) return this.fields(value, depth);
    if (!brief) {
      if (value instanceof Set) return this.#items(value, depth, value.size);
      if (value instanceof Map) return this.#entries(value, depth, value.size);
      if (value instanceof Headers) return this.#entries(value, depth, [...value].length);
      if (!ArrayBuffer.isView(value) && Object.keys(value).length > 0) return this.fields(value, depth);
    }
    return this.#text(describe(value));
  }

  #error(error: Error, depth: number): Record<string, unknown> {
    const { name, message, cause, stack } = error;
    return {
      name: this.value(name, depth + 1),
      message: this.value(message, depth + 1),
      ...this.fields(error, depth),
      ...(this.#stacks && typeof stack === "string" && { stack: this.#text(stack, MAX_STACK) }),
      ...(cause !== undefined && { cause: this.value(cause, depth + 1) }),
      ...(error instanceof AggregateError && { errors: this.value(error.errors, depth + 1) }),
    };
  }

  #items(items: Iterable<unknown>, depth: number, size: number): unknown[] {
    const copies: unknown[] = [];
    for (const item of items) {
      if (this.#isFull(copies)) return [...copies, `… (${size} entries)`];
      copies.push(this.value(item, depth + 1));
    }
    // A header or parameter with a secret, as in `[...headers]`.
    const [name, value] = copies;
    return size === 2 && typeof name === "string" && isSecret(value) && this.#writer.name(name).secret
      ? [name, REDACTED]
      : copies;
  }

  #isFull(copies: readonly unknown[]): boolean {
    return copies.length >= MAX_ENTRIES || this.#room <= 0;
  }
}

/** Returns whether a field with a secret's name holds one. Flags and absent values do not: `hasToken: true`. */
function isSecret(value: unknown): boolean {
  return value !== undefined && value !== null && typeof value !== "boolean";
}

/** Reads one property after the other, so that a full copy stops reading. */
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

/** Names a value whose contents are not copied. */
function describe(value: unknown): string {
  if (typeof value === "function") return `[function ${value.name}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const name = value.constructor?.name ?? "object";
  const size = "length" in value ? value.length : "size" in value ? value.size : undefined;
  if (typeof size === "number") return `[${name} of ${size}]`;
  return "id" in value && typeof value.id === "string" ? `[${name} ${value.id}]` : `[${name}]`;
}
