import type { CloseCode } from "../../../core/mod.ts";

/** The close codes of the protocol. Reasons that begin with `tinybase:` are known to its clients. */
export const tinybaseCodes = {
  /** The message is invalid. */
  invalid: { code: 1007, reason: "tinybase:14" },
  /** Too many fragments, or too many incomplete messages. */
  fragments: { code: 1013, reason: "tinybase:15:fragments" },
  /** Too many channels on one socket, or a channel id that is too long. */
  channels: { code: 1013, reason: "tinybase:15:channels" },
  /** Too many messages before the path was loaded. */
  server: { code: 1013, reason: "tinybase:15:server" },
  /** The path's store has reached its maximum size. */
  store: { code: 1013, reason: "tinybase:15:store" },
  /** TinyBase stores silently ignore changes from this client. */
  clockAhead: { code: 1008, reason: "clock more than five minutes ahead: changes are rejected" },
  /** The path of a channel has reached its maximum number of clients. */
  full: { code: 1013, reason: "too many clients on this path" },
  /** The client may not use this channel. */
  forbidden: { code: 1008, reason: "you may not use this channel" },
} as const satisfies Record<string, CloseCode>;

/** Returns the close code for a refused channel of an open socket. */
export function closeCodeFor({ status }: Response): CloseCode {
  if (status === 400) return tinybaseCodes.invalid;
  return status === 503 ? tinybaseCodes.full : tinybaseCodes.forbidden;
}
