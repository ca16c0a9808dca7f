/**
 * Idempotency: a call that is repeated with the same key runs once, and gets the first result again.
 *
 * @module
 */

import type { Clock } from "../../core/mod.ts";

/** Stored results by idempotency key. Key-value entries within a transaction are one. */
export interface ResultStore<T> {
  /** Returns the result, unless it has expired. */
  get(key: string): T | undefined;
  /** Stores a result for a time. */
  set(key: string, result: T, options: { ttlMs: number }): void;
  /** Removes a result. */
  delete(key: string): unknown;
}

/** Returns the stored result of a key. Without one, runs `work` and stores its result; a rejected promise is removed. */
export function once<T>(results: ResultStore<T>, key: string, ttlMs: number, work: () => T): T {
  const stored = results.get(key);
  if (stored !== undefined) return stored;
  const result = work();
  results.set(key, result, { ttlMs });
  if (result instanceof Promise) result.catch(() => results.delete(key));
  return result;
}

/** Stores up to `max` results in memory, all for the same time. The oldest are evicted. */
export function memoryResults<T>(max: number, clock: () => Clock): ResultStore<T> {
  /** In the order in which they expire. */
  const entries = new Map<string, { result: T; expiresAt: number }>();

  function evict(): void {
    for (const [key, { expiresAt }] of entries) {
      if (expiresAt > clock().monotonicTime() && entries.size < max) break;
      entries.delete(key);
    }
  }

  return {
    get(key) {
      evict();
      return entries.get(key)?.result;
    },
    set: (key, result, { ttlMs }) =>
      void entries.set(key, { result, expiresAt: clock().monotonicTime() + ttlMs }),
    delete: (key) => entries.delete(key),
  };
}
