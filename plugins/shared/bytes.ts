/**
 * Sizes of text as it travels.
 *
 * @module
 */

const encoder = new TextEncoder();

/** Whether a text has more than `limit` bytes in UTF-8; most are so short that they need no count. */
export function exceeds(text: string, limit: number): boolean {
  if (text.length > limit) return true;
  return text.length * 3 > limit && encoder.encode(text).length > limit;
}
