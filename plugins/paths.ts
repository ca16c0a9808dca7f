/**
 * Paths: every URL path is a tenant of its own, with its members, its routing and a client of the server's.
 *
 * A service for protocols, free of any wire format. Each protocol gets one of its own, so that what it says is
 * heard by its own clients only:
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
 * const forget = rooms.on("clientJoined", ({ path, client }) => console.log(`${client} is on ${path}`));
 * rooms.broadcast("my-store", "|notice|hello from the server");
 * forget();
 * ```
 *
 * A message goes to everyone else on the path, to the server's client (`S`) or to one client; nothing crosses
 * paths. What is sent to the server's client before it is ready is held for it, in order and bounded. What is
 * sent to a client that is away is kept until it returns, if it can prove by a ticket that it is the one.
 *
 * @module
 */

import {
  checkOptions,
  type CloseCode,
  closeCode,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  refusal,
  type Upgrade,
} from "../core/mod.ts";
import type { PathGrant, Paths } from "./paths/api.ts";
import { Listeners } from "./paths/listeners.ts";
import { Mail, type MailLimits, type MailStore } from "./paths/mail.ts";
import { Path } from "./paths/path.ts";
import { checkPathId, pathIdOf } from "./paths/path_id.ts";
import { type Tickets, ticketsWith } from "./paths/tickets.ts";
import type { ServerClientFactory } from "./paths/types.ts";
import type { Verb } from "./shared/identity.ts";

export type { HeldPath, PathGrant, Paths } from "./paths/api.ts";
export type { HoldLimits } from "./paths/held.ts";
export type { Letter, Mailbox, MailLimits, MailStore } from "./paths/mail.ts";
export { storedMail } from "./paths/stored_mail.ts";
export type { Tickets } from "./paths/tickets.ts";
export type * from "./paths/types.ts";
export type { Verb } from "./shared/identity.ts";

/** Options of {@linkcode paths}. */
export interface PathsOptions {
  /** Clients on one path at once. @default {100} */
  maxConnectionsPerPath?: number;
  /** Paths at once. @default {10000} */
  maxPaths?: number;
  /** How long making, starting, flushing or stopping a server client may take. @default {30000} */
  operationTimeoutMs?: number;
  /** Whether a path's server client is stopped when its last client has left. @default {true} */
  autoCleanup?: boolean;
  /** Messages held for one path's server client while that is not ready. @default {1000} */
  maxHeldMessages?: number;
  /** Characters of those; each takes one byte or two. @default {16777216} */
  maxHeldBytes?: number;
  /** How much is kept for clients that are away, and for how long. */
  mail?: MailLimits;
  /** Keeps that over a restart; {@linkcode storedMail} makes one. Without it, mail ends with the process. */
  mailStore?: MailStore;
  /** Who may do what on a path; a returned response (401, 403) refuses. @default {everybody may write} */
  allow?: (upgrade: Upgrade, path: string) => MaybePromise<Verb | Response>;
}

