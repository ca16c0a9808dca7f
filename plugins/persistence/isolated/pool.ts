import type { Clock } from "../../../core/mod.ts";
import type { Executor } from "./executor.ts";

/** Executors; each runs one read at a time. */
export interface Pool {
  /** Returns an idle executor, or a new one. */
  take(): Executor;
  /** Returns an executor to the pool. */
  give(executor: Executor): void;
  /** Ends all, in use or not. */
  end(): Promise<void>;
}

/** How long an idle executor is kept. */
const IDLE_MS = 30_000;

/** Makes executors on demand. */
export function pool(make: () => Executor, clock: () => Clock): Pool {
  const all = new Set<Executor>();
  /** Idle executors, with the function that cancels their timeout. */
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
        release(executor); // it failed while idle
      }
      const executor = make();
      all.add(executor);
      return executor;
    },
    give(executor) {
      if (executor.usable) idle.set(executor, clock().after(IDLE_MS, () => void release(executor)));
      else release(executor);
    },
    end: async () => void await Promise.all([...all].map(release)),
  };
}
