import { byteLength, PlugboardError } from "../../../core/mod.ts";
import { chunksFrom } from "./chunks.ts";
import { isHlc } from "./hlc.ts";
import {
  type Changes,
  type ContentHashes,
  encodeStamp,
  isHashes,
  parseStamp,
  type Stamp,
  type ThingsStamp,
} from "./messages.ts";
import { partOf } from "./parts.ts";
import { MAX_MATCHED_CHARS, ROW_STAMP } from "./patterns.ts";

/** Rows or values by id. Each text is what an object of them contains: the encoded id, a colon and the stamp. */
type Texts = Map<string, string>;

/** A stored table. */
interface StoredTable {
  readonly rows: Texts;
  hlc: string;
}

/**
 * The stored content of a path, kept as the texts of its parts: a client with an empty store receives them as they are,
 * while they are merged into the server's store, and later as well. Encoding 10,000 rows from the store takes 50 ms,
 * joining their texts 2 ms.
 */
export class StoredContent {
  /** The stored hashes of tables and values, if any. */
  hashes: ContentHashes | undefined;
  /** Whether all parts are added. */
  complete = false;
  /** Changes with the content. */
  version = 0;
  readonly #tables = new Map<string, StoredTable>();
  readonly #values: Texts = new Map();
  #tablesHlc = "";
  #valuesHlc = "";
  #latest = "";
  #size = 0;

  /** Adds a loaded part. Throws `bad_content` for an invalid one. */
  add(key: string, text: string): void {
    try {
      this.#add(key, text);
    } catch (error) {
      throw new PlugboardError("bad_content", `The stored part ${key} cannot be read`, { cause: error });
    }
  }

  /** Adds or replaces a row whose stamp is encoded. */
  setRow(tableId: string, rowId: string, stamp: string): void {
    this.#set(this.#tableOf(tableId).rows, rowId, stamp);
  }

  /** Adds or replaces a value whose stamp is encoded. */
  setValue(valueId: string, stamp: string): void {
    this.#set(this.#values, valueId, stamp);
  }

  /** Sets the clock of all tables or, with an id, of one. */
  setTablesHlc(hlc: string, tableId?: string): void {
    this.version++;
    if (tableId === undefined) this.#tablesHlc = hlc;
    else this.#tableOf(tableId).hlc = hlc;
  }

  /** Sets the clock of all values. */
  setValuesHlc(hlc: string): void {
    this.version++;
    this.#valuesHlc = hlc;
  }

  /** Bytes of all rows and values. */
  get size(): number {
    return this.#size;
  }

  /** The latest clock in the chunks that were yielded. */
  get latest(): string {
    return this.#latest;
  }

  /** All tables, encoded. */
  get encodedTables(): string {
    const tables = [...this.#tables].map(([id, { rows, hlc }]) =>
      `${JSON.stringify(id)}:${encodedStamp(rows.values(), hlc)}`
    );
    return encodedStamp(tables, this.#tablesHlc);
  }

  /** All values, encoded. */
  get encodedValues(): string {
    return encodedStamp(this.#values.values(), this.#valuesHlc);
  }

  /** Parses the content in chunks. */
  chunks(): Iterable<Changes> {
    const tables = this.#tables.entries().map(([id, { rows, hlc }]) => ({
      id,
      rows: this.#parsed<ThingsStamp>(rows, "row"),
      hlc,
    }));
    return chunksFrom({
      tables,
      tablesHlc: this.#tablesHlc,
      values: this.#parsed(this.#values, "value"),
      valuesHlc: this.#valuesHlc,
    });
  }

  #add(key: string, text: string): void {
    const [kind, id, row] = partOf(key);
    if (kind === "h") this.hashes = hashesOf(text);
    else if (row !== undefined) this.setRow(id!, row, checked(text, "row"));
    else if (kind === "v" && id !== undefined) this.setValue(id, checked(text, "value"));
    else if (kind === "t") this.setTablesHlc(hlcOf(text), id);
    else this.setValuesHlc(hlcOf(text));
  }

  #set(texts: Texts, id: string, stamp: string): void {
    this.version++;
    const before = texts.get(id);
    if (before !== undefined) this.#size -= byteLength(before);
    const text = `${JSON.stringify(id)}:${stamp}`;
    texts.set(id, text);
    this.#size += byteLength(text);
  }

  #tableOf(id: string): StoredTable {
    return this.#tables.getOrInsertComputed(id, () => ({ rows: new Map(), hlc: "" }));
  }

  *#parsed<T extends Stamp<unknown>>(texts: Texts, kind: "row" | "value"): Iterable<[string, T]> {
    for (const [id, text] of texts) {
      const { stamp, latest } = parseStamp(text.slice(JSON.stringify(id).length + 1), kind);
      if (latest > this.#latest) this.#latest = latest;
      yield [id, stamp as T];
    }
  }
}

function encodedStamp(texts: Iterable<string>, hlc: string): string {
  return `[{${[...texts].join(",")}}${hlc === "" ? "" : `,"${hlc}"`}]`;
}

/** Returns the text of a stamp. Throws if it is invalid. */
function checked(text: string, kind: "row" | "value"): string {
  const isSimple = kind === "row" && text.length <= MAX_MATCHED_CHARS && ROW_STAMP.test(text);
  return isSimple ? text : encodeStamp(parseStamp(text, kind).stamp);
}

function hashesOf(text: string): ContentHashes {
  const hashes: unknown = JSON.parse(text);
  if (!isHashes(hashes)) throw new SyntaxError("These are not the hashes of a store");
  return hashes;
}

function hlcOf(text: string): string {
  if (!isHlc(text)) throw new SyntaxError("This is not a clock");
  return text;
}
