/**
 * The last ten minutes in steps of a second, for rates and charts.
 *
 * @module
 */

/** Seconds that are kept. */
const SECONDS = 600;

/** Totals at a moment. */
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
    this.#next = (this.#next + 1) % SECONDS;
  }

  /** The samples, the oldest first. */
  all(): Sample[] {
    return [...this.#samples.slice(this.#next), ...this.#samples.slice(0, this.#next)];
  }

  /** How much each total grew per second, over the latest `seconds` or as many as there are. */
  rates(seconds: number): Record<string, number> {
    const samples = this.all().slice(-seconds - 1);
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined || first === last) return {};
    const elapsed = (last.time - first.time) / 1000;
    return Object.fromEntries(
      Object.entries(last.totals).map((
        [name, total],
      ) => [name, (total - (first.totals[name] ?? 0)) / elapsed]),
    );
  }
}
