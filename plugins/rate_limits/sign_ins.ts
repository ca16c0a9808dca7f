/**
 * Failed sign-ins: who guesses is slowed down, then refused.
 *
 * @module
 */

import { type Clock, systemClock } from "../../core/mod.ts";
import { subnetOf } from "../shared/client_ip.ts";
import { RateLimitError } from "../shared/rate_limit_error.ts";
import { type Pace, spend, spent } from "./rates.ts";
import { RecentMap } from "./recent_map.ts";

/** The share of the limit that costs nothing: mistyped keys, tokens of yesterday. */
const FREE_SHARE = 0.1;
/** By how much each further failure delays the next try, and the longest delay. */
const DELAY_STEP_MS = 100;
const MAX_DELAY_MS = 2_000;

/** Counts failures by address. */
export interface FailedSignIns {
  attempt(ip: string): void | Promise<void>;
  failed(ip: string): void;
  /** Lets those who wait go on. */
  stop(): void;
}

/** Counts failures within `pace`. */
export function failedSignIns(
  { pace, maxTracked, clock, refused }: {
    pace: Pace | undefined;
    maxTracked: number;
    clock: () => Clock | undefined;
    refused: () => void;
  },
): FailedSignIns {
  const failures = new RecentMap<number>(maxTracked);
  const waiting = new Set<() => void>();

  function wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = (clock() ?? systemClock).after(ms, done);
      waiting.add(stop);
      function done() {
        waiting.delete(stop);
        resolve();
      }
      function stop() {
        cancel();
        done();
      }
    });
  }

  return {
    attempt(ip) {
      if (pace === undefined) return;
      const now = (clock() ?? systemClock).now();
      const fullAt = failures.get(subnetOf(ip)) ?? 0;
      const next = spend(pace, fullAt, 1, now);
      if (next < 0) {
        refused();
        throw new RateLimitError("Too many failed sign-ins", -next);
      }
      const beyond = Math.ceil(spent(pace, fullAt, now) - pace.limit * FREE_SHARE);
      if (beyond > 0) return wait(Math.min(beyond * DELAY_STEP_MS, MAX_DELAY_MS));
    },
    failed(ip) {
      if (pace === undefined) return;
      const key = subnetOf(ip);
      const next = spend(pace, failures.get(key) ?? 0, 1, (clock() ?? systemClock).now());
      if (next > 0) failures.set(key, next);
    },
    stop() {
      for (const stop of waiting) stop();
    },
  };
}
