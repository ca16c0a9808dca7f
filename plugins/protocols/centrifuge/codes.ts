/**
 * The numbers of Centrifuge's protocol: why a command was refused, and why a connection was closed.
 *
 * @module
 */

import { type CloseCode, closeCode, PlugboardError } from "../../../core/mod.ts";

/** Close codes beyond the kernel's. Below 3500 the SDK comes back, from there on it does not. */
export const disconnects = {
  /** The sign-in ran out and was not renewed. */
  expired: closeCode(3005, "connection expired"),
  /** A subscription's token had run out already. */
  subscriptionExpired: closeCode(3006, "subscription expired"),
  /** A token that is not ours, or somebody else's. */
  invalidToken: closeCode(3500, "invalid token"),
  /** Something no SDK sends. */
  badRequest: closeCode(3501, "bad request"),
  /** No sign-in in time. */
  stale: closeCode(3502, "stale"),
  /** The user has enough connections. */
  connectionLimit: closeCode(3504, "connection limit"),
  /** A message that nobody here takes. */
  notAvailable: closeCode(3508, "not available"),
} as const satisfies Record<string, CloseCode>;

/** What errors of sign-in cost. */
export const signInCosts: Readonly<Record<string, CloseCode>> = {
  invalid_token: disconnects.invalidToken,
  token_mismatch: disconnects.invalidToken,
  connection_limit: disconnects.connectionLimit,
};

/** Thrown where a command costs its client the connection. */
export class Disconnection extends Error {
  readonly why: CloseCode;

  /** `what` is for the log. */
  constructor(why: CloseCode, what: string) {
    super(what);
    this.why = why;
  }
}

/** Makes a disconnection of those errors that a command's client has to pay for with the connection. */
export function costly(error: unknown, costs: Readonly<Record<string, CloseCode>>): unknown {
  if (!(error instanceof PlugboardError) || !Object.hasOwn(costs, error.code)) return error;
  return new Disconnection(costs[error.code]!, error.message);
}

/** What an error reply says. */
export interface ErrorReply {
  readonly code: number;
  readonly message: string;
  /** Whether the SDK should try again by itself. */
  readonly temporary: boolean;
}

/** The services' error codes as the protocol numbers them. */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ["internal", 100],
  ["timeout", 100],
  ["unavailable", 100],
  ["unauthorized", 101],
  ["unknown_channel", 102],
  ["permission_denied", 103],
  ["invalid_token", 103], // of a subscription; a connection's costs the connection
  ["method_not_found", 104],
  ["already_subscribed", 105],
  ["limit_exceeded", 106],
  ["bad_request", 107],
  ["not_available", 108],
  ["token_expired", 109],
  ["expired", 110],
  ["too_many_requests", 111],
  ["unrecoverable_position", 112],
]);

const TEMPORARY: ReadonlySet<number> = new Set([100, 111]);

/** How every failure looks from outside that is nobody's fault but ours. */
export const internalError: ErrorReply = { code: 100, message: "internal server error", temporary: true };

/** The reply to an error that a service threw for the client to see; nothing for any other. */
export function errorReply(error: unknown): ErrorReply | undefined {
  if (!(error instanceof PlugboardError)) return undefined;
  const { code, message } = error;
  // An application's own error brings its number along.
  const own = code === "rpc_error" && "number" in error ? Number(error.number) : undefined;
  const number = own ?? NUMBERS.get(code);
  return number === undefined ? undefined : { code: number, message, temporary: TEMPORARY.has(number) };
}
