/**
 * The totals of the last ten minutes in steps of a second, for rates and charts.
 *
 * @module
 */

/** Number of samples to keep. */
const MAX_SAMPLES = 600;

/** Totals at a point in time. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly totals: Readonly<Record<string, number>>;
}

/** A ring of samples. */
export class SampleRing {
  readonly #samples: Sample[] = [];
  #next = 0;

  add(sample: Sample): void {
    this.#samples[this.#next] = sample;
    this.#next = (this.#next + 1) % MAX_SAMPLES;
  }

  /** Returns the samples, the oldest first. */
  all(): Sample[] {
    return [...this.#samples.slice(this.#next), ...this.#samples.slice(0, this.#next)];
  }

  /** Returns the growth of each total per second, over the last `seconds` or as many as there are. */
  rates(seconds: number): Record<string, number> {
    const samples = this.all().slice(-seconds - 1);
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined || first === last) return {};
    const elapsed = (last.time - first.time) / 1000;
    const rate = ([name, total]: [string, number]) =>
      [name, (total - (first.totals[name] ?? 0)) / elapsed] as const;
    return Object.fromEntries(Object.entries(last.totals).map(rate));
  }
}
