/**
 * What the TinyBase protocol offers to the app.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";

/** Told when a path has come (`1`) or gone (`-1`). */
export type PathIdsListener = (sync: TinyBaseSync, pathId: string, addedOrRemoved: 1 | -1) => void;

/** Told when a client has come (`1`) or gone (`-1`). */
export type ClientIdsListener = (
  sync: TinyBaseSync,
  pathId: string,
  clientId: string,
  addedOrRemoved: 1 | -1,
) => void;

/** A path's store, kept loaded until it is disposed of. */
export interface OpenStore extends AsyncDisposable {
  /** Read it, change it, listen to it: what changes here goes to the clients, and the other way round. */
  readonly store: MergeableStore;
  /** Resolves when all that has changed until now is stored. */
  saved(): Promise<void>;
}

/** The names and meanings of TinyBase's `WsServer`, and access to the stores. */
export interface TinyBaseSync {
  /** The paths that are there. */
  getPathIds(): string[];
  /** The clients on a path; none on one that is not there. */
  getClientIds(pathId: string): string[];
  /** Numbers of paths and of clients; a socket with two channels counts twice. */
  getStats(): { paths: number; clients: number };
  /** Adds a listener to paths; a path comes before its first client, and goes when it is stopped. */
  addPathIdsListener(listener: PathIdsListener): string;
  /** Adds a listener to clients, of one path or, with `null`, of all. */
  addClientIdsListener(pathId: string | null, listener: ClientIdsListener): string;
  /** Removes a listener by the id it was given. */
  delListener(listenerId: string): TinyBaseSync;
  /** The store of a path that is loaded. */
  getStore(pathId: string): MergeableStore | undefined;
  /** Loads a path if need be, and keeps it loaded. Throws if it has no persister, or cannot be loaded. */
  open(pathId: string): Promise<OpenStore>;
}