const pathFull = closeCode(1013, "too many clients on this path");
const tooManyPaths = closeCode(1013, "too many paths");

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
  } = options;
  const mailLimits = { ...MAIL_DEFAULTS, ...options.mail };
  checkPathsOptions({
    maxConnectionsPerPath,
    maxPaths,
    operationTimeoutMs,
    maxHeldMessages,
    maxHeldBytes,
    ...mailLimits,
  });

  const all = new Map<string, Path>();
  const mail = new Mail(mailLimits, mailStore);
  const listeners = new Listeners((event, error) => host?.log.error("a listener failed", { event, error }));
  let host: Host | undefined;
  let tickets: Tickets | undefined;
  let serverClient: ServerClientFactory | undefined;
  let messages = 0;
  const counted = () => void messages++;

  function needStarted(): Host {
    if (host === undefined) {
      throw new PlugboardError("not_started", "Paths can be used once the server has started");
    }
    return host;
  }

  function ensure(id: string): Path {
    const known = all.get(id);
    if (known !== undefined) return known;
    const { clock, log } = needStarted();
    const path: Path = new Path({
      id,
      clock,
      log,
      listeners,
      mail,
      operationTimeoutMs,
      hold: { maxMessages: maxHeldMessages, maxBytes: maxHeldBytes },
      serverClient,
      cleanup: autoCleanup,
      counted,
      unused() {
        all.delete(id);
        listeners.tell("pathRemoved", { path: id });
      },
    });
    all.set(id, path);
    listeners.tell("pathAdded", { path: id });
    return path;
  }

  /** Why another client cannot join; one that takes its own place again always can. */
  function noRoom(id: string, client?: string): CloseCode | undefined {
    const path = all.get(id);
    if (path === undefined) return all.size >= maxPaths ? tooManyPaths : undefined;
    if (client !== undefined && path.has(client)) return undefined;
    return path.size >= maxConnectionsPerPath ? pathFull : undefined;
  }

  function decide(path: string, verdict: Verb | Response, client?: string): PathGrant | Response {
    if (verdict instanceof Response) return verdict;
    const full = noRoom(path, client);
    if (full === undefined) return { path, right: verdict };
    return refusal(503, full === pathFull ? "path_full" : "too_many_paths", full.reason, {
      "retry-after": "5",
    });
  }

  function authorize(upgrade: Upgrade, path: string, client?: string): MaybePromise<PathGrant | Response> {
    const checked = checkPathId(path);
    if ("problem" in checked) return refuse(checked);
    const verdict = allow(upgrade, path);
    if (!(verdict instanceof Promise)) return decide(path, verdict, client);
    return verdict.then((given) => decide(path, given, client));
  }

  const api: Paths = {
    idOf(upgrade, prefix) {
      const path = pathIdOf(upgrade.url, prefix);
      return "id" in path ? path.id : refuse(path);
    },
    authorize,
    join: (path, client) => noRoom(path, client.id) ?? ensure(path).join(client),
    serve(factory) {
      if (serverClient !== undefined) {
        throw new PlugboardError(
          "in_use",
          "These paths belong to another protocol; give each one paths() of its own",
        );
      }
      serverClient = factory;
    },
    async open(id) {
      const path = ensure(id);
      const release = path.hold();
      await path.seat.settled();
      return {
        get state() {
          return path.seat.state;
        },
        get client() {
          return path.seat.client;
        },
        get error() {
          return path.seat.error;
        },
        release,
      };
    },
    get tickets() {
      needStarted();
      return tickets!;
    },
    sendToClient: (id, client, payload, from = "S") =>
      all.get(id)?.send(client, payload, from) ?? mail.keep(id, client, { from, payload }),
    broadcast: (id, payload, from) => all.get(id)?.broadcast(payload, undefined, from) ?? 0,
    getPathIds: () => [...all.keys()],
    getClientIds: (id) => all.get(id)?.clientIds() ?? [],
    getState: (id) => all.get(id)?.seat.state,
    getServerClient: (id) => all.get(id)?.seat.client,
    getStats() {
      let clients = 0;
      let held = 0;
      for (const path of all.values()) {
        clients += path.size;
        held += path.seat.held;
      }
      return { paths: all.size, clients, messages, held, kept: mail.size };
    },
    on: (event, listener, path) => listeners.add(event, listener, path),
  };

  return {
    name: "paths",
    api,
    async start(given) {
      host = given;
      await mail.start(given);
      tickets = ticketsWith(await mailStore?.secret() ?? crypto.randomUUID());
      listeners.tell("started", {});
    },
    async stop() {
      await Promise.all([...all.values()].map((path) => path.seat.close()));
      mail.stop();
      listeners.tell("stopped", {});
      host = undefined;
    },
  };
}

function refuse({ problem }: { problem: string }): Response {
  return refusal(400, "bad_path", `The path ${problem}`);
}

const MAIL_DEFAULTS = {
  maxMessages: 1_000,
  maxBytes: 1_048_576,
  maxAgeMs: 3_600_000,
  maxClients: 10_000,
  maxTotalBytes: 67_108_864,
} as const satisfies Required<MailLimits>;

function checkPathsOptions(numbers: Record<string, number>): void {
  const check = checkOptions("paths");
  for (const [option, value] of Object.entries(numbers)) check.positiveInteger(option, value);
}
