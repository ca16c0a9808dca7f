/**
 * Rate limits for each connection, user, channel and address.
 *
 * Sign-in reports failed attempts to it, and the channel service asks it before subscribes and publishes:
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { auth } from "@plugboard/server/auth";
 * import { channels } from "@plugboard/server/channels";
 * import { rateLimits } from "@plugboard/server/rate_limits";
 *
 * const server = new Server({ port: 0 });
 * const limits = server.use(rateLimits({ limits: { messages: "600/1m" } }));
 * const access = server.use(auth({ limits: limits.signIns }));
 * const bus = server.use(channels({ limits, access }));
 * ```
 *
 * A limit allows a burst of a whole window's worth, and holds a steady stream to the rate.
 *
 * @module
 */

import {
  built,
  checkOptions,
  closeCodes,
  type Connection,
  type Endpoint,
  type EndpointInfo,
  type Host,
  type Message,
  networkOf,
  PlugboardError,
  type Plugin,
  refusalFor,
  systemClock,
  unlessUpgraded,
} from "../core/mod.ts";
import type { SignInGuard } from "./auth/types.ts";
import type { ChannelExtension } from "./channels.ts";
import { Buckets } from "./rate_limits/buckets.ts";
import { type LimitingMiddleware, limitRequests } from "./rate_limits/http.ts";
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
import type { Metrics } from "./shared/metrics.ts";
import { RateLimitError } from "./shared/rate_limit_error.ts";

export type { LimitingMiddleware } from "./rate_limits/http.ts";
export type { Limits, Operation } from "./rate_limits/limits.ts";
export type { Rate } from "./rate_limits/rates.ts";
export type { Counter, Metrics } from "./shared/metrics.ts";
export { RateLimitError } from "./shared/rate_limit_error.ts";

/** Options of {@linkcode rateLimits}. */
export interface RateLimitsOptions {
  /** Whether there are limits; load tests turn them off. @default {true} */
  enabled?: boolean;
  /** Limits other than the defaults. */
  limits?: Partial<Limits>;
  /**
   * What happens to a message beyond a limit: it is answered with an `error` if its protocol has one, or dropped
   * silently (`drop`). With `disconnect` it is answered, and clients that continue are disconnected.
   * @default {"disconnect"}
   */
  whenExceeded?: "error" | "drop" | "disconnect";
  /** Maximum number of addresses that are tracked, and likewise of users and channels. @default {100000} */
  maxTracked?: number;
  /** Counts refusals. */
  metrics?: Pick<Metrics, "counter">;
}

/** Answers a message that was refused unread, in the format of its protocol. */
export type RefusedMessage = (conn: Connection, message: Message, error: RateLimitError) => void;

/** The rate limits, for other plugins and the app. */
export interface RateLimits {
  /** For the option `limits` of sign-in. */
  readonly signIns: SignInGuard;
  /** For the channel service: `channels({ limits })`. */
  readonly extension: ChannelExtension;
  /** Counts an operation of a connection; throws a {@linkcode RateLimitError} beyond the limit. */
  spend(conn: Connection, operation: Operation): void;
  /** Counts an operation of a client by its id; returns `false` beyond the limit. */
  enforceRateLimit(client: string, operation: Operation): boolean;
  /** Sets the function that answers refused messages of an endpoint. */
  answerWith(endpoint: Endpoint, answer: RefusedMessage): void;
  /** For HTTP routes: answers 429 beyond the limit of an address. */
  middleware(): LimitingMiddleware;
  /** Calls back when a connection goes beyond a limit, with what it did. Returns the function that ends it. */
  onRefused(listener: (conn: Connection, what: Operation | "channel") => void): () => void;
  /** Checks other limits. Returns the function that replaces the current ones; what addresses have spent is forgotten. */
  prepare(limits: Partial<Limits>): () => void;
}

