/**
 * Calls that must not overlap.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";

/** Runs work one after the other for each key. Work that returns no promise costs none. */
export class Turns {
  /** The latest work by key. */
  readonly #latest = new Map<string, Promise<unknown>>();

  /** Runs work after all earlier work with the same key, whether that has failed or not. */
  run<T>(key: string, work: () => MaybePromise<T>): MaybePromise<T> {
    // The hash of a key that was put together costs more than the rest.
    const earlier = this.#latest.size === 0 ? undefined : this.#latest.get(key);
    const result = earlier === undefined ? work() : earlier.then(work, work);
    if (!(result instanceof Promise)) return result;
    const tracked = result.finally(() => {
      if (this.#latest.get(key) === tracked) this.#latest.delete(key);
    });
    this.#latest.set(key, tracked);
    return tracked;
  }
}
