/**
 * TinyBase: synchronizes the stores of TinyBase's clients (versions 9.3 to 10), and persists them.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { paths } from "@plugboard/server/paths";
 * import { tinybase } from "@plugboard/server/tinybase";
 *
 * const server = new Server({ port: 0 });
 * const sync = server.use(tinybase({
 *   paths: server.use(paths()),
 *   createPersisterForPath: () => ({ load: () => [], save() {} }), // in memory, for tests
 * }));
 * await server.start();
 * {
 *   await using petShop = await sync.open("petShop");
 *   petShop.store.setCell("pets", "fido", "species", "dog");
 *   await petShop.saved();
 * }
 * await server.stop();
 * ```
 *
 * Clients connect as to TinyBase's `createWsServer`: `createWsSynchronizer(store, new WebSocket(".../sync/petShop"))`,
 * or, for several stores on one socket, with the subprotocol `tinybase` and one channel for each store.
 *
 * **A path without a persister** is a relay: messages are forwarded unchanged to all others or to one client.
 *
 * **A path with a persister** has a store on the server as well, which is one more client (`S`) and always connected. A
 * client that is alone on the path receives all content from it at once; a client with an empty store does so even
 * while the server is loading. The server sends only what is saved: a client that receives the hashes of its own store
 * knows that its content is safe. Broadcast requests and hashes go to the server only, as it has the content of all
 * clients.
 *
 * **Storage failures.** If a path's content cannot be loaded, or TinyBase refuses it, it is not overwritten: the path is
 * read-only (clients answer each other, but changes are not forwarded), the error is logged and reported by the paths'
 * `getState` and `state` event, and loading is retried while the path is in use. If saving fails, it is retried too;
 * clients continue to exchange changes, and the server sends nothing until it has succeeded.
 *
 * **Readers**, to whom `paths({ allow })` grants `"read"`, receive all content. Their changes are not forwarded, and
 * are reverted in their own store if the path has a persister.
 *
 * **Clocks.** TinyBase ignores changes with a clock more than five minutes ahead. A client that sends them is closed
 * with 1008 and a reason, because otherwise the loss would go unnoticed.
 *
 * **Sizes.** Clients close their socket if a frame is larger than 16 MiB, and a client with an empty store receives all
 * tables in one frame. So the maximum message size leaves 2 KiB for the ids that precede it, and the content of a path
 * is limited to 16 MB, for changes made online and offline.
 *
 * Differences from TinyBase's own server: the server creates client ids and never takes them from a header; paths are
 * decoded, and ambiguous ones refused; messages are validated before they are forwarded, because clients close their
 * socket if they receive an invalid one. A message to an unknown client is dropped, as TinyBase's format has no way to
 * report it. A client that creates a new synchronizer when it reconnects misses nothing. A client whose socket library
 * reconnects by itself must use the multiplexed mode, because TinyBase's other mode stops receiving after the first
 * close.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";
import {
  built,
  checkOptions,
  type Host,
  type MaybePromise,
  type Plugin,
  type Upgrade,
} from "../../core/mod.ts";
import type { PathGrant, Paths, ServerClient, ServerSide } from "../paths.ts";
import { MAX_MESSAGE_BYTES } from "./tinybase/messages.ts";
import type { PathPersister } from "./tinybase/parts.ts";
import { PathStore } from "./tinybase/path_store.ts";
import { sessions } from "./tinybase/sessions.ts";
import { tinyBaseSync } from "./tinybase/sync.ts";
import type { TinyBaseSync } from "./tinybase/types.ts";

export { tinybaseCodes } from "./tinybase/close_codes.ts";
export type { PathPersister } from "./tinybase/parts.ts";
export { sqlitePersister } from "./tinybase/sqlite_persister.ts";
export type * from "./tinybase/types.ts";

/** Options of {@linkcode tinybase}. */
export interface TinyBaseOptions {
  /** The paths to serve; not shared with another protocol. */
  paths: Paths;
  /** URL path under which clients connect. @default {"/sync"} */
  path?: string;
  /** Creates the persister of a path. Without it, or if it returns `undefined`, the path is a relay. */
  createPersisterForPath?: (path: string) => MaybePromise<PathPersister | undefined>;
  /** Called with a path's store after it is loaded, before clients change it; for default content and listeners. */
  onStore?: (store: MergeableStore, path: string) => MaybePromise<void>;
  /** Timeout of the server's requests to a client. @default {10000} */
  requestTimeoutMs?: number;
  /** Timeout of the fragments of one message. @default {1000} */
  fragmentTimeoutMs?: number;
  /** Maximum bytes of a fragment that the server sends. @default {messages are not fragmented} */
  fragmentSize?: number;
  /** Maximum bytes of one message. TinyBase's clients accept no more than the default. @default {16775168} */
  maxMessageBytes?: number;
  /** Maximum bytes queued for a slow client. The default is two of the largest messages. @default {33554432} */
  maxQueuedBytes?: number;
  /**
   * Maximum bytes of a path's content; beyond it, clients cannot add any. A client with an empty store receives all
   * tables in one message, so paths must not exceed the default if it should succeed. @default {16000000}
   */
  maxStoreBytes?: number;
}

