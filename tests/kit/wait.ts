/** How long a test waits for something that should happen soon: only a failing test waits for so long. */
export const DEADLINE_MS = 30_000;

/** Returns the promise's value, or throws an error that names what did not happen in time. */
export async function within<T>(what: string, promise: Promise<T>, ms: number = DEADLINE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `holds`, for states without an event. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms: number = DEADLINE_MS,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Waits for one turn of the event loop: sent messages are flushed, and received ones are handled. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** A queue whose values can be awaited. */
export class Inbox<T> {
  #values: T[] = [];
  #takers: { resolve: (value: T) => void; reject: (error: Error) => void }[] = [];
  #ended: Error | undefined;

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker.resolve(value);
  }

  /** Rejects the pending and later calls of `next`. */
  end(error: Error): void {
    this.#ended = error;
    for (const { reject } of this.#takers.splice(0)) reject(error);
  }

  next(what = "a message", ms?: number): Promise<T> {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift()!);
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return within(what, new Promise<T>((resolve, reject) => this.#takers.push({ resolve, reject })), ms);
  }

  /** Removes and returns all values. */
  take(): T[] {
    return this.#values.splice(0);
  }

  get size(): number {
    return this.#values.length;
  }
}
