/**
 * Time, as a value: tests move it by hand.
 *
 * @module
 */

/** Tells the time and calls back later. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `run` once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
  /** Calls `run` every `ms`; the returned function ends it. */
  every(ms: number, run: () => void): () => void;
}

/** The real time. */
export const systemClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
};

/** A clock whose callbacks may fail: what they throw, which would end the process, goes to `failed`. */
export function guardedClock(clock: Clock, failed: (error: unknown) => void): Clock {
  const guarded = (run: () => unknown) => () => {
    try {
      const returned = run();
      if (returned instanceof Promise) returned.catch(failed);
    } catch (error) {
      failed(error);
    }
  };
  return {
    now: () => clock.now(),
    after: (ms, run) => clock.after(ms, guarded(run)),
    every: (ms, run) => clock.every(ms, guarded(run)),
  };
}

/** Waits until `work` is done or has failed, but no longer than `ms`; tells whether that was in time. */
export async function settlesWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  let cancel = () => {};
  const late = new Promise<false>((resolve) => cancel = clock.after(ms, () => resolve(false)));
  const settled = work.then(() => true, () => true);
  try {
    return await Promise.race([settled, late]);
  } finally {
    cancel();
  }
}
