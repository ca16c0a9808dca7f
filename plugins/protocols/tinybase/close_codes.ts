/**
 * Why a TinyBase client is closed, with the codes and reasons that its synchronizer knows where it knows any.
 *
 * @module
 */

import type { CloseCode } from "../../../core/mod.ts";

/** The close codes. */
export const tinybaseCodes = {
  /** What came is no message. */
  invalid: { code: 1007, reason: "tinybase:14" },
  /** Too many fragments, or of too many messages at once. */
  fragments: { code: 1013, reason: "tinybase:15:fragments" },
  /** Too many channels on one socket, or one with too long a name. */
  channels: { code: 1013, reason: "tinybase:15:channels" },
  /** Too much came before the path was loaded. */
  server: { code: 1013, reason: "tinybase:15:server" },
  /** The path's store is as large as it may be. */
  store: { code: 1013, reason: "tinybase:15:store" },
  /** Every TinyBase store would drop what this client says, without a word. */
  clockAhead: { code: 1008, reason: "clock more than five minutes ahead: nobody can take these changes" },
  /** There is no room for another client on a channel's path. */
  full: { code: 1013, reason: "too many clients on this path" },
  /** The client may not use a channel. */
  forbidden: { code: 1008, reason: "you may not use this channel" },
} as const satisfies Record<string, CloseCode>;
