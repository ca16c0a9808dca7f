/**
 * Promises: types of hooks, and timeouts.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** A value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>;

/** What a hook that must not be `async` returns. A function type that returns exactly `void` would accept promises. */
export type Nothing = void | undefined;

/** Waits until `work` settles, but at most `ms`. Returns whether it settled in time. */
export async function settlesWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  let cancel = () => {};
  const late = new Promise<false>((resolve) => cancel = clock.after(ms, () => resolve(false)));
  const settled = work.then(() => true, () => true);
  try {
    return await Promise.race([settled, late]);
  } finally {
    cancel();
  }
}
