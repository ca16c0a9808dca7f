/** Two seconds in microseconds; what takes longer counts as that. */
const BUCKETS = 2_000_000;

/** Latencies, to the microsecond; recording one is a single addition. */
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

  /** The latency that this share of all did not exceed; 0 when nothing was recorded. */
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
