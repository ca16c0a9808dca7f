/**
 * Centrifugo's number of every error that a request can cause. The protocol and the HTTP API use this one table, so a new
 * code cannot reach the clients of one of them as a failure of the server.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** By code. A code that is not listed is a failure of the server, or a mistake in its program. */
const NUMBERS: Readonly<Record<string, number>> = {
  // 100 and 111 are temporary: the official SDKs try again.
  internal: 100,
  timeout: 100,
  unavailable: 100,
  overloaded: 100,
  stopped: 100,
  unauthorized: 101,
  unknown_channel: 102,
  permission_denied: 103,
  origin_not_allowed: 103,
  invalid_token: 103, // of a subscription; for a sign-in it is a disconnect
  token_mismatch: 103,
  method_not_found: 104,
  not_found: 104,
  already_subscribed: 105,
  limit_exceeded: 106,
  connection_limit: 106,
  namespace_full: 106,
  out_of_memory: 106,
  too_large: 106,
  too_many_rooms: 106,
  too_many_rows: 106,
  value_too_large: 106,
  bad_request: 107,
  bad_close_code: 107,
  bad_parameter: 107,
  bad_payload: 107,
  bad_sql: 107,
  cancelled: 107,
  invalid_message: 107,
  not_a_read: 107,
  not_subscribed: 107,
  query_failed: 107,
  refused_sql: 107,
  not_available: 108,
  not_owner: 108,
  token_expired: 109,
  expired: 110,
  too_many_requests: 111,
  unrecoverable_position: 112,
  ambiguous_session: 113,
  conflict: 113,
  constraint: 113,
};

/** Returns the number of an error; `undefined` for a failure of the server, which clients learn nothing about. */
export function errorNumber(error: unknown): number | undefined {
  if (!(error instanceof PlugboardError)) return undefined;
  // An error of the app, or of its backend, has a number of its own.
  if ("number" in error) return Number(error.number);
  return Object.hasOwn(NUMBERS, error.code) ? NUMBERS[error.code] : undefined;
}
