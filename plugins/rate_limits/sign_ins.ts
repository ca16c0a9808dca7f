/**
 * Failed sign-ins: who guesses is slowed down, then refused.
 *
 * @module
 */

import type { Clock, MaybePromise } from "../../core/mod.ts";
import { subnetOf } from "../shared/client_ip.ts";
import { RateLimitError } from "../shared/rate_limit_error.ts";
import { Buckets } from "./buckets.ts";
import type { Pace } from "./rates.ts";

/** The share of the limit that costs nothing: mistyped keys, tokens of yesterday. */
const FREE_SHARE = 0.1;
/** By how much each further failure delays the next try, and the longest delay. */
const DELAY_STEP_MS = 100;
const MAX_DELAY_MS = 2_000;

/** Counts failures by address. */
export interface FailedSignIns {
  /** Throws when there were too many, waits when there were many. */
  attempt(ip: string): MaybePromise<void>;
  /** Counts one. */
  failed(ip: string): void;
  /** Lets those who wait go on. */
  stop(): void;
}

/** Counts failures within `pace`; without one, none. */
export function failedSignIns({ pace, maxTracked, clock, refused }: {
  pace: Pace | undefined;
  maxTracked: number;
  clock: () => Clock;
  refused: () => void;
}): FailedSignIns {
  if (pace === undefined) return { attempt() {}, failed() {}, stop() {} };
  const failures = new Buckets(pace, maxTracked);
  const free = pace.limit * FREE_SHARE;
  const waiting = new Set<() => void>();

  function wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock().after(ms, resolve);
    const goOn = () => {
      cancel();
      resolve();
    };
    waiting.add(goOn);
    return promise.finally(() => waiting.delete(goOn));
  }

  return {
    attempt(ip) {
      const [address, now] = [subnetOf(ip), clock().now()];
      const waitMs = failures.waitMs(address, now);
      if (waitMs > 0) {
        refused();
        throw new RateLimitError("Too many failed sign-ins", waitMs);
      }
      const beyond = Math.ceil(failures.spent(address, now) - free);
      if (beyond > 0) return wait(Math.min(beyond * DELAY_STEP_MS, MAX_DELAY_MS));
    },
    failed: (ip) => void failures.take(subnetOf(ip), clock().now()),
    stop() {
      for (const goOn of waiting) goOn();
    },
  };
}
