import type { MergeableStore } from "tinybase";

/** Called when a path is added (`1`) or removed (`-1`). */
export type PathIdsListener = (sync: TinyBaseSync, pathId: string, addedOrRemoved: 1 | -1) => void;

/** Called when a client joins (`1`) or leaves (`-1`). */
export type ClientIdsListener = (
  sync: TinyBaseSync,
  pathId: string,
  clientId: string,
  addedOrRemoved: 1 | -1,
) => void;

/** The store of a path, kept loaded until it is disposed. */
export interface OpenStore extends AsyncDisposable {
  /** The store. Changes are synchronized with the clients in both directions. */
  readonly store: MergeableStore;
  /** Resolves when all changes so far are saved. */
  saved(): Promise<void>;
}

/** The API of TinyBase's `WsServer`, and access to the stores. */
export interface TinyBaseSync {
  /** Lists the paths in use. */
  getPathIds(): string[];
  /** Lists the clients of a path. */
  getClientIds(pathId: string): string[];
  /** Returns the number of paths and of clients. A socket with two channels counts as two clients. */
  getStats(): { paths: number; clients: number };
  /** Adds a listener. A path is added before its first client, and removed after its store has stopped. */
  addPathIdsListener(listener: PathIdsListener): string;
  /** Adds a listener to the clients of one path, or of all with `null`. */
  addClientIdsListener(pathId: string | null, listener: ClientIdsListener): string;
  /** Removes a listener by the id that was returned when it was added. */
  delListener(listenerId: string): TinyBaseSync;
  /** Returns the store of a path, if it is ready. */
  getStore(pathId: string): MergeableStore | undefined;
  /** Loads a path and keeps it loaded. Throws if it has no persister or cannot be loaded. */
  open(pathId: string): Promise<OpenStore>;
}
