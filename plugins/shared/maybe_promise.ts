/**
 * Values that may be promises.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";

/** Calls `next` with a value: at once, or when its promise resolves. A value that is there costs no promise. */
export function chain<T, Result>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<Result>,
): MaybePromise<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}
