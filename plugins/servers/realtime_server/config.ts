/**
 * The options of the realtime server.
 *
 * @module
 */

import { checkOptions, type Plugin } from "../../../core/mod.ts";
import type { LiveStore } from "../../live_queries.ts";
import type { Limits } from "../../rate_limits.ts";
import type { SignInConfig } from "../shared/sign_in.ts";

/** Options of {@linkcode RealtimeServer}. */
export interface RealtimeConfig extends SignInConfig {
  /** The port to listen on, 0 for any; `false` does not listen. @default {8080} */
  port?: number | false;
  /** Milliseconds between pings. @default {30000} */
  pingInterval?: number;
  /** How long somebody without a connection is present after the last update, in milliseconds. @default {60000} */
  presenceTimeout?: number;
  /** Limits for clients. @default {generous ones} */
  rateLimit?: RateLimitConfig;
  /** The database of the live queries; without one their results are told by `notifyQueryUpdate`. */
  store?: Plugin<LiveStore>;
}

/** How much a client may do. */
export interface RateLimitConfig {
  /** Connections at once from one address. @default {1000} */
  maxConnections?: number;
  /** Messages of one client in a window. */
  maxMessagesPerMinute?: number;
  /** The window, in milliseconds. @default {60000} */
  windowMs?: number;
}

/** Throws a sentence unless the numbers are. */
export function checkConfig({ rateLimit, ...numbers }: {
  pingInterval: number;
  presenceTimeout: number;
  rateLimit: RateLimitConfig;
}): void {
  const check = checkOptions("realtime_server");
  for (const [name, value] of Object.entries(numbers)) check.positiveInteger(name, value);
  for (const [name, value] of Object.entries(rateLimit)) check.positiveInteger(`rateLimit.${name}`, value);
}

/** The limits in the words of `rate_limits`. */
export function limitsOf(
  { maxConnections, maxMessagesPerMinute, windowMs = 60_000 }: RateLimitConfig,
): Partial<Limits> {
  const rate = `${maxMessagesPerMinute ?? 0}/${windowMs}ms` as const;
  return {
    ...(maxConnections !== undefined && { connectionsPerIp: maxConnections }),
    // What the app publishes in a client's name is no message of a socket, and counts as well.
    ...(maxMessagesPerMinute !== undefined && { messages: rate, publishes: rate }),
  };
}
