/**
 * Paths: every URL path is a separate tenant, with its own members, message routing and server client.
 *
 * A service for protocols, independent of any wire format. Each protocol needs its own instance:
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { paths } from "@plugboard/server/paths";
 * import { pipe } from "@plugboard/server/pipe";
 *
 * const server = new Server({ port: 0 });
 * const rooms = server.use(paths({ maxConnectionsPerPath: 50 }));
 * server.use(pipe({ paths: rooms, path: "/ws" }));
 *
 * const remove = rooms.on("clientJoined", ({ path, client }) => console.log(`${client} joined ${path}`));
 * rooms.broadcast("my-store", "|notice|hello from the server");
 * remove();
 * ```
 *
 * A message is sent to all other members of the path, to the server client (`S`), or to one client; never to another
 * path. Messages to the server client are held until it is ready. Messages to a client that is away are kept until it
 * returns, if it can prove its id with a client token.
 *
 * @module
 */

import {
  built,
  checkOptions,
  type CloseCode,
  closeCode,
  type Connection,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  refusal,
  type Upgrade,
} from "../core/mod.ts";
import type { PathGrant, Paths } from "./paths/api.ts";
import { type ClientTokens, clientTokensWith } from "./paths/client_tokens.ts";
import { Listeners } from "./paths/listeners.ts";
import { Mailboxes, type MailLimits, type MailStore } from "./paths/mailboxes.ts";
import { Path } from "./paths/path.ts";
import { checkPathId, pathIdOf } from "./paths/path_id.ts";
import type { ServerClientFactory } from "./paths/types.ts";
import { accountOf, type Identity, type Verb } from "./shared/identity.ts";

export type { OpenPath, PathGrant, Paths } from "./paths/api.ts";
export type { ClientTokens } from "./paths/client_tokens.ts";
export type { Mailbox, MailLimits, MailMessage, MailStore } from "./paths/mailboxes.ts";
export { storedMail } from "./paths/stored_mail.ts";
export type * from "./paths/types.ts";
export type { Verb } from "./shared/identity.ts";

/** Options of {@linkcode paths}. */
export interface PathsOptions {
  /** Maximum clients on one path. @default {100} */
  maxConnectionsPerPath?: number;
  /** Maximum paths. @default {10000} */
  maxPaths?: number;
  /** Maximum paths that one user has opened, or clients of one address without a user. @default {a quarter of all} */
  maxPathsPerClient?: number;
  /** Timeout for creating, loading, starting, flushing or stopping a server client. @default {30000} */
  operationTimeoutMs?: number;
  /** Whether a path's server client is stopped when its last client has left. @default {true} */
  autoCleanup?: boolean;
  /** Maximum messages held for a server client that is not ready. @default {1000} */
  maxHeldMessages?: number;
  /** Maximum characters of those, of one or two bytes each. @default {16777216} */
  maxHeldBytes?: number;
  /** Limits of the messages kept for clients that are away. */
  mail?: MailLimits;
  /** Persists those messages, for example {@linkcode storedMail}. @default {in memory} */
  mailStore?: MailStore;
  /** Returns what a client may do on a path, or a response (401, 403) that refuses it. @default {all may write} */
  allow?: (upgrade: Upgrade, path: string) => MaybePromise<Verb | Response>;
  /** Returns who a client is, to count its paths. @default {clients are known by their address} */
  identityOf?: (who: Connection | Upgrade) => Identity | undefined;
}

const pathFull = closeCode(1013, "too many clients on this path");
const tooManyPaths = closeCode(1013, "too many paths");
const tooManyPathsOfOne = closeCode(1013, "too many paths of one client");

