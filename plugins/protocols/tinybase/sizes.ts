/**
 * Sizes in bytes of UTF-8, as TinyBase limits them.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** TinyBase clients close their socket if a frame is larger. */
const MAX_FRAME_BYTES = 16_777_216;

/** Space for the sender's id and the channel's id before a message. */
const MAX_HEADER_BYTES = 2_048;

/** The largest message that every client accepts. */
export const MAX_MESSAGE_BYTES: number = MAX_FRAME_BYTES - MAX_HEADER_BYTES;

/** Returns the length of a text in bytes. */
export function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}
