/**
 * Promises: types of hooks, and timeouts.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { PlugboardError } from "./errors.ts";

/** A value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>;

/** What a hook that must not be `async` returns. A function type that returns exactly `void` would accept promises. */
export type Nothing = void | undefined;

/**
 * Returns the result of `work`, or throws an error with the code `timeout` after `ms`. `what` names the work in the
 * error. A result that comes too late goes to `late`, which can release it and must not throw.
 *
 * ```ts
 * import { systemClock, within } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(await within(systemClock, 1_000, "The sum", Promise.resolve(3)), 3);
 * ```
 */
export async function within<T>(
  clock: Clock,
  ms: number,
  what: string,
  work: MaybePromise<T>,
  late?: (result: T) => void,
): Promise<T> {
  if (!(work instanceof Promise)) return work;
  let cancel = () => {};
  const timeout = new Promise<never>((_, reject) => {
    cancel = clock.after(ms, () => {
      work.then(late, () => {});
      reject(new PlugboardError("timeout", `${what} took longer than ${ms} ms`));
    });
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    cancel();
  }
}

/** Waits until `work` settles, but at most `ms`. Returns whether it settled in time. */
export async function settlesWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  const settled = work.then(() => true, () => true);
  return await within(clock, ms, "settling", settled).catch(() => false);
}
