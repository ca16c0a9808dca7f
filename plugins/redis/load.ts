/**
 * The bounds of what waits for a server.
 *
 * @module
 */

/** The maximum number of items that wait, and of their bytes. */
export interface LoadLimits {
  readonly maxPending: number;
  readonly maxPendingBytes: number;
}

/** Counts what waits. */
export interface Load {
  /** Adds items of this size; `false` if there is no room. One item alone always has room. */
  add(bytes: number): boolean;
  /** Removes items. */
  remove(items: number, bytes: number): void;
}

/** Creates an empty count. */
export function loadWithin({ maxPending, maxPendingBytes }: LoadLimits): Load {
  let pending = 0;
  let pendingBytes = 0;
  return {
    add(bytes) {
      if (pending >= maxPending || pending > 0 && pendingBytes + bytes > maxPendingBytes) return false;
      pending++;
      pendingBytes += bytes;
      return true;
    },
    remove(items, bytes) {
      pending -= items;
      pendingBytes -= bytes;
    },
  };
}
