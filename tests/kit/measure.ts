/** How often a measurement is repeated. */
const TRIES = 10;

/** Returns the least value of several tries, or the first below `enough`: other programs on the machine can only make it greater. */
export async function least(enough: number, measure: () => number | Promise<number>): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < TRIES && best >= enough; i++) best = Math.min(best, await measure());
  return best;
}

/** Returns the processor time of this thread in milliseconds that `work` takes; the system counts it in steps of some milliseconds. */
export function cpuMs(work: () => void): number {
  const before = busyMs();
  work();
  return busyMs() - before;
}

/** What {@linkcode slowdown} measures, on the machine for which the tests' bounds were chosen. */
const REFERENCE_MS = 4;

/** Returns how much slower this machine is now than the one for which the tests' bounds were chosen; at least 1. */
export function slowdown(): number {
  let best = Infinity;
  for (let i = 0; i < TRIES; i++) {
    const begun = performance.now();
    const texts = Array.from({ length: 10_000 }, (_, n) => `${n * 7919 % 10_007}`);
    JSON.parse(JSON.stringify(texts.sort()));
    best = Math.min(best, performance.now() - begun);
  }
  return Math.max(1, best / REFERENCE_MS);
}

/**
 * Returns the longest time in milliseconds for which `work` held the event loop: of several tries the best one, unless an
 * earlier one was below `enough`. Where the system tells it, time in which another program had the processor is left out.
 */
export function longestHold(enough: number, work: () => Promise<unknown>): Promise<number> {
  return least(enough, () => holdDuring(work));
}

async function holdDuring(work: () => Promise<unknown>): Promise<number> {
  const holds = new Holds();
  let running = true;
  const watch = () => {
    holds.turn();
    if (running) setImmediate(watch);
  };
  setImmediate(watch);
  await work();
  running = false;
  await new Promise((resolve) => setImmediate(resolve));
  return holds.take();
}

/** The longest time between two turns of the event loop. Call `turn` in as many of them as possible. */
export class Holds {
  #longest = 0;
  #wall: number = performance.now();
  #busy: number = busyMs();

  turn(): void {
    const [now, busyNow] = [performance.now(), busyMs()];
    this.#longest = Math.max(this.#longest, Math.min(now - this.#wall, busyNow - this.#busy));
    [this.#wall, this.#busy] = [now, busyNow];
  }

  /** Returns it, in milliseconds, and begins again. */
  take(): number {
    const longest = this.#longest;
    this.#longest = 0;
    return longest;
  }
}

/** The time in milliseconds for which this thread had a processor; the time of day where it is not known. */
export function busyMs(): number {
  try {
    return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1e6;
  } catch {
    return performance.now();
  }
}
