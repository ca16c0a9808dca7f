/**
 * How errors look over HTTP: one status for each error code.
 *
 * @module
 */

import { PlugboardError, refusal } from "../../core/mod.ts";
import { BackendError } from "./backend_error.ts";
import { RateLimitError } from "./rate_limit_error.ts";

const STATUSES: Readonly<Record<string, number>> = {
  bad_request: 400,
  unauthorized: 401,
  invalid_token: 401,
  token_expired: 401,
  token_mismatch: 401,
  permission_denied: 403,
  origin_not_allowed: 403,
  not_found: 404,
  timeout: 408,
  too_many_rooms: 409,
  ambiguous_session: 409,
  conflict: 409,
  constraint: 409,
  too_large: 413,
  not_owner: 421,
  connection_limit: 429,
  too_many_requests: 429,
  unavailable: 503,
  overloaded: 503,
};

/** When to retry if the error does not say. */
const RETRY_AFTER_S = 5;

/** An error as an HTTP response tells it. */
export interface HttpError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Returns what a client may know of an error; `undefined` for internal errors. */
export function httpError(error: unknown): HttpError | undefined {
  const status = error instanceof BackendError
    ? error.temporary ? 503 : 403
    : error instanceof PlugboardError
    ? STATUSES[error.code]
    : undefined;
  if (status === undefined) return undefined;
  const { code, message } = error as PlugboardError;
  return { status, code, message, headers: headersOf(status, error as PlugboardError) };
}

/** Returns the response to an error that a client may see; throws internal errors again. */
export function refusalFor(error: unknown, more: Readonly<Record<string, string>> = {}): Response {
  const known = httpError(error);
  if (known === undefined) throw error;
  return refusal(known.status, known.code, known.message, { ...known.headers, ...more });
}

function headersOf(status: number, error: PlugboardError): Record<string, string> {
  if (status === 401) {
    // RFC 6750: the challenge names an error only if there were credentials.
    const challenge = error.code === "unauthorized" ? "Bearer" : `Bearer error="invalid_token"`;
    return { "www-authenticate": challenge };
  }
  if (status !== 429 && status !== 503) return {};
  const seconds = error instanceof RateLimitError ? Math.ceil(error.retryAfterMs / 1000) : RETRY_AFTER_S;
  return { "retry-after": String(seconds) };
}
