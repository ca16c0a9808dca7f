/**
 * Results of a query, and the diffs between them.
 *
 * @module
 */

/** A row as clients get it. */
export type Row = Readonly<Record<string, unknown>>;

/** A whole result. */
export interface Snapshot {
  /** The columns that identify a row; `null` where rows are identified by position. */
  readonly key: readonly string[] | null;
  /** The rows in order. */
  readonly rows: readonly Row[];
}

/**
 * The changes from one result to the next. Apply `delete` first, then `upsert` (replace the row with the same key, or
 * append it), then sort by `order`. Without a key, cut to `length`, then set the rows `at` their positions.
 */
export interface Diff {
  /** New and changed rows. */
  readonly upsert?: readonly Row[];
  /** Keys of removed rows: a value, or a list of values if the key has several columns. */
  readonly delete?: readonly unknown[];
  /** All keys in order, if `delete` and `upsert` alone lead to another order. */
  readonly order?: readonly unknown[];
  /** Without a key: positions and their new rows. */
  readonly at?: readonly (readonly [number, Row])[];
  /** Without a key: the new number of rows. */
  readonly length?: number;
}

/** A result as JSON texts: rows by key, in order. */
export class Result {
  readonly key: readonly string[] | null;
  /** JSON of the rows by JSON of their keys. */
  readonly #rows: ReadonlyMap<string, string>;
  /** The length of all row texts. */
  readonly chars: number;

  private constructor(key: readonly string[] | null, rows: ReadonlyMap<string, string>) {
    this.key = key;
    this.#rows = rows;
    let chars = 0;
    for (const row of rows.values()) chars += row.length;
    this.chars = chars;
  }

  /**
   * Makes a result of rows from SQL, which all have the columns of the first. If two rows have the same key, rows are
   * identified by position instead.
   */
  static of(rows: readonly Row[], key: readonly string[] | null): Result {
    const columns = Object.keys(rows[0] ?? {});
    const names = columns.map((column) => `${JSON.stringify(column)}:`);
    const texts = new Map<string, string>();
    for (let i = 0; i < rows.length; i++) {
      texts.set(key === null ? String(i) : keyText(rows[i]!, key), rowText(rows[i]!, columns, names));
    }
    return texts.size === rows.length ? new Result(key, texts) : Result.of(rows, null);
  }

  /** Makes a result of any objects. */
  static ofValues(rows: readonly Row[]): Result {
    return new Result(null, new Map(rows.map((row, i) => [String(i), toJson(row)])));
  }

  /** The {@linkcode Snapshot} as JSON text. */
  get snapshot(): string {
    return `{"key":${JSON.stringify(this.key)},"rows":[${[...this.#rows.values()].join()}]}`;
  }

  /** Returns the first rows. */
  first(count: number): Row[] {
    return Array.from(this.#rows.values().take(count), (text) => JSON.parse(text));
  }

  /** The number of rows. */
  get size(): number {
    return this.#rows.size;
  }

  /** Returns the {@linkcode Diff} to the next result as JSON text; nothing if they are equal. A new key gives a snapshot. */
  diff(next: Result): string | undefined {
    if (this.key?.join("\n") !== next.key?.join("\n")) return next.snapshot;
    const parts = this.key === null ? this.#diffByPosition(next) : this.#diffByKey(next);
    return parts.length === 0 ? undefined : `{${parts.join()}}`;
  }

  #diffByKey(next: Result): string[] {
    const parts: string[] = [];
    const upserts: string[] = [];
    const added: string[] = [];
    const keys = this.#rows.keys();
    let sameOrder = this.size === next.size;
    for (const [key, row] of next.#rows) {
      const before = this.#rows.get(key);
      if (before !== row) upserts.push(row);
      if (before === undefined) added.push(key);
      sameOrder &&= keys.next().value === key;
    }
    if (upserts.length > 0) parts.push(`"upsert":[${upserts.join()}]`);
    if (sameOrder) return parts;
    const kept: string[] = [];
    const deleted: string[] = [];
    for (const key of this.#rows.keys()) (next.#rows.has(key) ? kept : deleted).push(key);
    if (deleted.length > 0) parts.push(`"delete":[${deleted.join()}]`);
    const order = [...next.#rows.keys()];
    const resulting = kept.concat(added);
    if (order.some((key, i) => key !== resulting[i])) parts.push(`"order":[${order.join()}]`);
    return parts;
  }

  #diffByPosition(next: Result): string[] {
    const parts: string[] = [];
    const at = [...next.#rows].filter(([key, row]) => this.#rows.get(key) !== row).map(([key, row]) =>
      `[${key},${row}]`
    );
    if (at.length > 0) parts.push(`"at":[${at.join()}]`);
    if (next.size !== this.size) parts.push(`"length":${next.size}`);
    return parts;
  }
}

/** The key of a row as JSON text. */
function keyText(row: Row, key: readonly string[]): string {
  return key.length === 1
    ? valueText(row[key[0]!])
    : `[${key.map((column) => valueText(row[column])).join()}]`;
}

/** A row from SQL as JSON text. `JSON.stringify` with a function takes three times as long. */
function rowText(row: Row, columns: readonly string[], names: readonly string[]): string {
  let text = "";
  for (let i = 0; i < columns.length; i++) {
    text += (i === 0 ? "{" : ",") + names[i]! + valueText(row[columns[i]!]);
  }
  return text + "}";
}

/** A value from SQL as JSON text. Large integers become strings and bytes become base64: JSON has no form for them. */
function valueText(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Number.isFinite(value) ? String(value) : "null";
    case "bigint":
      return isSafe(value) ? String(value) : `"${value}"`;
    default:
      return value instanceof Uint8Array ? `"${value.toBase64()}"` : "null";
  }
}

/** Any value as JSON text, in which values of SQL look the same. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_, each) => {
    if (typeof each === "bigint") return isSafe(each) ? Number(each) : String(each);
    return each instanceof Uint8Array ? each.toBase64() : each;
  });
}

function isSafe(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
}
