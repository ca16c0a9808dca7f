/**
 * How large things are, as TinyBase counts them: in bytes of UTF-8.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** What a TinyBase client takes in one frame; it closes its socket when there is more. */
const MAX_FRAME_BYTES = 16_777_216;

/** What may stand before a message when it leaves here: a sender's id, and a channel's. */
const MAX_HEAD_BYTES = 2_048;

/** The largest message that every client takes. */
export const MAX_MESSAGE_BYTES: number = MAX_FRAME_BYTES - MAX_HEAD_BYTES;

/** The bytes of a text. */
export function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}
