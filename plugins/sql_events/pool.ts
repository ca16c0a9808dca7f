/**
 * The pool: executors that wait for the next query, since starting one takes tens of milliseconds.
 *
 * @module
 */

import type { Clock } from "../../core/mod.ts";
import type { Executor } from "./executor.ts";

/** Executors, each used by one query at a time. */
export interface Pool {
  /** One that waits, or a new one. */
  take(): Executor;
  /** Gives one back. */
  give(executor: Executor): void;
  /** Ends all, in use or not. */
  end(): Promise<void>;
}

/** How long an executor waits for the next query. */
const IDLE_MS = 30_000;

/** Makes executors as they are needed. */
export function pool(make: () => Executor, clock: Clock): Pool {
  const all = new Set<Executor>();
  /** Those that wait, with what ends the waiting. */
  const idle = new Map<Executor, () => void>();

  async function release(executor: Executor): Promise<void> {
    idle.get(executor)?.();
    idle.delete(executor);
    await executor.end();
    all.delete(executor);
  }

  return {
    take() {
      for (const [executor, cancel] of idle) {
        cancel();
        idle.delete(executor);
        if (executor.usable) return executor;
        release(executor); // it broke while it waited
      }
      const executor = make();
      all.add(executor);
      return executor;
    },
    give(executor) {
      if (executor.usable) idle.set(executor, clock.after(IDLE_MS, () => void release(executor)));
      else release(executor);
    },
    end: async () => void await Promise.all([...all].map(release)),
  };
}
