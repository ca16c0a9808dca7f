/** How long a test waits for something that should happen at once. */
export const DEADLINE_MS = 10_000;

/** The promise's value, or an error that names what did not happen in time. */
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

/** Lets the event loop turn until `holds`; for states that no event announces. */
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

/** Lets the event loop turn once: what was sent in this turn has left, and what had arrived was handled. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Values that arrive one by one and are taken one by one. */
export class Inbox<T> {
  #values: T[] = [];
  #takers: { resolve: (value: T) => void; reject: (error: Error) => void }[] = [];
  #ended: Error | undefined;

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker.resolve(value);
  }

  /** Nothing more will come; those who wait are told. */
  end(error: Error): void {
    this.#ended = error;
    for (const { reject } of this.#takers.splice(0)) reject(error);
  }

  next(what = "a message", ms?: number): Promise<T> {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift()!);
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return within(what, new Promise<T>((resolve, reject) => this.#takers.push({ resolve, reject })), ms);
  }

  /** All that has arrived and was not taken. */
  take(): T[] {
    return this.#values.splice(0);
  }

  get size(): number {
    return this.#values.length;
  }
}
