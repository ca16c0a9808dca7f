/**
 * The hub: backends send messages to users, to sessions and to everybody, over HTTP; clients receive them.
 *
 * A client connects to `/ws?userId=…&sessionId=…` and gets `{ type, payload, timestamp }`. A backend calls
 * `POST /api/send` and `POST /api/broadcast` with its key in `X-API-Key`; {@linkcode hubClient} does it in TypeScript.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { hub } from "@plugboard/server/hub";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * const users = server.use(hub({ channels: bus, apiKey: "a-long-random-text" }));
 *
 * const { delivered } = await users.sendToUser("user123", { type: "notification", payload: { title: "Hello" } });
 * console.log(delivered); // 0: nobody is connected
 * ```
 *
 * Beyond the seed: an answer tells how many connections got the message, and whether the target is known at all.
 * A client that does not keep up is cut off with code 3008 rather than losing messages without knowing. With `keep`
 * its session gets them when it returns, or a message of the type `messages_lost` if there were too many. With `access`, a client has to be who it says.
 *
 * A session id names whoever brings it: where nobody has to prove who they are, it has to be unguessable. With
 * several nodes, `delivered` counts those of the node that was asked, and a client of another node that is both the
 * user and the session of one message gets it twice.
 *
 * @module
 */

import { checkOptions, type Framing, type Host, type Plugin, systemClock } from "../../core/mod.ts";
import type { Access } from "../auth/types.ts";
import type { Channels } from "../channels.ts";
import { addRoutes } from "./hub/api.ts";
import { apiGuard } from "./hub/api_guard.ts";
import { arrivalCheck } from "./hub/arrival.ts";
import { seatClients } from "./hub/clients.ts";
import { keeping, type KeepOptions, prepareKeep } from "./hub/keeping.ts";
import type { HubMessage } from "./hub/message.ts";
import { NAMESPACE, namespaceOptions } from "./hub/names.ts";
import { type HubStats, Roster } from "./hub/roster.ts";
import { sending, type SendReport, type Targets } from "./hub/sending.ts";
import { slowWatch } from "./hub/slow_watch.ts";

export {
  type HubClient,
  hubClient,
  type HubClientOptions,
  type HubFailure,
  type HubResult,
  type SendOptions,
} from "./hub/client.ts";
export type { KeyValueStore } from "../shared/key_value_store.ts";
export type { KeepOptions } from "./hub/keeping.ts";
export type { HubMessage } from "./hub/message.ts";
export type { HubStats } from "./hub/roster.ts";
export type { SendReport, TargetReport, Targets } from "./hub/sending.ts";
export { type HubSettings, hubSettings } from "./hub/settings.ts";

/** Options of {@linkcode hub}. */
export interface HubOptions {
  /** What carries the messages. */
  channels: Pick<Channels, "addNamespace" | "connect" | "publish" | "extend">;
  /** What backends prove themselves by. Required unless there is `access`, whose admins may send, too. */
  apiKey?: string | undefined;
  /** Signs clients in. */
  access?: Pick<Access, "open" | "identityOf" | "requireAuth"> | undefined;
  /** Whether a client has to prove that it is its `userId`. @default {as `access` demands it} */
  requireToken?: boolean;
  /** What stands before the paths: with `/hub`, clients connect to `/hub/ws`. @default {""} */
  path?: string;
  /** Pages that may connect, such as `https://example.com`. @default {any; or those that `access` allows} */
  allowedOrigins?: readonly string[];
  /** Bytes of a message, from backends and from clients. @default {524288} */
  maxMessageBytes?: number;
  /** How long a request's body may take. @default {60000} */
  readTimeoutMs?: number;
  /** How long messages may wait for a client that does not take them. @default {10000} */
  writeTimeoutMs?: number;
  /** Keeps messages for sessions that are away. @default {they are not kept} */
  keep?: KeepOptions;
}

/** Sending from the server's side. */
export interface Hub {
  /** Sends to all connections of a user. */
  sendToUser(user: string, message: HubMessage): Promise<SendReport>;
  /** Sends to all connections of a session. */
  sendToSession(session: string, message: HubMessage): Promise<SendReport>;
  /** Sends to a user, a session, or both: then each connection gets it once. */
  send(targets: Targets, message: HubMessage): Promise<SendReport>;
  /** Sends to everybody; resolves to the number of receivers on this node. */
  broadcast(message: HubMessage): Promise<number>;
  /** How many are connected here. */
  stats(): HubStats;
}

const FRAMING: Framing<"any"> = { accepts: "any", format: Symbol("hub") };

/** Passes messages from backends to clients. */
export function hub(options: HubOptions): Plugin<Hub> {
  const { channels, apiKey, access, path = "", allowedOrigins } = options;
  const { maxMessageBytes = 524_288, readTimeoutMs = 60_000, writeTimeoutMs = 10_000 } = options;
  const { requireToken = access !== undefined && !access.open } = options;
  const check = checkOptions("hub");
  if (access === undefined || apiKey !== undefined) check.filled("apiKey", apiKey ?? "");
  check.that(!requireToken || access !== undefined, "requireToken", "false without access", requireToken);
  check.that(path === "" || /^\/.*[^/]$/.test(path), "path", "empty or a path such as /hub", path);
  for (const [name, value] of Object.entries({ maxMessageBytes, readTimeoutMs, writeTimeoutMs })) {
    check.positiveInteger(name, value);
  }
  const keep = options.keep && prepareKeep(options.keep);

  let host: Host | undefined;
  const clock = () => host?.clock ?? systemClock;
  let release: (() => void)[] = [];
  const roster = new Roster();
  const slow = slowWatch(writeTimeoutMs);
  const kept = keep && keeping(keep, clock, (error) => {
    host?.log.error("where sessions stand could not be stored", { error });
  });
  const sender = sending({ channels, roster, kept, clock });
  const seat = seatClients({ channels, roster, kept, clock, log: () => host?.log });
  const arrivals = arrivalCheck({
    access,
    requireToken,
    allowedOrigins,
    ownerOf: (session) => roster.ownerOf(session) ?? kept?.userOf(session),
  });

  return {
    name: "hub",
    api: {
      ...sender,
      sendToUser: (user, message) => sender.send({ user }, message),
      sendToSession: (session, message) => sender.send({ session }, message),
      stats: () => roster.stats,
    },
    endpoints: [{
      name: "hub",
      path: `${path}/ws`,
      framing: () => FRAMING,
      maxMessageBytes,
      upgrade: (upgrade) => arrivals.check(upgrade),
      open: (conn, upgrade) => seat(conn, arrivals.of(upgrade)),
    }],
    async start(given) {
      host = given;
      await channels.addNamespace(NAMESPACE, namespaceOptions(keep));
      await kept?.load();
      release = [given.clock.every(Math.ceil(writeTimeoutMs / 4), () => slow.look(roster, clock().now()))];
      if (keep === undefined || kept === undefined) return;
      const sweepMs = Math.ceil(keep.doubtMs / 2);
      release.push(channels.extend(kept.extension), given.clock.every(sweepMs, () => kept.sweep()));
    },
    async stop() {
      for (const end of release.splice(0)) end();
      await kept?.settled();
    },
    routes(app) {
      addRoutes(app, {
        ...sender,
        base: path,
        limits: { maxBytes: maxMessageBytes, timeoutMs: readTimeoutMs },
        clock,
        authorize: apiGuard({ apiKey, access }),
        health: () => ({ status: host?.state === "ready" ? "healthy" : "stopping", stats: roster.stats }),
        failed: (error) => host?.log.error("a backend's call failed", { error }),
      });
    },
  };
}