/** Speaks TinyBase's synchronization protocol on {@linkcode Paths}. */
export function tinybase(options: TinyBaseOptions): Plugin<TinyBaseSync> {
  const {
    paths,
    path: prefix = "/sync",
    createPersisterForPath,
    onStore = () => {},
    requestTimeoutMs = 10_000,
    fragmentTimeoutMs = 1_000,
    fragmentSize,
    maxMessageBytes = MAX_MESSAGE_BYTES,
    maxQueuedBytes = 33_554_432,
    maxStoreBytes = 16_000_000,
  } = options;
  const check = checkOptions("tinybase");
  check.that(prefix.startsWith("/"), "path", "a path that begins with a slash", prefix);
  const numbers = { requestTimeoutMs, fragmentTimeoutMs, maxMessageBytes, maxQueuedBytes, maxStoreBytes };
  for (const [option, value] of Object.entries(numbers)) check.positiveInteger(option, value);
  if (fragmentSize !== undefined) check.positiveInteger("fragmentSize", fragmentSize);

  const base = prefix.replace(/\/$/, "");
  const grants = new WeakMap<Upgrade, PathGrant>();
  const openSession = sessions({ paths, fragmentTimeoutMs, storeOf });
  let host: Host | undefined;

  function storeOf(path: string): PathStore | undefined {
    const client = paths.getServerClient(path);
    return client instanceof PathStore ? client : undefined;
  }

  async function upgrade(request: Upgrade): Promise<Response | undefined> {
    const path = paths.idOf(request, base);
    if (path instanceof Response) return path;
    const granted = await paths.authorize(request, path);
    if (!(granted instanceof Response)) grants.set(request, granted);
    // A multiplexed socket needs valid credentials only; each of its channels is authorized separately.
    else if (request.protocol === undefined || granted.status === 401) return granted;
    else grants.set(request, { path, permission: "read" });
  }

  async function createServerClient(side: ServerSide): Promise<ServerClient | undefined> {
    const persister = await createPersisterForPath?.(side.path);
    if (persister === undefined) return undefined;
    const { clock, log } = host!;
    const onLoad = (store: MergeableStore) => onStore(store, side.path);
    return new PathStore({
      side,
      persister,
      clock,
      log,
      requestTimeoutMs,
      fragmentSize,
      maxStoreBytes,
      onLoad,
    });
  }

  return built({
    name: "tinybase",
    api: tinyBaseSync(paths, storeOf),
    endpoints: [{
      name: "tinybase",
      path: [base || "/", `${base}/*`],
      protocols: ["tinybase"],
      maxMessageBytes,
      maxQueuedBytes,
      upgrade,
      open: (conn, request) => openSession(conn, request, grants.get(request)!, host!),
    }],
    start(started) {
      host = started;
      paths.serve(createServerClient);
    },
  }, options);
}
