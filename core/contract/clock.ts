/**
 * Time as a value, which tests control.
 *
 * @module
 */

/** Returns the time and calls back later. */
export interface Clock {
  /** Milliseconds since 1970, for display and for stored times. The system may set it forward or back. */
  wallTime(): number;
  /** Milliseconds since any moment, for durations and timeouts. It only goes forward. */
  monotonicTime(): number;
  /** Calls `run` after `ms`. Returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
  /** Calls `run` every `ms`. Returns a function that cancels it. */
  every(ms: number, run: () => void): () => void;
}

/** The system time. */
export const systemClock: Clock = {
  wallTime: Date.now,
  monotonicTime: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
};

/** A clock that passes errors of its callbacks to `failed`. Otherwise they would end the process. */
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
    wallTime: () => clock.wallTime(),
    monotonicTime: () => clock.monotonicTime(),
    after: (ms, run) => clock.after(ms, guarded(run)),
    every: (ms, run) => clock.every(ms, guarded(run)),
  };
}
