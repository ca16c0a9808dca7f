/**
 * How errors look over HTTP: one status for each error code.
 *
 * @module
 */

import { PlugboardError, refusal } from "./errors.ts";

const STATUSES: Readonly<Record<string, number>> = {
  bad_request: 400,
  unauthorized: 401,
  invalid_token: 401,
  token_expired: 401,
  token_mismatch: 401,
  permission_denied: 403,
  origin_not_allowed: 403,
  not_found: 404,
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
  timeout: 504,
};

/** When to retry if the error does not say. */
const RETRY_AFTER_S = 5;

/** An error as an HTTP response tells it. */
export interface HttpError {
  /** The status of the response. */
  readonly status: number;
  /** For programs. */
  readonly code: string;
  /** For people. */
  readonly message: string;
  /** When to try again, or how to sign in. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What an error may say about its response. */
export interface HttpErrorHints {
  /** The status, if the code alone does not tell it. */
  readonly status?: number;
  /** When to try again. */
  readonly retryAfterMs?: number;
}

/**
 * Returns what a client may know of an error; `undefined` for internal errors.
 *
 * ```ts
 * import { httpError, PlugboardError } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(httpError(new PlugboardError("permission_denied", "Members only"))?.status, 403);
 * assert.equal(httpError(new Error("no disk")), undefined);
 * ```
 */
export function httpError(error: unknown): HttpError | undefined {
  if (!(error instanceof PlugboardError)) return undefined;
  const { code, message, status = STATUSES[code], retryAfterMs }: PlugboardError & HttpErrorHints = error;
  if (status === undefined) return undefined;
  return { status, code, message, headers: headersOf(status, code, retryAfterMs) };
}

/** Errors whose messages may tell of the server's data or network, where no plugin has decided that clients may see them. */
const OF_SERVER: ReadonlySet<string> = new Set(["constraint"]);

/** Returns the response to an error that a route lets through, if it is about the request; `undefined` for all others. */
export function requestRefusal(error: unknown): Response | undefined {
  const known = httpError(error);
  if (known === undefined || known.status >= 500 || OF_SERVER.has(known.code)) return undefined;
  return responseTo(known);
}

function responseTo({ status, code, message, headers }: HttpError, more?: Readonly<Record<string, string>>) {
  return refusal(status, code, message, { ...headers, ...more });
}

/**
 * Returns the response to an error that a client may see; throws internal errors again. The kernel does it for errors that
 * routes and `upgrade` hooks throw, if they are about the request; it answers the others with 500, and logs them.
 *
 * ```ts
 * import { PlugboardError, refusalFor } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(refusalFor(new PlugboardError("not_found", "No such room")).status, 404);
 * ```
 */
export function refusalFor(error: unknown, more?: Readonly<Record<string, string>>): Response {
  const known = httpError(error);
  if (known === undefined) throw error;
  return responseTo(known, more);
}

function headersOf(status: number, code: string, retryAfterMs?: number): Record<string, string> {
  if (status === 401) {
    // RFC 6750: the challenge names an error only if there were credentials.
    return { "www-authenticate": code === "unauthorized" ? "Bearer" : `Bearer error="invalid_token"` };
  }
  if (status !== 429 && status !== 503) return {};
  const seconds = retryAfterMs === undefined ? RETRY_AFTER_S : Math.ceil(retryAfterMs / 1000);
  return { "retry-after": String(seconds) };
}
