import type { Plugin } from "../../../core/mod.ts";
import type { LiveStore } from "../../live_queries.ts";
import type { Limits } from "../../rate_limits.ts";
import type { SignInConfig } from "../shared/sign_in.ts";

/** Options of {@linkcode RealtimeServer}. */
export interface RealtimeConfig extends SignInConfig {
  /** The port to listen on, 0 for any; `false` does not listen. @default {8080} */
  port?: number | false;
  /** Milliseconds between pings. @default {30000} */
  pingInterval?: number;
  /** Milliseconds until a client without a connection expires after its last update. @default {60000} */
  presenceTimeout?: number;
  /** Limits per client. @default {those of `rate_limits`} */
  rateLimit?: RateLimitConfig;
  /** The database of the live queries. Without one, `notifyQueryUpdate` publishes their results. */
  store?: Plugin<LiveStore>;
}

/** Limits per client. */
export interface RateLimitConfig {
  /** Maximum open connections per address. @default {1000} */
  maxConnections?: number;
  /** Maximum messages of one client per window. */
  maxMessagesPerMinute?: number;
  /** The window, in milliseconds. @default {60000} */
  windowMs?: number;
}

/** Converts the limits to those of `rate_limits`. */
export function limitsOf(
  { maxConnections, maxMessagesPerMinute, windowMs = 60_000 }: RateLimitConfig,
): Partial<Limits> {
  const rate = `${maxMessagesPerMinute ?? 0}/${windowMs}ms` as const;
  return {
    ...(maxConnections !== undefined && { connectionsPerIp: maxConnections }),
    // Publishing as a client is not a message of a socket, so it has a limit of its own.
    ...(maxMessagesPerMinute !== undefined && { messages: rate, publishes: rate }),
  };
}
