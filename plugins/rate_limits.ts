/**
 * Rate limits: how often, how many and how much, for each connection, user, channel and address.
 *
 * It stands before sign-in, which tells it of failures, and is told by the channels of subscribes and publishes:
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { auth } from "@plugboard/server/auth";
 * import { channels } from "@plugboard/server/channels";
 * import { rateLimits } from "@plugboard/server/rate_limits";
 *
 * const server = new Server({ port: 0 });
 * const limits = server.use(rateLimits({ limits: { messages: "600/1m" } }));
 * server.use(auth({ limits: limits.signIns }));
 * const bus = server.use(channels());
 * bus.extend(limits.extension);
 * ```
 *
 * A burst of a whole window's worth is fine; a steady stream is held to the rate.
 *
 * @module
 */

import {
  checkOptions,
  closeCode,
  closeCodes,
  type Connection,
  type Endpoint,
  type EndpointInfo,
  type Host,
  type Message,
  PlugboardError,
  type Plugin,
  systemClock,
} from "../core/mod.ts";
import type { SignInGuard } from "./auth/types.ts";
import type { ChannelExtension } from "./channels/types.ts";
import { Buckets } from "./rate_limits/buckets.ts";
import { type LimitingMiddleware, limitRequests, tooMany } from "./rate_limits/http.ts";
import {
  type Limits,
  type Operation,
  OPERATIONS,
  prepareLimits,
  type RateName,
} from "./rate_limits/limits.ts";
import { type Meter, Meters } from "./rate_limits/meters.ts";
import { spend } from "./rate_limits/rates.ts";
import { failedSignIns } from "./rate_limits/sign_ins.ts";
import { subnetOf } from "./shared/client_ip.ts";
import type { Metrics } from "./shared/metrics.ts";
import { RateLimitError } from "./shared/rate_limit_error.ts";

export type { LimitingMiddleware } from "./rate_limits/http.ts";
export { type Limits, limitSettings, limitsFrom, type Operation } from "./rate_limits/limits.ts";
export type { Rate } from "./rate_limits/rates.ts";
export type { Counter, Metrics } from "./shared/metrics.ts";
export { RateLimitError } from "./shared/rate_limit_error.ts";

/** Options of {@linkcode rateLimits}. */
export interface RateLimitsOptions {
  /** Whether there are any limits at all; load tests have none. @default {true} */
  enabled?: boolean;
  /** Limits other than the defaults. */
  limits?: Partial<Limits>;
  /**
   * What becomes of a message beyond a limit: it is answered with an `error` where its protocol has one, or just
   * dropped (`drop`). With `disconnect` it is answered, and whoever goes on regardless is disconnected.
   * @default {"disconnect"}
   */
  whenExceeded?: "error" | "drop" | "disconnect";
  /** Addresses, users and channels remembered at once, of each. @default {100000} */
  maxTracked?: number;
  /** Counts refusals. */
  metrics?: Pick<Metrics, "counter">;
}

/** Answers a message that was refused unread, in the words of its protocol. */
export type RefusedMessage = (conn: Connection, message: Message, error: RateLimitError) => void;

/** What rate limits offer to other plugins and to the app. */
export interface RateLimits {
  /** For the option `limits` of sign-in. */
  readonly signIns: SignInGuard;
  /** For the channels: `bus.extend(limits.extension)`. */
  readonly extension: ChannelExtension;
  /** Counts an operation of a connection; throws a {@linkcode RateLimitError} when it is one too many. */
  spend(conn: Connection, operation: Operation): void;
  /** The same by a client's id, and without a throw: `false` when it is one too many. */
  enforceRateLimit(client: string, operation: Operation): boolean;
  /** Has a protocol answer the messages of an endpoint that are refused before it sees them. */
  answerWith(endpoint: Endpoint, answer: RefusedMessage): void;
  /** For HTTP routes: answers 429 to an address that asks too often. */
  middleware(): LimitingMiddleware;
}

const connectionLimit = closeCode(3504, "connection limit");

