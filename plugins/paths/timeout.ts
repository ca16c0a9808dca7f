/**
 * Work that others do, with an end to the waiting for it.
 *
 * @module
 */

import { type Clock, type MaybePromise, PlugboardError } from "../../core/mod.ts";

/**
 * The result of `work`, or an error with the code `timeout` that names it. What comes too late is given to `late`,
 * which releases it and must not throw.
 */
export async function inTime<T>(
  clock: Clock,
  ms: number,
  what: string,
  work: () => MaybePromise<T>,
  late: (result: T) => void = () => {},
): Promise<T> {
  const result = work();
  if (!(result instanceof Promise)) return result;
  let over = false;
  let cancel = () => {};
  const timeout = new Promise<never>((_, reject) => {
    cancel = clock.after(ms, () => {
      over = true;
      reject(new PlugboardError("timeout", `${what} took longer than ${ms} ms`));
    });
  });
  // A rejection is told below, or comes too late to matter.
  result.then((value) => over && late(value), () => {});
  try {
    return await Promise.race([result, timeout]);
  } finally {
    cancel();
  }
}
