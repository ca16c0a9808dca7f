/** Two seconds in microseconds, the maximum that is recorded. */
const BUCKETS = 2_000_000;

/** A histogram of latencies with a resolution of a microsecond. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  record(micros: number): void {
    const bucket = micros < 0 ? 0 : micros >= BUCKETS ? BUCKETS - 1 : micros | 0;
    this.#counts[bucket]!++;
    this.#total++;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  /** Returns the latency at this percentile; 0 without values. */
  percentile(share: number): number {
    let left = this.#total * share;
    if (left === 0) return 0;
    for (let micros = 0; micros < BUCKETS; micros++) {
      left -= this.#counts[micros]!;
      if (left <= 0) return micros;
    }
    return BUCKETS;
  }
}
