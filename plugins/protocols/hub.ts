/**
 * The hub: backends send messages to users, to sessions and to all clients over HTTP.
 *
 * A client connects to `/ws?userId=…&sessionId=…` and gets `{ type, payload, timestamp }`. A backend calls
 * `POST /api/send` and `POST /api/broadcast` with its key in `X-API-Key`; {@linkcode hubClient} does it in TypeScript.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { auth } from "@plugboard/server/auth";
 * import { channels } from "@plugboard/server/channels";
 * import { hub } from "@plugboard/server/hub";
 *
 * const server = new Server({ port: 0 });
 * const access = server.use(auth({ anonymous: { permissions: [] } }));
 * const bus = server.use(channels());
 * const users = server.use(hub({ channels: bus, access, apiKey: "a-long-random-text", requireToken: false }));
 *
 * const { delivered } = await users.sendToUser("user123", { type: "notification", payload: { title: "Hello" } });
 * console.log(delivered); // 0: nobody is connected
 * ```
 *
 * Beyond the seed: a response tells how many connections got the message, and whether the target is known. A slow
 * client is closed with code 3008 instead of losing messages silently. With `keep` its session gets them when it
 * returns, or a message of the type `messages_lost` if there were too many.
 *
 * If clients need a token, each user has its own session ids. A message to a session that several users have is refused
 * unless it names the user. If clients need no token, a session id belongs to every client that sends it, so it must be unguessable. With several
 * nodes, `delivered` counts the connections of the node that handles the call, and a client of another node that
 * matches both the user and the session of one message gets it twice.
 *
 * @module
 */

import { built, checkOptions, type Framing, type Host, type Plugin, systemClock } from "../../core/mod.ts";
import type { Access } from "../auth/types.ts";
import type { Channels } from "../channels.ts";
import { healthResponse } from "../shared/health.ts";
import { addRoutes } from "./hub/api.ts";
import { awaySessions, type KeepOptions, prepareKeep } from "./hub/away_sessions.ts";
import { handshake } from "./hub/handshake.ts";
import { joining } from "./hub/joining.ts";
import { type HubStats, Members } from "./hub/members.ts";
import type { HubMessage } from "./hub/message.ts";
import { NAMESPACE, namespaceOptions } from "./hub/names.ts";
import { sender as senderOf, type SendReport, type Targets } from "./hub/sending.ts";
import { slowClients } from "./hub/slow_clients.ts";

export {
  type HubClient,
  hubClient,
  type HubClientOptions,
  type HubFailure,
  type HubResult,
  type SendOptions,
} from "./hub/client.ts";
export type { KeyValueStore } from "../shared/key_value_store.ts";
export type { KeepOptions } from "./hub/away_sessions.ts";
export type { HubStats } from "./hub/members.ts";
export type { HubMessage } from "./hub/message.ts";
export type { SendReport, TargetReport, Targets } from "./hub/sending.ts";
export { type HubSettings, hubSettings } from "./hub/settings.ts";

/** Options of {@linkcode hub}. */
export interface HubOptions {
  /** Carries the messages. */
  channels: Pick<Channels, "addNamespace" | "connect" | "publish" | "extend">;
  /** Signs in clients and backends. Backends need the permission `admin:hub`. */
  access: Pick<Access, "open" | "signsIn" | "identityOf" | "authorize" | "addApiKey">;
  /** An API key for backends, added to `access`. Required if neither clients nor backends can sign in otherwise. */
  apiKey?: string | undefined;
  /** Whether a token must prove that a client is its `userId`. @default {unless `access` is open} */
  requireToken?: boolean;
  /** The prefix of the paths: with `/hub`, clients connect to `/hub/ws`. @default {""} */
  path?: string;
  /** Origins of the web pages that may connect, such as `https://example.com`. @default {those that `access` allows} */
  allowedOrigins?: readonly string[];
  /** Maximum bytes of a message, from backends and from clients. @default {524288} */
  maxMessageBytes?: number;
  /** Timeout for reading a request's body. @default {60000} */
  readTimeoutMs?: number;
  /** How long messages may wait for a slow client. @default {10000} */
  writeTimeoutMs?: number;
  /** Keeps messages for sessions that are away. @default {messages are not kept} */
  keep?: KeepOptions;
}

