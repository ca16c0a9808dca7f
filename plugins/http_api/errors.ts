/**
 * Errors in Centrifugo's format: a number and a text, which has the reason.
 *
 * @module
 */

import { messageOf, PlugboardError } from "../../core/mod.ts";
import { errorNumber } from "../shared/error_numbers.ts";

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

/** Numbers that differ from those of clients: a backend signs in with each request, so it cannot renew its sign-in. */
const OTHERS: Readonly<Record<number, keyof typeof TEXTS>> = { 101: 103, 105: 107, 109: 103, 110: 103 };

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
  const number = errorNumber(error);
  if (number === undefined || number === internalError.code) return undefined;
  if ("number" in (error as PlugboardError)) return { code: number, message: messageOf(error) };
  const code = OTHERS[number] ?? number as keyof typeof TEXTS;
  const [text, reason] = [TEXTS[code], messageOf(error)];
  return { code, message: reason.toLowerCase().includes(text) ? reason : `${text}: ${reason}` };
}

/** Returns the HTTP status of an error in the transport error mode. */
export function statusOf({ code }: ApiError): number {
  return STATUSES[code] ?? 400;
}

/** An error of a parameter. */
export function badRequest(message: string): PlugboardError {
  return new PlugboardError("bad_request", message);
}
