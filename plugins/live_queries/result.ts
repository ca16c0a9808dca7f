/**
 * Results of a query, and what changed from one to the next.
 *
 * @module
 */

/** A row as the client gets it. */
export type Row = Readonly<Record<string, unknown>>;

/** A whole result, for somebody who has none. */
export interface Snapshot {
  /** The columns that tell rows apart; null where the position does. */
  readonly key: readonly string[] | null;
  /** The rows, in their order. */
  readonly rows: readonly Row[];
}

/**
 * What changed. Apply it in this order: delete, put in (in place where the key is known, else at the end), and
 * then, if there is an `order`, sort by it. In a result without a key, the keys are positions and `length` cuts.
 */
export interface Diff {
  /** Rows that are new or have changed. */
  readonly upsert?: readonly Row[];
  /** Keys: one value, or a list of them where the key has several columns. */
  readonly delete?: readonly unknown[];
  /** All keys in their order, where it is not what deleting and putting in makes of it. */
  readonly order?: readonly unknown[];
  /** Without a key: positions and their new rows. */
  readonly at?: readonly (readonly [number, Row])[];
  /** Without a key: how many rows there are now. */
  readonly length?: number;
}

/** A result, kept as texts: rows by key, in order. */
export class Result {
  readonly key: readonly string[] | null;
  /** Row texts by the text of their key. */
  readonly #rows: ReadonlyMap<string, string>;
  /** How long the texts of its rows are. */
  readonly chars: number;

  private constructor(key: readonly string[] | null, rows: ReadonlyMap<string, string>) {
    this.key = key;
    this.#rows = rows;
    let chars = 0;
    for (const row of rows.values()) chars += row.length;
    this.chars = chars;
  }

  /** Keeps rows. Where two have the same key, it is none: they are told apart by position. */
  static of(rows: readonly Row[], key: readonly string[] | null): Result {
    const texts = new Map(rows.map((row, i) => [key === null ? String(i) : keyText(row, key), toJson(row)]));
    return texts.size === rows.length ? new Result(key, texts) : Result.of(rows, null);
  }

  /** As JSON text, for a client without a result. */
  get snapshot(): string {
    return `{"key":${JSON.stringify(this.key)},"rows":[${[...this.#rows.values()].join()}]}`;
  }

  /** The number of rows. */
  get size(): number {
    return this.#rows.size;
  }

  /** What leads from this result to the next, as JSON text; nothing if they are the same. */
  diff(next: Result): string | undefined {
    if (this.key?.join("\n") !== next.key?.join("\n")) return next.snapshot;
    const parts = this.key === null ? this.#diffByPosition(next) : this.#diffByKey(next);
    return parts.length === 0 ? undefined : `{${parts.join()}}`;
  }

  #diffByKey(next: Result): string[] {
    const parts: string[] = [];
    const upserts: string[] = [];
    const added: string[] = [];
    for (const [key, row] of next.#rows) {
      const before = this.#rows.get(key);
      if (before !== row) upserts.push(row);
      if (before === undefined) added.push(key);
    }
    const kept: string[] = [];
    const deleted: string[] = [];
    for (const key of this.#rows.keys()) (next.#rows.has(key) ? kept : deleted).push(key);
    if (upserts.length > 0) parts.push(`"upsert":[${upserts.join()}]`);
    if (deleted.length > 0) parts.push(`"delete":[${deleted.join()}]`);
    const order = [...next.#rows.keys()];
    const made = kept.concat(added);
    if (order.some((key, i) => key !== made[i])) parts.push(`"order":[${order.join()}]`);
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

/** A row's key as JSON text: one value, or a list. */
function keyText(row: Row, key: readonly string[]): string {
  const values = key.map((column) => row[column]);
  return toJson(values.length === 1 ? values[0] : values);
}

/** JSON has no word for large integers, which become texts, and for bytes, which become base64. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_, each) => {
    if (typeof each === "bigint") return Number.isSafeInteger(Number(each)) ? Number(each) : String(each);
    return each instanceof Uint8Array ? each.toBase64() : each;
  });
}
