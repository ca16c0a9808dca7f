/**
 * Delays between retries.
 *
 * @module
 */

/** Returns the delay before a retry: doubled after each failure, from `firstMs` up to `maxMs`. */
export function backoffMs(failures: number, firstMs = 1_000, maxMs = 30_000): number {
  return Math.min(maxMs, firstMs * 2 ** failures);
}
