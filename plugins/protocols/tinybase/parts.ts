/**
 * Parts: the storage layout of a path's store. Each row and each value is a separate part, so that a change rewrites
 * only what it touches. Deleted cells stay in their part as tombstones; without them, they would be restored by the
 * next client that was offline.
 *
 * The hashes of rows and cells are not stored, as TinyBase computes them from the clocks. The hashes of the whole
 * content are, so that requests can be answered before the content is loaded.
 *
 * @module
 */

import { type MaybePromise, PlugboardError } from "../../../core/mod.ts";
import { isHlc } from "./hlc.ts";
import {
  type Changes,
  type ContentHashes,
  isHashes,
  parseStamp,
  type Stamp,
  type TableStamp,
  type ThingsStamp,
} from "./messages.ts";
import { isEmpty, recordOf } from "../../shared/records.ts";

/**
 * Stores one path as a set of parts: texts by key. Parts are added and replaced, never removed.
 *
 * ```ts
 * import type { PathPersister } from "@plugboard/server/tinybase";
 *
 * function inMemory(): PathPersister {
 *   const parts = new Map<string, string>();
 *   return {
 *     load: () => parts,
 *     save: (changed) => changed.forEach((text, key) => parts.set(key, text)),
 *   };
 * }
 * ```
 */
export interface PathPersister {
  /** Loads all parts; none for a new path. If it throws, the path is read-only. */
  load(): MaybePromise<Iterable<readonly [key: string, text: string]>>;
  /** Stores parts atomically and durably. Calls do not overlap. */
  save(parts: ReadonlyMap<string, string>): MaybePromise<void>;
  /** Releases resources. No other call follows. */
  close?(): MaybePromise<void>;
}

/** What a part contains: the clock of all tables, of a table, or of all values; a row; a value; the content's hashes. */
export type PartOf =
  | readonly ["t"]
  | readonly ["t", table: string]
  | readonly ["t", table: string, row: string]
  | readonly ["v"]
  | readonly ["v", value: string]
  | readonly ["h"];

/** Returns the key of a part. */
export function keyOf(part: PartOf): string {
  return JSON.stringify(part);
}

/** The content of a store. */
export interface Content {
  readonly changes: Changes;
  /** The latest clock in it. */
  readonly latest: string;
  /** The stored hashes of tables and values, if any. */
  readonly hashes: ContentHashes | undefined;
}

/** Assembles content from parts. Throws `bad_content` for an invalid part. */
export function contentOf(parts: Iterable<readonly [key: string, text: string]>): Content {
  const tables = new Map<string, { rows: Map<string, ThingsStamp>; hlc: string }>();
  const values = new Map<string, Stamp<unknown>>();
  const hlcs = { tables: "", values: "" };
  let latest = "";
  let hashes: ContentHashes | undefined;
  const stampOf = <T extends Stamp<unknown>>(text: string, kind: "row" | "value") => {
    const parsed = parseStamp(text, kind);
    if (parsed.latest > latest) latest = parsed.latest;
    return parsed.stamp as T;
  };
  const table = (id: string) => tables.getOrInsertComputed(id, () => ({ rows: new Map(), hlc: "" }));
  for (const [key, text] of parts) {
    try {
      const [kind, id, row] = partOf(key);
      if (kind === "h") hashes = hashesOf(text);
      else if (row !== undefined) table(id!).rows.set(row, stampOf<ThingsStamp>(text, "row"));
      else if (kind === "v" && id !== undefined) values.set(id, stampOf(text, "value"));
      else if (id !== undefined) table(id).hlc = hlcOf(text);
      else hlcs[kind === "t" ? "tables" : "values"] = hlcOf(text);
    } catch (error) {
      throw new PlugboardError("bad_content", `The stored part ${key} cannot be read`, { cause: error });
    }
  }
  const tableStamps = [...tables].map(([id, { rows, hlc }]) => {
    return [id, [recordOf(rows), hlc] as TableStamp] as const;
  });
  const changes: Changes = [[recordOf(tableStamps), hlcs.tables], [recordOf(values), hlcs.values], 1];
  return { changes, latest, hashes };
}

/** Merging a cell takes about 15 µs. */
const CELLS_PER_CHUNK = 500;

/** Splits content into chunks of cells. The last one has the clocks of tables and of values. */
export function* chunksOf([[tables, tablesHlc = ""], [values, valuesHlc = ""]]: Changes): Iterable<Changes> {
  const hlcs: [string, TableStamp][] = [];
  for (const [tableId, [rows, hlc = ""]] of Object.entries(tables)) {
    if (hlc !== "") hlcs.push([tableId, [{}, hlc]]);
    let chunk: [string, ThingsStamp][] = [];
    let cells = 0;
    for (const [rowId, row] of Object.entries(rows)) {
      for (const part of partsOf(row)) {
        const count = Object.keys(part[0]).length;
        if (cells + count > CELLS_PER_CHUNK && chunk.length > 0) {
          yield [[recordOf([[tableId, [recordOf(chunk)] as TableStamp]])], [{}], 1];
          chunk = [];
          cells = 0;
        }
        chunk.push([rowId, part]);
        cells += count + 1;
      }
    }
    if (chunk.length > 0) yield [[recordOf([[tableId, [recordOf(chunk)] as TableStamp]])], [{}], 1];
  }
  const [...parts] = partsOf([values]);
  const last = parts.pop() ?? [{}];
  for (const part of parts) yield [[{}], part, 1];
  if (hlcs.length > 0 || tablesHlc !== "" || !isEmpty(last[0]) || valuesHlc !== "") {
    yield [[recordOf(hlcs), tablesHlc], [last[0], valuesHlc], 1];
  }
}

/** Whether content is small enough to be merged at once. */
export function isOneChunk(changes: Changes): boolean {
  const chunks = chunksOf(changes)[Symbol.iterator]();
  chunks.next();
  return chunks.next().done === true;
}

/** Splits a row, or the values, into parts of at most one chunk. The last one has the clock. */
function* partsOf(things: ThingsStamp): Iterable<ThingsStamp> {
  const all = Object.entries(things[0]);
  let from = 0;
  for (; all.length - from > CELLS_PER_CHUNK; from += CELLS_PER_CHUNK) {
    yield [recordOf(all.slice(from, from + CELLS_PER_CHUNK))];
  }
  yield from === 0 ? things : [recordOf(all.slice(from)), ...things.slice(1)] as ThingsStamp;
}

const MAX_KEY_LENGTH: Readonly<Record<string, number>> = { t: 3, v: 2, h: 1 };

function partOf(key: string): readonly [kind: string, id?: string, row?: string] {
  const part: unknown = JSON.parse(key);
  const maxLength = Array.isArray(part) ? MAX_KEY_LENGTH[String(part[0])] : undefined;
  if (maxLength === undefined || (part as unknown[]).length > maxLength) {
    throw new SyntaxError("This is not the key of a part");
  }
  return part as [string, string?, string?];
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
