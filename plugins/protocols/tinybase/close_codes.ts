/**
 * Why a TinyBase client is closed, with the codes and reasons that its synchronizer knows where it knows any.
 *
 * @module
 */

import { closeCode } from "../../../core/mod.ts";

/** The close codes. */
export const tinybaseCodes = {
  /** What came is no message. */
  invalid: closeCode(1007, "tinybase:14"),
  /** Too many fragments, or of too many messages at once. */
  fragments: closeCode(1013, "tinybase:15:fragments"),
  /** Too many channels on one socket, or one with too long a name. */
  channels: closeCode(1013, "tinybase:15:channels"),
  /** Too much came before the path was loaded. */
  server: closeCode(1013, "tinybase:15:server"),
  /** The path's store is as large as it may be. */
  store: closeCode(1013, "tinybase:15:store"),
  /** Every TinyBase store would drop what this client says, without a word. */
  clockAhead: closeCode(1008, "clock more than five minutes ahead: nobody can take these changes"),
  /** There is no room for another client on a channel's path. */
  full: closeCode(1013, "too many clients on this path"),
  /** The client may not use a channel. */
  forbidden: closeCode(1008, "you may not use this channel"),
} as const;
