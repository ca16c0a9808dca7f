/**
 * Errors in Centrifugo's format: a number and a fixed text.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** An error as Centrifugo's clients get it. */
export interface ApiError {
  readonly code: number;
  readonly message: string;
}

const TEXTS = {
  100: "internal server error",
  102: "unknown channel",
  103: "permission denied",
  104: "not found",
  106: "limit exceeded",
  107: "bad request",
  108: "not available",
  111: "too many requests",
  112: "unrecoverable position",
  113: "conflict",
} as const;

const NUMBERS: Readonly<Record<string, keyof typeof TEXTS>> = {
  unknown_channel: 102,
  permission_denied: 103,
  unauthorized: 103,
  token_expired: 103,
  method_not_found: 104,
  limit_exceeded: 106,
  bad_request: 107,
  bad_close_code: 107,
  not_available: 108,
  too_many_requests: 111,
  unrecoverable_position: 112,
  conflict: 113,
};

/** HTTP statuses in the transport error mode. All others are 400. */
const STATUSES: Readonly<Record<number, number>> = {
  100: 500,
  102: 404,
  103: 403,
  104: 404,
  111: 429,
  112: 416,
  113: 409,
};

/** The error for every failure of the server. */
export const internalError: ApiError = { code: 100, message: TEXTS[100] };

/** Returns an error that a caller has caused; `undefined` for a failure of the server. */
export function apiError(error: unknown): ApiError | undefined {
  if (!(error instanceof PlugboardError)) return undefined;
  // An error of the app's own method.
  if (error.code === "rpc_error" && "number" in error) {
    return { code: Number(error.number), message: error.message };
  }
  const code = NUMBERS[error.code];
  return code && { code, message: TEXTS[code] };
}

/** Returns the HTTP status of an error in the transport error mode. */
export function statusOf({ code }: ApiError): number {
  return STATUSES[code] ?? 400;
}

/** An error of a parameter. */
export function badRequest(message: string): PlugboardError {
  return new PlugboardError("bad_request", message);
}