/** Routes messages between the clients of a path. */
export function paths(options: PathsOptions = {}): Plugin<Paths> {
  const {
    maxConnectionsPerPath = 100,
    maxPaths = 10_000,
    operationTimeoutMs = 30_000,
    autoCleanup = true,
    maxHeldMessages = 1_000,
    maxHeldBytes = 16_777_216,
    mailStore,
    allow = () => "write",
    identityOf = () => undefined,
  } = options;
  const { maxPathsPerClient = Math.ceil(maxPaths / 4) } = options;
  const mailboxes = new Mailboxes(options.mail, mailStore);
  const numbers = {
    maxConnectionsPerPath,
    maxPaths,
    maxPathsPerClient,
    operationTimeoutMs,
    maxHeldMessages,
    maxHeldBytes,
  };
  const check = checkOptions("paths");
  for (const [option, value] of Object.entries({ ...numbers, ...mailboxes.limits })) {
    check.positiveInteger(option, value);
  }

  const all = new Map<string, Path>();
  /** How many paths each user or network has opened. */
  const opened = new Map<string, number>();
  const accountFor = (who: Connection | Upgrade) => accountOf(identityOf(who), who.ip);
  const listeners = new Listeners((event, error) => host?.log.error("a listener failed", { event, error }));
  let host: Host | undefined;
  let clientTokens: ClientTokens | undefined;
  let createServerClient: ServerClientFactory | undefined;
  let messages = 0;
  const onMessage = () => void messages++;

  function startedHost(): Host {
    if (host !== undefined) return host;
    throw new PlugboardError("not_started", "Paths can be used once the server has started");
  }

  function countPath(account: string | undefined, by: 1 | -1): void {
    if (account === undefined) return;
    const count = (opened.get(account) ?? 0) + by;
    if (count === 0) opened.delete(account);
    else opened.set(account, count);
  }

  /** Returns a path; adds it if it is new. `account` is who opens it; absent for the app. */
  function ensurePath(id: string, account?: string): Path {
    const known = all.get(id);
    if (known !== undefined) return known;
    const { clock, log } = startedHost();
    const path = new Path({
      path: id,
      clock,
      log,
      listeners,
      mailboxes,
      operationTimeoutMs,
      heldLimits: { maxMessages: maxHeldMessages, maxBytes: maxHeldBytes },
      createServerClient,
      autoCleanup,
      onMessage,
      onUnused() {
        all.delete(id);
        countPath(account, -1);
        listeners.emit("pathRemoved", { path: id });
      },
    });
    all.set(id, path);
    countPath(account, 1);
    listeners.emit("pathAdded", { path: id });
    return path;
  }

  /** Returns why a client cannot join. A client that is on the path already can always reconnect. */
  function noRoom(who: Connection | Upgrade, id: string, client?: string): CloseCode | undefined {
    const path = all.get(id);
    if (path === undefined) {
      if (all.size >= maxPaths) return tooManyPaths;
      return (opened.get(accountFor(who)) ?? 0) >= maxPathsPerClient ? tooManyPathsOfOne : undefined;
    }
    if (client !== undefined && path.has(client)) return undefined;
    return path.size >= maxConnectionsPerPath ? pathFull : undefined;
  }

  function grant(
    upgrade: Upgrade,
    path: string,
    verdict: Verb | Response,
    client?: string,
  ): PathGrant | Response {
    if (verdict instanceof Response) return verdict;
    const full = noRoom(upgrade, path, client);
    if (full === undefined) return { path, permission: verdict };
    const code = full === pathFull ? "path_full" : "too_many_paths";
    return refusal(503, code, full.reason, { "retry-after": "5" });
  }

  const api: Paths = {
    idOf(upgrade, prefix) {
      const path = pathIdOf(upgrade.url, prefix);
      return "id" in path ? path.id : badPath(path);
    },
    authorize(upgrade, path, client) {
      const checked = checkPathId(path);
      if ("problem" in checked) return badPath(checked);
      const verdict = allow(upgrade, path);
      if (!(verdict instanceof Promise)) return grant(upgrade, path, verdict, client);
      return verdict.then((resolved) => grant(upgrade, path, resolved, client));
    },
    join(path, client) {
      const account = accountFor(client.conn);
      return noRoom(client.conn, path, client.id) ?? ensurePath(path, account).join(client, account);
    },
    serve(factory) {
      if (createServerClient !== undefined) {
        throw new PlugboardError(
          "in_use",
          "These paths belong to another protocol; create one paths() for each protocol",
        );
      }
      createServerClient = factory;
    },
    async open(id) {
      const path = ensurePath(id);
      const release = path.keepLoaded();
      const { serverClient } = path;
      await serverClient.settled();
      return {
        get state() {
          return serverClient.state;
        },
        get client() {
          return serverClient.client;
        },
        get error() {
          return serverClient.error;
        },
        release,
      };
    },
    get clientTokens() {
      startedHost();
      return clientTokens!;
    },
    sendToClient: (id, client, payload, from = "S") =>
      all.get(id)?.send(client, payload, from) ?? mailboxes.add(id, client, { from, payload }),
    broadcast: (id, payload, from) => all.get(id)?.broadcast(payload, undefined, from) ?? 0,
    getPathIds: () => [...all.keys()],
    getClientIds: (id) => all.get(id)?.clientIds() ?? [],
    getState: (id) => all.get(id)?.serverClient.state,
    getServerClient: (id) => all.get(id)?.serverClient.client,
    getStats() {
      let clients = 0;
      let held = 0;
      for (const path of all.values()) {
        clients += path.size;
        held += path.serverClient.held;
      }
      return { paths: all.size, clients, messages, held, kept: mailboxes.size };
    },
    on: (event, listener, path) => listeners.add(event, listener, path),
  };

  return built({
    name: "paths",
    api,
    async start(started) {
      host = started;
      await mailboxes.start(started);
      clientTokens = clientTokensWith(await mailStore?.secret() ?? crypto.randomUUID());
      listeners.emit("started", {});
    },
    async stop() {
      await Promise.all([...all.values()].map((path) => path.serverClient.close()));
      mailboxes.stop();
      listeners.emit("stopped", {});
      host = undefined;
    },
  }, options);
}

function badPath({ problem }: { problem: string }): Response {
  return refusal(400, "bad_path", `The path ${problem}`);
}
