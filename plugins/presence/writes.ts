/**
 * Writes to a presence store: in order for each client, and repeated until they succeed.
 *
 * @module
 */

import type { Clock, MaybePromise } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import { Turns } from "../shared/turns.ts";

/** The delay before the first retry, and the longest one. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 12_800;

/** Runs writes. */
export interface PresenceWrites {
  /** Runs a write after earlier ones with the same key. */
  run<T>(key: string, write: () => MaybePromise<T>): MaybePromise<T>;
  /** Ends all retries; their writes fail. */
  stop(): void;
}

/** Creates the writes. `failed` gets the error of every try. */
export function presenceWrites(clock: () => Clock, failed: (error: unknown) => void): PresenceWrites {
  const turns = new Turns();
  const pauses = new Set<() => void>();
  let stopped = false;

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const cancel = clock().after(ms, () => end());
      function end(): void {
        cancel();
        pauses.delete(end);
        resolve();
      }
      pauses.add(end);
    });

  async function repeat<T>(write: () => MaybePromise<T>, error: unknown, failures = 0): Promise<T> {
    failed(error);
    if (!stopped) await pause(backoffMs(failures, RETRY_MS, MAX_RETRY_MS));
    if (stopped) throw error;
    try {
      return await write();
    } catch (next) {
      return await repeat(write, next, failures + 1);
    }
  }

  return {
    run: (key, write) =>
      turns.run(key, () => {
        try {
          const result = write();
          return result instanceof Promise ? result.catch((error) => repeat(write, error)) : result;
        } catch (error) {
          return repeat(write, error);
        }
      }),
    stop() {
      stopped = true;
      for (const end of pauses) end();
    },
  };
}
