/**
 * Close codes: why a connection was closed.
 *
 * The numbers follow Centrifuge's ranges, which its SDKs act on. Clients reconnect after 3000–3499 and 4000–4499,
 * but not after 3500–3999 and 4500–4999. Codes below 3000 are those of the WebSocket standard.
 *
 * @module
 */

import { exceedsBytes } from "./framing.ts";
import { PlugboardError } from "./errors.ts";

/** A close code and its reason. */
export interface CloseCode {
  /** The number in the close frame. */
  readonly code: number;
  /** A few words for people, at most 123 bytes. */
  readonly reason: string;
}

/** How a connection ended: the code, and who ended it. */
export interface Closed extends CloseCode {
  /** `client` closed it properly, `server` is this server, `network` means that the connection broke. */
  readonly by: "client" | "server" | "network";
}

/** Codes that the standard does not allow in a close frame. */
const UNSENDABLE: readonly number[] = [1004, 1005, 1006, 1015];

/**
 * Makes a close code for a plugin. 4000–4999 are free for applications.
 *
 * ```ts
 * import { closeCode } from "@plugboard/server";
 *
 * const kicked = closeCode(4501, "kicked by a moderator");
 * ```
 */
export function closeCode(code: number, reason: string): CloseCode {
  if (!Number.isInteger(code) || code < 1000 || code > 4999 || UNSENDABLE.includes(code)) {
    throw new PlugboardError(
      "bad_close_code",
      `A close code must be sendable and between 1000 and 4999, got ${code}`,
    );
  }
  if (exceedsBytes(reason, 123)) {
    throw new PlugboardError("bad_close_code", `The reason of close code ${code} is longer than 123 bytes`);
  }
  if (isJson(reason)) {
    throw new PlugboardError("bad_close_code", `The reason of close code ${code} is JSON: ${reason}`);
  }
  return Object.freeze({ code, reason });
}

/** Centrifuge's SDK for JavaScript takes a reason that is JSON as instructions, and ends in an undefined state. */
function isJson(reason: string): boolean {
  try {
    JSON.parse(reason);
    return true;
  } catch {
    return false;
  }
}

/** The codes that the kernel uses, and those that several plugins share. */
export const closeCodes = {
  /** The ordinary end. */
  normal: { code: 1000, reason: "normal" },
  /** A binary frame where text is expected, or the other way round. */
  unsupportedData: { code: 1003, reason: "unsupported data" },
  /** The payload is not what the protocol expects. */
  invalidPayload: { code: 1007, reason: "invalid payload" },
  /** The message exceeds the limit. */
  tooLarge: { code: 1009, reason: "message too large" },
  /** The server stops. Reconnect later. */
  shutdown: { code: 3001, reason: "shutdown" },
  /** A handler failed. The log has the error. */
  internalError: { code: 3004, reason: "internal server error" },
  /** The sign-in expired. */
  connectionExpired: { code: 3005, reason: "connection expired" },
  /** The permission for a subscription expired. */
  subscriptionExpired: { code: 3006, reason: "subscription expired" },
  /** The client reads too slowly. */
  slow: { code: 3008, reason: "slow" },
  /** The client did not answer a ping. */
  noPong: { code: 3012, reason: "no pong" },
  /** Too many messages wait for a handler. */
  tooManyRequests: { code: 3013, reason: "too many requests" },
  /**
   * The server is short of memory, and the client sends nothing that is complete. Reconnect later. Not 3014: Centrifuge's
   * SDKs forget their token and their positions for it.
   */
  outOfMemory: { code: 3015, reason: "server out of memory" },
  /** The token is invalid. */
  invalidToken: { code: 3500, reason: "invalid token" },
  /** The client has no credentials, or they do not allow it to connect. */
  unauthorized: { code: 3500, reason: "unauthorized" },
  /** The client does not follow the protocol. */
  badRequest: { code: 3501, reason: "bad request" },
  /** The user has too many connections. */
  connectionLimit: { code: 3504, reason: "connection limit" },
} as const satisfies Record<string, CloseCode>;
