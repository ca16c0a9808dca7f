/**
 * How clients are told that something went wrong: errors as data, and why a connection ends.
 *
 * @module
 */

import { type CloseCode, closeCode, closeCodes, PlugboardError } from "../../../core/mod.ts";
import type { ErrorData } from "./messages.ts";

/** The same numbers as in Centrifuge's protocol: below 3500 a client may come back, with a fresh token if need be. */
const connectionExpired = closeCode(3005, "connection expired");
const invalidToken = closeCode(3500, "invalid token");
const unauthorized = closeCode(3500, "unauthorized");
const connectionLimit = closeCode(3504, "connection limit");
const badRequest = closeCode(3501, "bad request");

const SIGN_IN_CODES: ReadonlyMap<string, CloseCode> = new Map([
  ["token_expired", connectionExpired],
  ["invalid_token", invalidToken],
  ["token_mismatch", invalidToken],
  ["unauthorized", unauthorized],
  ["permission_denied", unauthorized],
  ["connection_limit", connectionLimit],
  ["bad_request", badRequest],
  ["too_many_requests", closeCodes.tooManyRequests],
]);

/** How somebody is closed whose sign-in, or its renewal, was refused. */
export function signInCode(error: unknown): CloseCode {
  const code = error instanceof PlugboardError ? SIGN_IN_CODES.get(error.code) : undefined;
  return code ?? closeCodes.internalError;
}

/** An error as its client gets it; of what is not its doing it learns nothing. */
export function errorData(error: unknown): ErrorData {
  if (!(error instanceof PlugboardError)) return { code: "INTERNAL", message: "Internal server error" };
  const { code, message } = error;
  return {
    code: code.toUpperCase(),
    message,
    // An application's own error brings a number along, one of the limits the time to wait.
    ...("number" in error && { number: Number(error.number) }),
    ...("retryAfterMs" in error && { retryAfterMs: Math.ceil(Number(error.retryAfterMs)) }),
  };
}

/** A message that is not of the protocol's form. */
export function invalid(message: string): PlugboardError {
  return new PlugboardError("invalid_message", message);
}
