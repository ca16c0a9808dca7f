/** A timer that fires within this time has fired when it was due. */
const ON_TIME_MS = 3;

/** A busy server reads now and then by itself. */
const MAX_TIMERS = 5;

/**
 * Calls back when the event loop has read from sockets; for work in slices. Returns the function that cancels it.
 *
 * The runtime reads when it has nothing else to do. (Else it reads only at every 61st turn, which can take a second.)
 * Between two calls of `setImmediate`, or before a timer that is overdue, it has. So this waits for a timer that fires
 * when it is due.
 *
 * ```ts
 * import { afterReading } from "@plugboard/server";
 *
 * function work(slices: (() => void)[]): void {
 *   slices.shift()?.();
 *   if (slices.length > 0) afterReading(() => work(slices));
 * }
 * ```
 */
export function afterReading(callback: () => void): () => void {
  let timers = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    const setAt = performance.now();
    timer = setTimeout(() => {
      const late = performance.now() - setAt > ON_TIME_MS;
      if (late && ++timers < MAX_TIMERS) wait();
      else callback();
    }, 0);
  };
  wait();
  return () => clearTimeout(timer);
}
