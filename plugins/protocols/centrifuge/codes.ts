/**
 * The numbers of the protocol: error codes of replies, and codes of disconnects.
 *
 * @module
 */

import { type CloseCode, closeCode, closeCodes, messageOf, PlugboardError } from "../../../core/mod.ts";
import { BackendError } from "../../shared/backend_error.ts";
import { errorNumber } from "../../shared/error_numbers.ts";

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

const TEMPORARY: ReadonlySet<number> = new Set([100, 111]);

/** The reply for every failure of the server. */
export const internalError: ErrorReply = { code: 100, message: "internal server error", temporary: true };

/** Returns the reply for an error that a service threw for the client to see, or `undefined` for any other. */
export function errorReply(error: unknown): ErrorReply | undefined {
  const code = errorNumber(error);
  if (code === undefined) return undefined;
  const temporary = error instanceof BackendError ? error.temporary : TEMPORARY.has(code);
  return { code, message: messageOf(error), temporary };
}

/** Returns the code that ends the connection of a one-way client, which gets no replies. */
export function uniDisconnect({ code, temporary }: ErrorReply): CloseCode {
  if (code === 101) return closeCodes.unauthorized;
  if (code === 109 || code === 110) return closeCodes.connectionExpired;
  if (code === 111) return closeCodes.tooManyRequests;
  return temporary ? closeCodes.internalError : disconnects.permissionDenied;
}
