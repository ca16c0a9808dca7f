import { checkOptions } from "../../core/mod.ts";
import { type Pace, paceOf, type Rate } from "./rates.ts";

/** All limits. In `main.ts` each has an environment variable: `LIMIT_MESSAGES_PER_USER`. */
export interface Limits {
  /** New connections from one address. An IPv6 address counts with its whole /64. @default {"3000/1m"} */
  connectsPerIp: Rate;
  /** Concurrent connections from one address. @default {1000} */
  connectionsPerIp: number;
  /** Concurrent connections of one user. @default {500} */
  connectionsPerUser: number;
  /** Messages on one connection. @default {"6000/10s"} */
  messages: Rate;
  /** The same for all connections of one user. @default {"24000/10s"} */
  messagesPerUser: Rate;
  /** Characters or bytes of messages on one connection. @default {"33554432/10s"} 32 MiB */
  bytes: Rate;
  /** The same for all connections of one user. @default {"134217728/10s"} 128 MiB */
  bytesPerUser: Rate;
  /** Subscribes on one connection. @default {"2000/10s"} */
  subscribes: Rate;
  /** The same for all connections of one user. @default {"10000/10s"} */
  subscribesPerUser: Rate;
  /** Publishes on one connection. @default {"3000/10s"} */
  publishes: Rate;
  /** The same for all connections of one user. @default {"12000/10s"} */
  publishesPerUser: Rate;
  /** Publishes of all clients to one channel. @default {"20000/10s"} */
  publishesPerChannel: Rate;
  /** Calls of methods on one connection. @default {"2000/10s"} */
  calls: Rate;
  /** The same for all connections of one user. @default {"8000/10s"} */
  callsPerUser: Rate;
  /** Queries, and reads of history or presence, on one connection. @default {"1000/10s"} */
  queries: Rate;
  /** The same for all connections of one user. @default {"4000/10s"} */
  queriesPerUser: Rate;
  /** Failed sign-ins from one address. After a tenth of it, each attempt is delayed longer. @default {"100/15m"} */
  failedSignIns: Rate;
  /**
   * HTTP requests from one address, on routes with the middleware; in `main.ts`, on all. An accepted WebSocket counts as a
   * connect instead. @default {"60000/1m"}
   */
  requests: Rate;
  /** Refusals on one connection before it is closed. @default {"200/10s"} */
  refusals: Rate;
}

/** The defaults. Honest apps stay below them. */
export const DEFAULTS: Readonly<Limits> = {
  connectsPerIp: "3000/1m",
  connectionsPerIp: 1_000,
  connectionsPerUser: 500,
  messages: "6000/10s",
  messagesPerUser: "24000/10s",
  bytes: "33554432/10s",
  bytesPerUser: "134217728/10s",
  subscribes: "2000/10s",
  subscribesPerUser: "10000/10s",
  publishes: "3000/10s",
  publishesPerUser: "12000/10s",
  publishesPerChannel: "20000/10s",
  calls: "2000/10s",
  callsPerUser: "8000/10s",
  queries: "1000/10s",
  queriesPerUser: "4000/10s",
  failedSignIns: "100/15m",
  requests: "60000/1m",
  refusals: "200/10s",
};

/** An operation with limits. */
export type Operation = "message" | "bytes" | "subscribe" | "publish" | "call" | "query";

/** The operations with the names of their limits, per connection and per user, and the error text. */
export const OPERATIONS = {
  message: ["messages", "messagesPerUser", "Too many messages sent"],
  bytes: ["bytes", "bytesPerUser", "Too many bytes sent"],
  subscribe: ["subscribes", "subscribesPerUser", "Too many subscribes"],
  publish: ["publishes", "publishesPerUser", "Too many publishes"],
  call: ["calls", "callsPerUser", "Too many calls"],
  query: ["queries", "queriesPerUser", "Too many queries"],
} as const satisfies Record<Operation, readonly [RateName, RateName, string]>;

/** The name of a limit that is a rate. */
export type RateName = { [Name in keyof Limits]: Limits[Name] extends number ? never : Name }[keyof Limits];

/** Validates the limits and parses the rates. */
export function prepareLimits(given: Partial<Limits>): {
  pace(name: RateName): Pace | undefined;
  connectionsPerIp: number;
  connectionsPerUser: number;
} {
  const check = checkOptions("rate_limits");
  const { connectionsPerIp, connectionsPerUser, ...rates } = { ...DEFAULTS, ...given };
  check.positiveInteger("connectionsPerIp", connectionsPerIp);
  check.positiveInteger("connectionsPerUser", connectionsPerUser);
  const paces = new Map(Object.entries(rates).map(([name, rate]) => [name, paceOf(name, rate)]));
  return { pace: (name) => paces.get(name), connectionsPerIp, connectionsPerUser };
}