/** Limits what clients do. */
export function rateLimits(options: RateLimitsOptions = {}): Plugin<RateLimits> {
  const { enabled = true, whenExceeded = "disconnect", maxTracked = 100_000, limits = {} } = options;
  const check = checkOptions("rate_limits");
  check.oneOf("whenExceeded", whenExceeded, ["error", "drop", "disconnect"]);
  check.positiveInteger("maxTracked", maxTracked);
  let host: Host | undefined;
  const now = () => (host?.clock ?? systemClock).monotonicTime();
  const refusals = options.metrics?.counter("plugboard_rate_limited_total", "Refused because of a limit", [
    "what",
  ]);
  const refused = (what: string) => refusals?.add(1, what);

  /** What the limits are, and what is counted by address and by channel. */
  function build(given: Partial<Limits>) {
    const { pace: paceOf, ...counts } = prepareLimits(given);
    const pace: typeof paceOf = (name) => enabled ? paceOf(name) : undefined;
    const buckets = (name: RateName) => {
      const own = pace(name);
      return own && new Buckets(own, maxTracked);
    };
    return {
      ...counts,
      pace,
      refusals: pace("refusals"),
      connects: buckets("connectsPerIp"),
      publishes: buckets("publishesPerChannel"),
      failures: failedSignIns({
        pace: pace("failedSignIns"),
        maxTracked,
        clock: () => host?.clock ?? systemClock,
        refused: () => refused("sign-in"),
      }),
    };
  }

  let current = build(limits);
  const meters = new Meters(current.pace, maxTracked);
  const answers = new WeakMap<EndpointInfo, RefusedMessage>();

  const listeners = new Set<(conn: Connection, what: Operation | "channel") => void>();
  function refusedTo(conn: Connection, what: Operation | "channel"): void {
    refused(what);
    for (const listener of listeners) listener(conn, what);
  }

  /** Counts a refusal; disconnects the client after too many. */
  function refuse(conn: Connection, meter: Meter, operation: Operation, waitMs: number): RateLimitError {
    refusedTo(conn, operation);
    if (whenExceeded === "disconnect" && current.refusals !== undefined) {
      const next = spend(current.refusals, meter.refusalsFullAt, 1, now());
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

  const api: RateLimits = {
    signIns: {
      attempt: (ip) => current.failures.attempt(ip),
      failed: (ip) => current.failures.failed(ip),
      signedIn(conn, user) {
        if (!enabled || user === "" || meters.join(conn, user, current.connectionsPerUser)) return;
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
      beforePublish({ channel, client }) {
        if (client === undefined) return;
        spendOne(client.conn, "publish");
        const waitMs = current.publishes?.take(channel, now()) ?? 0;
        if (waitMs === 0) return;
        refusedTo(client.conn, "channel");
        throw new RateLimitError("Too many publishes to this channel", waitMs);
      },
      beforeRead: ({ conn }) => spendOne(conn, "query"),
    },
    spend: spendOne,
    enforceRateLimit: (client, operation) =>
      !enabled || meters.spend(meters.of(client), operation, 1, now()) === 0,
    answerWith: (endpoint, answer) => void answers.set(endpoint, answer),
    onRefused(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    middleware() {
      const make = ({ pace }: typeof current): LimitingMiddleware => {
        const own = pace("requests");
        if (own === undefined) return async (_c, next) => await next();
        return limitRequests({ pace: own, maxTracked, now, refused: () => refused("request") });
      };
      let [made, answer] = [current, make(current)];
      // An accepted upgrade counts as a connect.
      return unlessUpgraded((c, next) => {
        if (made !== current) [made, answer] = [current, make(current)];
        return answer(c, next);
      });
    },
    prepare(given) {
      const next = build(given);
      return () => {
        current.failures.stop();
        current = next;
        meters.use(next.pace);
      };
    },
  };
  if (!enabled) return { name: "rate_limits", api };

  return built({
    name: "rate_limits",
    api,
    start(given) {
      host = given;
    },
    stop: () => current.failures.stop(),

    upgrade({ ip }) {
      // The kernel counts this request already.
      if ((host?.connectionsFrom(ip) ?? 0) > current.connectionsPerIp) {
        refused("connection");
        return refusalFor(new RateLimitError("Too many connections from your address", 5_000));
      }
      const waitMs = current.connects?.take(networkOf(ip), now()) ?? 0;
      if (waitMs === 0) return;
      refused("connect");
      return refusalFor(new RateLimitError("Too many connects from your address", waitMs));
    },

    open: (conn) => void meters.connected(conn),
    close: (conn) => meters.leave(conn),

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
  }, options);
}
