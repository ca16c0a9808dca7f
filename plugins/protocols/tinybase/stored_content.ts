import { PlugboardError } from "../../../core/mod.ts";
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

/** Ids with the stamps of rows or values, as they are stored. */
type Texts = [id: string, text: string][];

/** A stored table. */
interface StoredTable {
  readonly rows: Texts;
  /** The rows, encoded. They are joined as they are added, because joining all at once takes long. */
  encodedRows: string;
  hlc: string;
}

/**
 * The stored content of a path. Its texts are validated, but only parsed when they are merged: a client with an empty
 * store receives them as they are.
 */
export class StoredContent {
  /** The stored hashes of tables and values, if any. */
  hashes: ContentHashes | undefined;
  /** Whether all parts are added. */
  complete = false;
  /** All parts, by key. */
  readonly parts: [key: string, text: string][] = [];
  readonly #tables = new Map<string, StoredTable>();
  readonly #values: Texts = [];
  #tablesHlc = "";
  #valuesHlc = "";
  #latest = "";

  /** Adds a part. Throws `bad_content` for an invalid one. */
  add(key: string, text: string): void {
    try {
      this.#add(key, text);
    } catch (error) {
      throw new PlugboardError("bad_content", `The stored part ${key} cannot be read`, { cause: error });
    }
    this.parts.push([key, text]);
  }

  /** The latest clock in the chunks that were yielded. */
  get latest(): string {
    return this.#latest;
  }

  /** All tables, encoded. */
  get encodedTables(): string {
    const tables = [...this.#tables].map(([id, { encodedRows, hlc }]) =>
      `${JSON.stringify(id)}:[{${encodedRows}},"${hlc}"]`
    );
    return `[{${tables.join(",")}},"${this.#tablesHlc}"]`;
  }

  /** All values, encoded. */
  get encodedValues(): string {
    const values = this.#values.map(([id, text]) => `${JSON.stringify(id)}:${text}`);
    return `[{${values.join(",")}},"${this.#valuesHlc}"]`;
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
    else if (row !== undefined) this.#addRow(this.#tableOf(id!), row, checked(text, "row"));
    else if (kind === "v" && id !== undefined) this.#values.push([id, checked(text, "value")]);
    else if (id !== undefined) this.#tableOf(id).hlc = hlcOf(text);
    else if (kind === "t") this.#tablesHlc = hlcOf(text);
    else this.#valuesHlc = hlcOf(text);
  }

  #addRow(table: StoredTable, id: string, text: string): void {
    table.rows.push([id, text]);
    if (table.encodedRows !== "") table.encodedRows += ",";
    table.encodedRows += `${JSON.stringify(id)}:${text}`;
  }

  #tableOf(id: string): StoredTable {
    return this.#tables.getOrInsertComputed(id, () => ({ rows: [], encodedRows: "", hlc: "" }));
  }

  *#parsed<T extends Stamp<unknown>>(texts: Texts, kind: "row" | "value"): Iterable<[string, T]> {
    for (const [id, text] of texts) {
      const { stamp, latest } = parseStamp(text, kind);
      if (latest > this.#latest) this.#latest = latest;
      yield [id, stamp as T];
    }
  }
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