/** Holds clients to limits. */
export function rateLimits(options: RateLimitsOptions = {}): Plugin<RateLimits> {
  const { enabled = true, whenExceeded = "disconnect", maxTracked = 100_000, limits = {} } = options;
  const check = checkOptions("rate_limits");
  check.oneOf("whenExceeded", whenExceeded, ["error", "drop", "disconnect"]);
  check.positiveInteger("maxTracked", maxTracked);
  const { pace: paceOf, connectionsPerIp, connectionsPerUser } = prepareLimits(limits);
  const pace: typeof paceOf = (name) => enabled ? paceOf(name) : undefined;

  let host: Host | undefined;
  const now = () => (host?.clock ?? systemClock).now();
  const refusals = options.metrics?.counter("plugboard_rate_limited_total", "Refused for being too many", [
    "what",
  ]);
  const refused = (what: string) => refusals?.add(1, what);

  const meters = new Meters(pace, maxTracked);
  const answers = new WeakMap<EndpointInfo, RefusedMessage>();
  const connections = new Map<string, number>();
  const failures = failedSignIns({
    pace: pace("failedSignIns"),
    maxTracked,
    clock: () => host?.clock ?? systemClock,
    refused: () => refused("sign-in"),
  });
  const buckets = (name: RateName) => {
    const own = pace(name);
    return own && new Buckets(own, maxTracked);
  };
  const connects = buckets("connectsPerIp");
  const publishes = buckets("publishesPerChannel");
  const refusalPace = pace("refusals");

  /** Counts a refusal, and disconnects whoever collects too many. */
  function refuse(conn: Connection, meter: Meter, operation: Operation, waitMs: number): RateLimitError {
    refused(operation);
    if (whenExceeded === "disconnect" && refusalPace !== undefined) {
      const next = spend(refusalPace, meter.refusalsFullAt, 1, now());
      if (next < 0) conn.close(closeCodes.tooManyRequests);
      else meter.refusalsFullAt = next;
    }
    return new RateLimitError(OPERATIONS[operation][2], waitMs);
  }

  function spendOne(conn: Connection, operation: Operation): void {
    if (!enabled) return;
    const meter = meters.of(conn);
    const waitMs = meters.spend(meter, operation, 1, now());
    if (waitMs > 0) throw refuse(conn, meter, operation, waitMs);
  }

  function spendOnChannel(channel: string): void {
    const waitMs = publishes?.take(channel, now()) ?? 0;
    if (waitMs === 0) return;
    refused("channel");
    throw new RateLimitError("Too many publishes to this channel", waitMs);
  }

  const api: RateLimits = {
    signIns: {
      attempt: failures.attempt,
      failed: failures.failed,
      signedIn(conn, user) {
        if (!enabled || user === "" || meters.join(conn, user, connectionsPerUser)) return;
        refused("connection");
        throw new PlugboardError(
          "connection_limit",
          "Rate limit exceeded: Too many connections of this user",
        );
      },
    },
    extension: {
      name: "rate_limits",
      beforeSubscribe({ conn }, _channel, { serverSide }) {
        if (!serverSide) spendOne(conn, "subscribe");
      },
      beforePublish(channel, _draft, client) {
        if (client === undefined) return;
        spendOne(client.conn, "publish");
        spendOnChannel(channel);
      },
      beforeRead: ({ conn }) => spendOne(conn, "query"),
    },
    spend: spendOne,
    enforceRateLimit: (client, operation) =>
      !enabled || meters.spend(meters.of(client), operation, 1, now()) === 0,
    answerWith: (endpoint, answer) => void answers.set(endpoint, answer),
    middleware() {
      const own = pace("requests");
      if (own === undefined) return async (_c, next) => await next();
      return limitRequests({ pace: own, maxTracked, now, refused: () => refused("request") });
    },
  };
  if (!enabled) return { name: "rate_limits", api };

  return {
    name: "rate_limits",
    api,
    start(given) {
      host = given;
    },
    stop: () => failures.stop(),

    upgrade({ ip }) {
      const key = subnetOf(ip);
      if ((connections.get(key) ?? 0) >= connectionsPerIp) {
        refused("connection");
        return tooMany(new RateLimitError("Too many connections from your address", 5_000));
      }
      const waitMs = connects?.take(key, now()) ?? 0;
      if (waitMs === 0) return;
      refused("connect");
      return tooMany(new RateLimitError("Too many connects from your address", waitMs));
    },

    open(conn) {
      const key = subnetOf(conn.ip);
      const count = (connections.get(key) ?? 0) + 1;
      connections.set(key, count);
      meters.connected(conn);
      // Many may have been let in at once, before any of them had opened.
      if (count > connectionsPerIp) conn.close(connectionLimit);
    },

    close(conn) {
      meters.leave(conn);
      const key = subnetOf(conn.ip);
      const left = connections.get(key)! - 1;
      if (left === 0) connections.delete(key);
      else connections.set(key, left);
    },

    message(conn, data) {
      const meter = meters.connected(conn);
      const at = now();
      let operation: Operation = "message";
      let waitMs = meters.spend(meter, "message", 1, at);
      if (waitMs === 0) waitMs = meters.spend(meter, operation = "bytes", data.length, at);
      if (waitMs === 0) return;
      const error = refuse(conn, meter, operation, waitMs);
      if (whenExceeded !== "drop") answers.get(conn.endpoint)?.(conn, data, error);
      return true;
    },
  };
}
