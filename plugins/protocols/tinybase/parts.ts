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

import type { MaybePromise } from "../../../core/mod.ts";
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
  /**
   * Loads all parts; none for a new path. If it throws, the path is read-only. They are taken with pauses, so a
   * generator need not read all at once. The part `["h"]` should come first.
   */
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

const MAX_KEY_LENGTH: Readonly<Record<string, number>> = { t: 3, v: 2, h: 1 };

/** Parses the key of a part. Throws if it is invalid. */
export function partOf(key: string): readonly [kind: string, id?: string, row?: string] {
  const part: unknown = JSON.parse(key);
  if (!isPart(part)) throw new SyntaxError("This is not the key of a part");
  return part;
}

/** Ids must be strings, because they become keys in the JSON that clients receive. */
function isPart(part: unknown): part is [kind: string, id?: string, row?: string] {
  if (!Array.isArray(part) || !part.every((item) => typeof item === "string")) return false;
  const maxLength = MAX_KEY_LENGTH[part[0] ?? ""];
  return maxLength !== undefined && part.length <= maxLength;
}
