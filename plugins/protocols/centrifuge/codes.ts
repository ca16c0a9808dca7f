/**
 * The numbers of the protocol: error codes of replies, and codes of disconnects.
 *
 * @module
 */

import { type CloseCode, closeCode, closeCodes, PlugboardError } from "../../../core/mod.ts";
import { BackendError } from "../../shared/backend_error.ts";

/** Close codes that only this protocol uses. The SDK reconnects below 3500. */
export const disconnects = {
  /** No sign-in in time. */
  stale: closeCode(3502, "stale"),
  /** The client speaks Protobuf. */
  noProtobuf: closeCode(3506, "Protobuf is not supported, use JSON"),
  /** The client speaks JSON, and the payload is no JSON. */
  inappropriateProtocol: closeCode(3506, "inappropriate protocol"),
  /** A one-way client may not connect. */
  permissionDenied: closeCode(3507, "permission denied"),
  /** The server does not accept messages without a channel. */
  notAvailable: closeCode(3508, "not available"),
} as const satisfies Record<string, CloseCode>;

/** The errors of a sign-in that end the connection. */
export const signInDisconnects: Readonly<Record<string, CloseCode>> = {
  invalid_token: closeCodes.invalidToken,
  token_mismatch: closeCodes.invalidToken,
  connection_limit: closeCodes.connectionLimit,
};

/** Thrown when a command ends its client's connection. */
export class DisconnectError extends Error {
  /** The close code. */
  readonly why: CloseCode;

  /** `message` is for the log. */
  constructor(why: CloseCode, message: string) {
    super(message);
    this.why = why;
  }
}

/** The error for something that no SDK sends. */
export function malformed(what: string): DisconnectError {
  return new DisconnectError(closeCodes.badRequest, `The client sent a malformed ${what}`);
}

/** Turns an error into a disconnect if its code is among `codes`. */
export function asDisconnect(error: unknown, codes: Readonly<Record<string, CloseCode>>): unknown {
  if (!(error instanceof PlugboardError) || !Object.hasOwn(codes, error.code)) return error;
  return new DisconnectError(codes[error.code]!, error.message);
}

/** An error as a reply carries it. */
export interface ErrorReply {
  /** For programs. */
  readonly code: number;
  /** For people. */
  readonly message: string;
  /** Whether the SDK should retry by itself. */
  readonly temporary: boolean;
}

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ["internal", 100],
  ["timeout", 100],
  ["unavailable", 100],
  ["overloaded", 100],
  ["unauthorized", 101],
  ["unknown_channel", 102],
  ["permission_denied", 103],
  ["invalid_token", 103], // of a subscription; for a sign-in it is a disconnect
  ["method_not_found", 104],
  ["already_subscribed", 105],
  ["limit_exceeded", 106],
  ["bad_request", 107],
  ["bad_sql", 107],
  ["bad_parameter", 107],
  ["not_a_read", 107],
  ["refused_sql", 107],
  ["not_available", 108],
  ["token_expired", 109],
  ["expired", 110],
  ["too_many_requests", 111],
  ["unrecoverable_position", 112],
]);

const TEMPORARY: ReadonlySet<number> = new Set([100, 111]);

/** The reply for every failure of the server. */
export const internalError: ErrorReply = { code: 100, message: "internal server error", temporary: true };

/** Returns the reply for an error that a service threw for the client to see, or `undefined` for any other. */
export function errorReply(error: unknown): ErrorReply | undefined {
  if (!(error instanceof PlugboardError)) return undefined;
  const { code, message } = error;
  // An error of the application has a number of its own.
  if (error instanceof BackendError) return { code: error.number, message, temporary: error.temporary };
  const own = code === "rpc_error" && "number" in error ? Number(error.number) : undefined;
  const number = own ?? NUMBERS.get(code);
  return number === undefined ? undefined : { code: number, message, temporary: TEMPORARY.has(number) };
}

/** Returns the code that ends the connection of a one-way client, which gets no replies. */
export function uniDisconnect({ code, temporary }: ErrorReply): CloseCode {
  if (code === 101) return closeCodes.unauthorized;
  if (code === 109 || code === 110) return closeCodes.connectionExpired;
  if (code === 111) return closeCodes.tooManyRequests;
  return temporary ? closeCodes.internalError : disconnects.permissionDenied;
}
