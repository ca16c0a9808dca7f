/**
 * Parses SQLite's changesets, which its session extension writes. The format: for each table a header (`T`, the number of
 * columns, for each column whether it is in the primary key, the name, a NUL). Then for each row the operation, a byte that
 * is set if a trigger made the change, and one or two records. A record has for each column a type byte and the value, with
 * numbers in big-endian order.
 *
 * @module
 */

import type { Value } from "./sql_types.ts";

/** A record. `undefined` means that an update did not change the column. */
export type ChangeRecord = readonly (Value | undefined)[];

/** One changed row. An update's `old` has its primary key and the changed columns, its `new` only the changed columns. */
export interface RecordedChange {
  readonly table: string;
  readonly type: "insert" | "update" | "delete";
  readonly old: ChangeRecord | undefined;
  readonly new: ChangeRecord | undefined;
}

const TYPES: Readonly<Record<number, RecordedChange["type"]>> = { 9: "delete", 18: "insert", 23: "update" };

/** Parses a changeset. */
export function parseChangeset(bytes: Uint8Array): RecordedChange[] {
  const reader = new Reader(bytes);
  const changes: RecordedChange[] = [];
  let table = "";
  let width = 0;
  while (!reader.atEnd) {
    const first = reader.byte();
    if (first === 0x54) {
      width = reader.varint();
      reader.skip(width);
      table = reader.name();
      continue;
    }
    reader.skip(1);
    const type = TYPES[first];
    if (type === undefined) throw new Error(`Unknown operation ${first} in a changeset`);
    const old = type === "insert" ? undefined : reader.record(width);
    const latest = type === "delete" ? undefined : reader.record(width);
    changes.push({ table, type, old, new: latest });
  }
  return changes;
}

/** Keeps a byte order mark, which is ordinary text here. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.#view.getUint8(this.#at++);
  }

  skip(count: number): void {
    this.#at += count;
  }

  /** Reads SQLite's integer of one to nine bytes. Lengths are below 2^31, so here it has at most five. */
  varint(): number {
    let value = 0;
    for (;;) {
      const byte = this.byte();
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
  }

  name(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    const name = decoder.decode(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return name;
  }

  record(width: number): ChangeRecord {
    return Array.from({ length: width }, () => this.#value());
  }

  #value(): Value | undefined {
    switch (this.byte()) {
      case 0:
        return undefined;
      case 1:
        return this.#integer();
      case 2:
        this.#at += 8;
        return this.#view.getFloat64(this.#at - 8);
      case 3:
        return decoder.decode(this.#take());
      case 4:
        return this.#take().slice();
      case 5:
        return null;
      default:
        throw new Error(`Unknown type of value in a changeset at byte ${this.#at - 1}`);
    }
  }

  #integer(): number | bigint {
    const high = this.#view.getInt32(this.#at);
    const low = this.#view.getUint32(this.#at + 4);
    this.#at += 8;
    const value = high * 4_294_967_296 + low;
    return Number.isSafeInteger(value) ? value : this.#view.getBigInt64(this.#at - 8);
  }

  #take(): Uint8Array {
    const length = this.varint();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
