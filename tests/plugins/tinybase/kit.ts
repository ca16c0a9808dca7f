import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { createMergeableStore, type MergeableStore } from "tinybase";
import { createWsSynchronizer, type WsSynchronizer } from "tinybase/synchronizers/synchronizer-ws-client";
import { paths, type PathsOptions } from "../../../plugins/paths.ts";
import { type PathPersister, tinybase, type TinyBaseOptions } from "../../../plugins/protocols/tinybase.ts";
import { confirmedConnections } from "../paths/connected.ts";
import { type FakeClock, serve, until, within } from "../../kit/mod.ts";

/** Starts a server with TinyBase at /sync. */
export async function syncServer(
  { clock, pathsOptions, ...options }: Omit<TinyBaseOptions, "paths"> & {
    pathsOptions?: PathsOptions;
    clock?: FakeClock;
  } = {},
) {
  const tenants = paths(pathsOptions);
  const protocol = tinybase({ ...options, paths: tenants.api });
  const { plugin, wrap } = confirmedConnections();
  const server = await serve({ ...(clock && { clock }) }, plugin, tenants, protocol);
  return { ...server, connect: wrap(server), paths: tenants.api, sync: protocol.api };
}

/** Stores the parts of many paths. */
export interface PathDocuments {
  load(path: string): Iterable<readonly [key: string, text: string]>;
  save(path: string, parts: ReadonlyMap<string, string>): void;
}

/** Documents in memory. */
export function memoryDocuments(): PathDocuments & { parts: Map<string, Map<string, string>> } {
  const parts = new Map<string, Map<string, string>>();
  const of = (path: string) => {
    let found = parts.get(path);
    if (found === undefined) parts.set(path, found = new Map());
    return found;
  };
  return {
    parts,
    load: (path) => [...of(path)],
    save: (path, changed) => changed.forEach((text, key) => of(path).set(key, text)),
  };
}

/** Documents in a SQLite file. */
export function sqliteDocuments(file: string): PathDocuments & Disposable {
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS parts (path TEXT, key TEXT, text TEXT, PRIMARY KEY (path, key)) WITHOUT ROWID`);
  const select = db.prepare("SELECT key, text FROM parts WHERE path = ?");
  const upsert = db.prepare("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)");
  return {
    load: (path) => select.all(path).map(({ key, text }) => [key, text] as [string, string]),
    save(path, parts) {
      db.exec("BEGIN");
      for (const [key, text] of parts) upsert.run(path, key, text);
      db.exec("COMMIT");
    },
    [Symbol.dispose]: () => db.close(),
  };
}

/** Creates persisters that store documents, and fail while `isFull` returns `true`. */
export const persisterOf =
  (documents: PathDocuments, isFull = () => false) => (path: string): PathPersister => ({
    load: () => documents.load(path),
    save(parts) {
      if (isFull()) throw new Error("disk full");
      return documents.save(path, parts);
    },
  });

/** Options of a server that stores its paths in memory. */
export const stored = () => {
  const documents = memoryDocuments();
  return { documents, createPersisterForPath: persisterOf(documents) };
};

/** A real TinyBase client. */
export interface SyncedStore extends AsyncDisposable {
  readonly store: MergeableStore;
  readonly socket: WebSocket;
  readonly synchronizer: WsSynchronizer<WebSocket>;
  /** The errors that TinyBase reported. */
  readonly errors: unknown[];
  /** Disconnects; the store stays. */
  close(): Promise<void>;
}

export interface SyncedStoreOptions {
  store?: MergeableStore;
  /** Uses the multiplexed mode, with this channel and socket. */
  channel?: string;
  socket?: WebSocket;
  fragmentSize?: number;
  timeoutSeconds?: number;
  sync?: boolean;
}

/** Connects a store and starts synchronization. */
export async function synced(
  url: string,
  { store = createMergeableStore(), channel, socket, fragmentSize, timeoutSeconds = 5, sync = true }:
    SyncedStoreOptions = {},
): Promise<SyncedStore> {
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  const own = socket ?? new WebSocket(url.replace(/^http/, "ws"), channel === undefined ? [] : ["tinybase"]);
  const more = [timeoutSeconds, undefined, undefined, onError, fragmentSize] as const;
  const synchronizer =
    await (channel === undefined
      ? createWsSynchronizer(store, own, ...more)
      : createWsSynchronizer(store, own, channel, ...more));
  if (sync) await synchronizer.startSync();
  const closed = new Promise<void>((resolve) =>
    own.addEventListener("close", () => resolve(), { once: true })
  );
  const close = async () => {
    if (socket === undefined) {
      // First the socket: a multiplexed client fails if it receives a frame for a store that has left.
      own.close();
      await within("the close", closed);
    }
    await synchronizer.destroy();
  };
  return { store, socket: own, synchronizer, errors, close, [Symbol.asyncDispose]: close };
}

export const hashesOf = (store: MergeableStore) => store.getMergeableContentHashes().join();

/** Waits until all stores have equal hashes, and checks that their contents are equal. */
export async function converged(...stores: MergeableStore[]): Promise<void> {
  const [first, ...others] = stores as [MergeableStore, ...MergeableStore[]];
  await until("equal hashes", () => others.every((store) => hashesOf(store) === hashesOf(first)));
  for (const store of others) {
    same(store.getContent(), first.getContent());
    same(store.getMergeableContent(), first.getMergeableContent());
  }
}

/** Compares contents without their prototypes. */
export function same(actual: unknown, expected: unknown): void {
  assert.deepEqual(plain(actual), plain(expected));
}

/** Removes prototypes and replaces deleted cells. */
function plain(content: unknown): unknown {
  return JSON.parse(JSON.stringify(content, (_key, value) => value === undefined ? "(deleted)" : value));
}

/** Returns a stamp without hashes, as in messages. */
export function unhashed(stamp: unknown): unknown {
  const [thing, hlc] = stamp as [unknown, string];
  const isTree = typeof thing === "object" && thing !== null;
  const tree = () =>
    Object.fromEntries(Object.entries(thing as object).map(([id, child]) => [id, unhashed(child)]));
  return [isTree ? tree() : thing, hlc];
}
