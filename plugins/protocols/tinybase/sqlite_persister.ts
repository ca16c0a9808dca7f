/**
 * The ready-made persister.
 *
 * @module
 */

import type { MaybePromise } from "../../../core/mod.ts";
import type { PathPersister } from "./parts.ts";

/** Keeps the parts of many paths; persistence does, in SQLite. */
export interface PathDocuments {
  /** All parts of a path. */
  load(path: string): MaybePromise<Iterable<readonly [key: string, text: string]>>;
  /** Stores parts of a path, all or none, after those of earlier calls. What it resolves for survives a crash. */
  save(path: string, parts: ReadonlyMap<string, string>): MaybePromise<void>;
}

/** Stores every path in one database, for `createPersisterForPath`. A change rewrites the rows it touches. */
export function sqlitePersister(documents: PathDocuments): (path: string) => PathPersister {
  return (path) => ({
    load: () => documents.load(path),
    save: (parts) => documents.save(path, parts),
  });
}
