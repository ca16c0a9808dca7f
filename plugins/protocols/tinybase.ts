/**
 * TinyBase: synchronizes the stores of TinyBase's own clients (versions 9.3 to 10), and keeps what they have.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { paths } from "@plugboard/server/paths";
 * import { tinybase } from "@plugboard/server/tinybase";
 *
 * const server = new Server({ port: 0 });
 * const sync = server.use(tinybase({
 *   paths: server.use(paths()),
 *   createPersisterForPath: () => ({ load: () => [], save() {} }), // in memory: for tests
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
 * or, for several stores on one socket, with the subprotocol `tinybase` and a channel for each.
 *
 * **A path without a persister** is a relay: messages go to everyone else or to one client, untouched.
 *
 * **A path with one** has a store on the server as well, which is one more client (`S`) that is always there. It
 * answers at once, and gives a client that comes alone everything; one that has nothing need not even wait until what
 * is stored is merged. What it answers is stored: a client that is told the hashes of its own store knows that all it
 * has is safe. Questions and hashes addressed to everybody go to the server alone then, as it has all that the others
 * could tell.
 *
 * **Storage that fails.** If a path's content cannot be loaded, or is refused by TinyBase, nothing is written over it:
 * the path is read-only (its clients still answer each other, but no change goes around), the error is logged,
 * `getState` and the `state` event of the paths tell it, and loading is tried again while somebody is there. If
 * saving fails, it is tried again as well; clients go on exchanging, and the server is silent until it has succeeded.
 *
 * **Readers**, whom `paths({ allow })` grants no more than `"read"`, get everything. What they change is told to nobody,
 * and undone at their side where the path has a store.
 *
 * **Clocks.** TinyBase ignores changes stamped more than five minutes ahead. A client that sends such is closed with
 * 1008 and a reason, because otherwise nobody would ever learn why its changes go nowhere.
 *
 * **Sizes.** A client closes its socket for a frame of more than 16 MiB, and one that comes with nothing gets all tables
 * of a path in one. So messages may have 2 KiB less, for ids that are written in front of them, and a path's content
 * 16 MB, whether its clients change it online or bring what they did while they were away.
 *
 * Differences to TinyBase's own server: ids are made by the server and never taken from a header; paths are decoded and
 * hostile ones refused; a message is checked before it is passed on, because clients close their socket when
 * they receive what is none. A message to a client that is not there is dropped, as TinyBase's format
 * has no way to tell the sender. A TinyBase client that makes a new synchronizer when it reconnects misses nothing;
 * one that lets a socket library reconnect underneath must use the multiplexed mode, as the other one of TinyBase
 * stops listening at the first close.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";
import {
  checkOptions,
  type CloseCode,
  type Connection,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  type Session,
  type Upgrade,
} from "../../core/mod.ts";
import type { FrameEncoder, OpenPath, PathGrant, Paths, ServerClient, ServerSide } from "../paths.ts";
import { SyncClient } from "./tinybase/client.ts";
import { tinybaseCodes } from "./tinybase/close_codes.ts";
import { Assembler } from "./tinybase/fragments.ts";
import { pathListeners } from "./tinybase/listeners.ts";
import { muxSession } from "./tinybase/mux.ts";
import type { PathPersister } from "./tinybase/parts.ts";
import { PathStore } from "./tinybase/path_store.ts";
import { MAX_MESSAGE_BYTES } from "./tinybase/sizes.ts";
import type { TinyBaseSync } from "./tinybase/types.ts";

export { tinybaseCodes } from "./tinybase/close_codes.ts";
export type { PathPersister } from "./tinybase/parts.ts";
export { sqlitePersister } from "./tinybase/sqlite_persister.ts";
export type * from "./tinybase/types.ts";

/** Options of {@linkcode tinybase}. */
export interface TinyBaseOptions {
  /** Paths of its own. */
  paths: Paths;
  /** Where it answers, at this path and below. @default {"/sync"} */
  path?: string;
  /** Makes what stores a path; without it, or where it gives none, the path is a relay. */
  createPersisterForPath?: (path: string) => MaybePromise<PathPersister | undefined>;
  /** Called with a path's store when it is loaded, before its clients are heard: for default content, listeners. */
  onStore?: (store: MergeableStore, path: string) => MaybePromise<void>;
  /** How long a client may take to answer the server. @default {10000} */
  requestTimeoutMs?: number;
  /** How long the fragments of one message may take. @default {1000} */
  fragmentTimeoutMs?: number;
  /** Bytes of a fragment of what the server sends. @default {whole messages} */
  fragmentSize?: number;
  /** Bytes of one message; TinyBase's clients take no more than the default. @default {16775168} */
  maxMessageBytes?: number;
  /** Bytes that may wait for a slow client: two of the largest messages by default. @default {33554432} */
  maxQueuedBytes?: number;
  /**
   * Bytes of a path's content beyond which its clients cannot add any. A client that comes with nothing gets all
   * tables in one message, and so nothing from a path that has more than the default. @default {16000000}
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
  const wireOf = wires();
  let host: Host | undefined;

  async function upgrade(request: Upgrade): Promise<Response | undefined> {
    const path = paths.idOf(request, base);
    if (path instanceof Response) return path;
    const granted = await paths.authorize(request, path);
    if (!(granted instanceof Response)) grants.set(request, granted);
    // Of a multiplexed socket each channel is decided on by itself; here counts only who comes.
    else if (request.protocol === undefined || granted.status === 401) return granted;
    else grants.set(request, { path, permission: "read" });
  }

  function open(conn: Connection, request: Upgrade): Session {
    const grant = grants.get(request)!;
    const assembler = new Assembler(host!.clock, fragmentTimeoutMs);
    const session = request.protocol === undefined
      ? legacy(conn, grant, assembler)
      : multiplexed(conn, request, grant.path, assembler);
    return {
      message: (data) => session.message(data),
      close(why) {
        assembler.clear();
        session.close?.(why);
      },
    };
  }

  function legacy(conn: Connection, grant: PathGrant, assembler: Assembler): Session {
    const client = join(conn, grant, legacyWire, assembler);
    if (client instanceof SyncClient) {
      return { message: (data) => client.receive(data), close: () => client.leave() };
    }
    conn.close(client);
    return { message() {} };
  }

  function multiplexed(conn: Connection, request: Upgrade, basePath: string, assembler: Assembler): Session {
    return muxSession({
      send: (frame) => void conn.send(frame),
      close: (why) => close(conn, why),
      async join(channel) {
        const path = basePath === "" ? channel : `${basePath}/${channel}`;
        const granted = await paths.authorize(request, path);
        if (granted instanceof Response) return refusalOf(granted);
        return join(conn, granted, wireOf(channel), assembler, channel);
      },
      failed: (error) => host!.log.error("a channel could not be joined", { error }),
    });
  }

  function join(
    conn: Connection,
    { path, permission }: PathGrant,
    wire: FrameEncoder,
    assembler: Assembler,
    scope = "",
  ): SyncClient | CloseCode {
    const member = paths.join(path, { conn, encoder: wire, permission, id: conn.id });
    if ("code" in member) return member;
    return new SyncClient({
      member,
      store: () => storeOf(path),
      assembler,
      scope,
      clock: host!.clock,
      close: (why) => close(conn, why),
    });
  }

  function close(conn: Connection, why: CloseCode): void {
    host!.log.info(`a client was closed: ${why.reason}`, { connection: conn.id, ip: conn.ip });
    conn.close(why);
  }

  async function createServerClient(side: ServerSide): Promise<ServerClient | undefined> {
    const persister = await createPersisterForPath?.(side.path);
    if (persister === undefined) return undefined;
    const { clock, log } = host!;
    return new PathStore({
      side,
      persister,
      clock,
      log,
      requestTimeoutMs,
      fragmentSize,
      maxStoreBytes,
      loaded: (store) => onStore(store, side.path),
    });
  }

  function storeOf(path: string): PathStore | undefined {
    const client = paths.getServerClient(path);
    return client instanceof PathStore ? client : undefined;
  }

  const sync: TinyBaseSync = {
    getPathIds: () => paths.getPathIds(),
    getClientIds: (pathId) => paths.getClientIds(pathId),
    getStats() {
      const { paths: count, clients } = paths.getStats();
      return { paths: count, clients };
    },
    ...pathListeners(paths, () => sync),
    getStore: (pathId) => storeOf(pathId)?.store,
    async open(pathId) {
      const held = await paths.open(pathId);
      const opened = storeOf(pathId);
      if (opened === undefined) throw notOpened(pathId, held);
      return {
        store: opened.store,
        saved: () => opened.flush(),
        [Symbol.asyncDispose]: () => {
          held.release();
          return Promise.resolve();
        },
      };
    },
  };

  return {
    name: "tinybase",
    api: sync,
    endpoints: [{
      name: "tinybase",
      path: [base || "/", `${base}/*`],
      protocols: ["tinybase"],
      maxMessageBytes,
      maxQueuedBytes,
      upgrade,
      open,
    }],
    start(given) {
      host = given;
      paths.serve(createServerClient);
    },
  };
}

const legacyWire: FrameEncoder = { encode: (from, payload) => `${from}\n${payload}` };

/** What a refusal by status is as a close code, for a channel of a socket that is open already. */
function refusalOf({ status }: Response): CloseCode {
  if (status === 400) return tinybaseCodes.invalid;
  return status === 503 ? tinybaseCodes.full : tinybaseCodes.forbidden;
}

/** Clients that share a wire share their frames. */
function wires(): (channel: string) => FrameEncoder {
  const known = new Map<string, FrameEncoder>();
  return (channel) => {
    let wire = known.get(channel);
    if (wire === undefined) {
      if (known.size >= MAX_WIRES) known.clear();
      wire = { encode: (from, payload) => `M\n${channel}\n${from}\n${payload}` };
      known.set(channel, wire);
    }
    return wire;
  };
}

/** Forgetting one costs no more than that later clients of its channel do not share frames with earlier ones. */
const MAX_WIRES = 10_000;

function notOpened(pathId: string, held: OpenPath): PlugboardError {
  const { error } = held;
  held.release();
  if (error === undefined) {
    return new PlugboardError("no_store", `The path ${JSON.stringify(pathId)} has no persister`);
  }
  return new PlugboardError("path_failed", `The path ${JSON.stringify(pathId)} could not be loaded`, {
    cause: error,
  });
}
