/**
 * Errors as clients see them: as data of a message, and as close codes.
 *
 * @module
 */

import { type CloseCode, closeCodes, PlugboardError } from "../../../core/mod.ts";
import { BackendError } from "../../shared/backend_error.ts";
import type { ErrorData } from "./messages.ts";

const SIGN_IN_CODES: ReadonlyMap<string, CloseCode> = new Map<string, CloseCode>([
  ["token_expired", closeCodes.connectionExpired],
  ["invalid_token", closeCodes.invalidToken],
  ["token_mismatch", closeCodes.invalidToken],
  ["unauthorized", closeCodes.unauthorized],
  ["permission_denied", closeCodes.unauthorized],
  ["connection_limit", closeCodes.connectionLimit],
  ["bad_request", closeCodes.badRequest],
  ["too_many_requests", closeCodes.tooManyRequests],
]);

/** Returns the close code for a sign-in, or its renewal, that failed. */
export function signInCode(error: unknown): CloseCode {
  if (error instanceof BackendError && !error.temporary) return closeCodes.unauthorized;
  const code = error instanceof PlugboardError ? SIGN_IN_CODES.get(error.code) : undefined;
  return code ?? closeCodes.internalError;
}

/** Returns an error as the client gets it; it learns nothing about internal errors. */
export function errorData(error: unknown): ErrorData {
  if (!(error instanceof PlugboardError)) return { code: "INTERNAL", message: "Internal server error" };
  const { code, message } = error;
  return {
    code: code.toUpperCase(),
    message,
    // An error of the application has a number, a rate limit error has a time.
    ...("number" in error && { number: Number(error.number) }),
    ...("retryAfterMs" in error && { retryAfterMs: Math.ceil(Number(error.retryAfterMs)) }),
  };
}

/** The error for a message that does not have the protocol's form. */
export function invalid(message: string): PlugboardError {
  return new PlugboardError("invalid_message", message);
}
