/**
 * Why a connection was closed, as values.
 *
 * The numbers follow Centrifuge's ranges, which its SDKs act on: 3000–3499 and 4000–4499 mean "come back",
 * 3500–3999 and 4500–4999 mean "do not". Below 3000 stand the WebSocket standard's own.
 *
 * @module
 */

import { PlugboardError } from "./errors.ts";

/** A close code with the reason that is sent beside it. */
export interface CloseCode {
  /** The number in the close frame. */
  readonly code: number;
  /** A few words for people, at most 123 bytes. */
  readonly reason: string;
}

/** What the `close` hook is told: the code, and who ended the connection. */
export interface Closed extends CloseCode {
  /** `client` closed properly, `server` is us, `network` means that the line broke. */
  readonly by: "client" | "server" | "network";
}

/** Codes that the standard reserves for what no close frame says. */
const UNSENDABLE: readonly number[] = [1004, 1005, 1006, 1015];

/**
 * Makes a close code of a plugin's own; 4000–4999 are free for applications.
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
      `A close code must be one that may be sent, between 1000 and 4999, got ${code}`,
    );
  }
  if (new TextEncoder().encode(reason).length > 123) {
    throw new PlugboardError("bad_close_code", `The reason of close code ${code} is longer than 123 bytes`);
  }
  return Object.freeze({ code, reason });
}

/** The codes the kernel itself uses. */
export const closeCodes = {
  /** Done; the ordinary end. */
  normal: { code: 1000, reason: "normal" },
  /** A binary frame where text is needed, or the other way round. */
  unsupportedData: { code: 1003, reason: "unsupported data" },
  /** The payload is not what the protocol expects. */
  invalidPayload: { code: 1007, reason: "invalid payload" },
  /** A message beyond the limit. */
  tooLarge: { code: 1009, reason: "message too large" },
  /** The server stops; come back later. */
  shutdown: { code: 3001, reason: "shutdown" },
  /** A handler failed; the log knows more. */
  internalError: { code: 3004, reason: "internal server error" },
  /** The reader did not keep up. */
  slow: { code: 3008, reason: "slow" },
  /** No answer to a ping. */
  noPong: { code: 3012, reason: "no pong" },
  /** More messages than can wait behind the one being handled. */
  tooManyRequests: { code: 3013, reason: "too many requests" },
} as const satisfies Record<string, CloseCode>;
