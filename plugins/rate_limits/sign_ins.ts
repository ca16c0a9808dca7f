import { type Clock, type MaybePromise, networkOf } from "../../core/mod.ts";
import { RateLimitError } from "../shared/rate_limit_error.ts";
import { Buckets } from "./buckets.ts";
import type { Pace } from "./rates.ts";

/** The share of the limit without a delay: for typing errors and expired keys. */
const FREE_SHARE = 0.1;
/** Each further failure adds a step to the delay of the next attempt. */
const DELAY_STEP_MS = 100;
const MAX_DELAY_MS = 2_000;

/** Counts failures by address: slows down clients that guess credentials, then refuses them. */
export interface FailedSignIns {
  /** Throws after too many failures, waits after many. */
  attempt(ip: string): MaybePromise<void>;
  /** Counts a failure. */
  failed(ip: string): void;
  /** Ends all delays. */
  stop(): void;
}

/** Counts failures within `pace`; without one, counts nothing. */
export function failedSignIns({ pace, maxTracked, clock, refused }: {
  pace: Pace | undefined;
  maxTracked: number;
  clock: () => Clock;
  refused: () => void;
}): FailedSignIns {
  if (pace === undefined) return { attempt() {}, failed() {}, stop() {} };
  const failures = new Buckets(pace, maxTracked);
  const free = pace.limit * FREE_SHARE;
  const delayed = new Set<() => void>();

  async function delay(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock().after(ms, resolve);
    delayed.add(resolve);
    await promise;
    delayed.delete(resolve);
    cancel();
  }

  return {
    attempt(ip) {
      const [address, now] = [networkOf(ip), clock().monotonicTime()];
      const waitMs = failures.waitMs(address, now);
      if (waitMs > 0) {
        refused();
        throw new RateLimitError("Too many failed sign-ins", waitMs);
      }
      const excess = Math.ceil(failures.spent(address, now) - free);
      if (excess > 0) return delay(Math.min(excess * DELAY_STEP_MS, MAX_DELAY_MS));
    },
    failed: (ip) => void failures.take(networkOf(ip), clock().monotonicTime()),
    stop() {
      for (const resolve of delayed) resolve();
    },
  };
}
