/**
 * Parts: how a path's store is laid out in storage. Each row and each value is a part of its own, so that a change
 * costs what it touches and not the whole store. Deleted cells stay in their part: without these tombstones they
 * would come back from the next client that was away.
 *
 * Hashes of single rows and cells are not stored: TinyBase computes them anew from the clocks, and so they fit
 * what was loaded by nature. Those of the whole are, to have something to say before that is done.
 *
 * @module
 */

import { type MaybePromise, PlugboardError } from "../../../core/mod.ts";
import { isHlc } from "./hlc.ts";
import { isEmpty, recordOf } from "./records.ts";
import {
  type Changes,
  type ContentHashes,
  encodeStamp,
  isHashes,
  parseStamp,
  type Stamp,
  type TableStamp,
  type ThingsStamp,
} from "./messages.ts";

/**
 * Stores one path. A path is a set of parts: texts by key, which are only ever added or replaced.
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
  /** All parts; none of a new path. What throws here keeps the path from being written to. */
  load(): MaybePromise<Iterable<readonly [key: string, text: string]>>;
  /** Stores some parts, all or none of them. What it resolves for is safe; calls do not overlap. */
  save(parts: ReadonlyMap<string, string>): MaybePromise<void>;
  /** Releases what it holds; nothing is called after it. */
  close?(): MaybePromise<void>;
}

/** What a part is of: tables as a whole, one table, one row; values as a whole, one value; the hashes of it all. */
export type PartOf =
  | readonly ["t"]
  | readonly ["t", table: string]
  | readonly ["t", table: string, row: string]
  | readonly ["v"]
  | readonly ["v", value: string]
  | readonly ["h"];

/** The key of a part. */
export function keyOf(part: PartOf): string {
  return JSON.stringify(part);
}

/** Content as it is put together from parts. */
export interface Content {
  readonly changes: Changes;
  /** The latest clock in it. */
  readonly latest: string;
  /** The hashes of tables and values when it was stored, if it ever was. */
  readonly hashes: ContentHashes | undefined;
}

/** Puts content together; throws an error with the code `bad_content` that names the part that is none. */
export function contentOf(parts: Iterable<readonly [key: string, text: string]>): Content {
  const tables = new Map<string, { rows: Map<string, ThingsStamp>; hlc: string }>();
  const values = new Map<string, Stamp<unknown>>();
  const hlcs = { tables: "", values: "" };
  let latest = "";
  let hashes: ContentHashes | undefined;
  const see = <T extends Stamp<unknown>>(found: { stamp: Stamp<unknown>; latest: string }) => {
    if (found.latest > latest) latest = found.latest;
    return found.stamp as T;
  };
  const table = (id: string) => {
    let found = tables.get(id);
    if (found === undefined) tables.set(id, found = { rows: new Map(), hlc: "" });
    return found;
  };
  for (const [key, text] of parts) {
    try {
      const [kind, id, row] = partOf(key);
      if (kind === "h") hashes = hashesOf(text);
      else if (row !== undefined) table(id!).rows.set(row, see<ThingsStamp>(parseStamp(text, "row")));
      else if (kind === "v" && id !== undefined) values.set(id, see(parseStamp(text, "value")));
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

const ROWS_PER_CHUNK = 100;

/** Content in smaller portions; the last one has what is left, and all clocks of tables. */
export function* chunksOf([[tables, tablesHlc = ""], [values, valuesHlc = ""]]: Changes): Iterable<Changes> {
  for (const [tableId, [rows]] of Object.entries(tables)) {
    const all = Object.entries(rows);
    for (let from = 0; from < all.length; from += ROWS_PER_CHUNK) {
      const some = recordOf(all.slice(from, from + ROWS_PER_CHUNK));
      yield [[recordOf([[tableId, [some] as TableStamp]])], [{}], 1];
    }
  }
  const stamped = Object.entries(tables).flatMap(([id, [, hlc = ""]]): [string, TableStamp][] => {
    return hlc === "" ? [] : [[id, [{}, hlc]]];
  });
  if (stamped.length > 0 || tablesHlc !== "" || !isEmpty(values) || valuesHlc !== "") {
    yield [[recordOf(stamped), tablesHlc], [values, valuesHlc], 1];
  }
}

/** The text of a row or a value. */
export const textOf: (stamp: unknown) => string = encodeStamp;

const LONGEST: Readonly<Record<string, number>> = { t: 3, v: 2, h: 1 };

function partOf(key: string): PartOf {
  const part: unknown = JSON.parse(key);
  const most = Array.isArray(part) ? LONGEST[String(part[0])] : undefined;
  if (most === undefined || (part as unknown[]).length > most) {
    throw new SyntaxError("This is not the key of a part");
  }
  return part as unknown as PartOf;
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
