import { type Figures, figuresOf } from "./figures.ts";

/** Number of samples to keep. */
const MAX_SAMPLES = 600;

/** Totals at a point in time. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly totals: Readonly<Record<string, number>>;
}

/** The totals of the last ten minutes in steps of a second, for rates and charts. */
export class History {
  /** The oldest first. */
  readonly samples: Sample[] = [];
  /** The figures of the seconds between the samples. */
  readonly figures: Figures[] = [];
  #buckets: readonly number[] = [];

  /** Adds a sample. Returns the figures since the last one; absent for the first. */
  add(sample: Sample, lagMs: number, buckets: readonly number[]): Figures | undefined {
    const last = this.samples.at(-1);
    const latencies = buckets.map((each, i) => each - (this.#buckets[i] ?? 0));
    this.#buckets = buckets;
    if (this.samples.push(sample) > MAX_SAMPLES) this.samples.shift();
    if (last === undefined) return;
    const figures = figuresOf(last, sample, { lagMs, latencies });
    if (this.figures.push(figures) > MAX_SAMPLES) this.figures.shift();
    return figures;
  }

  /** Returns the growth of each total per second, over the last `seconds` or as many as there are. */
  rates(seconds: number): Record<string, number> {
    const samples = this.samples.slice(-seconds - 1);
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined || first === last) return {};
    const elapsed = (last.time - first.time) / 1000;
    const rate = ([name, total]: [string, number]) =>
      [name, (total - (first.totals[name] ?? 0)) / elapsed] as const;
    return Object.fromEntries(Object.entries(last.totals).map(rate));
  }
}
