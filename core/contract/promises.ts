/**
 * Promises: types of hooks, and timeouts.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { PlugboardError } from "./errors.ts";

/** A value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * Calls `next` with a value: at once, or when its promise resolves. A value that is there costs no promise.
 *
 * ```ts
 * import { chain } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * const double = (value: number) => 2 * value;
 * assert.equal(chain(2, double), 4);
 * assert.equal(await chain(Promise.resolve(2), double), 4);
 * ```
 */
export function chain<T, Result>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<Result>,
): MaybePromise<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/**
 * Returns the result of `work`, or that of `failed` if it throws or rejects. Work that does not wait costs no promise.
 *
 * ```ts
 * import { attempt } from "@plugboard/server";
 * import assert from "node:assert/strict";
 *
 * assert.equal(attempt(() => JSON.parse("{"), () => "no JSON"), "no JSON");
 * assert.equal(await attempt(() => Promise.reject(new Error()), () => "failed"), "failed");
 * ```
 */
export function attempt<T>(
  work: () => MaybePromise<T>,
  failed: (error: unknown) => MaybePromise<T>,
): MaybePromise<T> {
  try {
    const result = work();
    return result instanceof Promise ? result.catch(failed) : result;
  } catch (error) {
    return failed(error);
  }
}

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