/** Sends messages from the server. */
export interface Hub {
  /** Sends to all connections of a user. */
  sendToUser(user: string, message: HubMessage): Promise<SendReport>;
  /** Sends to all connections of a session. */
  sendToSession(session: string, message: HubMessage): Promise<SendReport>;
  /** Sends to a user, a session, or both; each connection gets the message once. */
  send(targets: Targets, message: HubMessage): Promise<SendReport>;
  /** Sends to all clients; resolves to the number of receivers on this node. */
  broadcast(message: HubMessage): Promise<number>;
  /** Counts the clients of this node. */
  stats(): HubStats;
}

const FRAMING: Framing<"any"> = { accepts: "any", format: Symbol("hub") };

/** Passes messages from backends to clients. */
export function hub(options: HubOptions): Plugin<Hub> {
  const { channels, access, apiKey, path = "", allowedOrigins, requireToken = !access.open } = options;
  const { maxMessageBytes = 524_288, readTimeoutMs = 60_000, writeTimeoutMs = 10_000 } = options;
  const check = checkOptions("hub");
  const hasKey = apiKey !== undefined;
  if (hasKey) check.filled("apiKey", apiKey);
  const needsKey = !(requireToken || access.open || access.signsIn);
  const rule = "given (HUB_API_KEY), since no backend can sign in otherwise";
  check.that(hasKey || !needsKey, "apiKey", rule, apiKey);
  check.that(path === "" || /^\/.*[^/]$/.test(path), "path", "empty or a path such as /hub", path);
  for (const [name, value] of Object.entries({ maxMessageBytes, readTimeoutMs, writeTimeoutMs })) {
    check.positiveInteger(name, value);
  }
  const keep = options.keep && prepareKeep(options.keep);
  if (hasKey) access.addApiKey(apiKey, { name: `HUB_API_KEY ${path}`.trim(), permissions: ["admin:hub"] });

  let host: Host | undefined;
  const clock = () => host?.clock ?? systemClock;
  let release: (() => void)[] = [];
  const members = new Members();
  const closeSlow = slowClients(writeTimeoutMs);
  const away = keep && awaySessions(keep, clock, (error) => {
    host?.log.error("cannot store the positions of sessions", { error });
  });
  const sender = senderOf({ channels, members, away, perUser: requireToken, clock });
  const join = joining({ channels, members, away, clock, log: () => host?.log });
  const { check: checkUpgrade, accepted } = handshake({ access, requireToken, allowedOrigins });

  return built({
    name: "hub",
    api: {
      ...sender,
      sendToUser: (user, message) => sender.send({ user }, message),
      sendToSession: (session, message) => sender.send({ session }, message),
      stats: () => members.stats,
    },
    endpoints: [{
      name: "hub",
      path: `${path}/ws`,
      framing: () => FRAMING,
      maxMessageBytes,
      upgrade: checkUpgrade,
      open: (conn, upgrade) => join(conn, accepted(upgrade)),
    }],
    async start(given) {
      host = given;
      await channels.addNamespace(NAMESPACE, namespaceOptions(keep));
      await away?.load();
      release = [
        given.clock.every(Math.ceil(writeTimeoutMs / 4), () => closeSlow(members, clock().monotonicTime())),
      ];
      if (keep === undefined || away === undefined) return;
      const sweepMs = Math.ceil(keep.doubtMs / 2);
      release.push(channels.extend(away.extension), given.clock.every(sweepMs, () => away.sweep()));
    },
    async stop() {
      for (const end of release.splice(0)) end();
      await away?.settled();
    },
    routes(app) {
      addRoutes(app, {
        sender,
        base: path,
        limits: { maxBytes: maxMessageBytes, timeoutMs: readTimeoutMs },
        clock,
        access,
        hasKey,
        failed: (error) => host?.log.error("a call of a backend failed", { error }),
      });
      app.get(`${path}/health`, () => healthResponse(host, members.stats));
    },
  }, options);
}
