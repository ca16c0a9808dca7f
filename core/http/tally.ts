/** Counts what is in progress, and reports when nothing is. */
export class Tally {
  #count = 0;
  #waiting: (() => void)[] = [];

  /** How many are in progress. */
  get count(): number {
    return this.#count;
  }

  /** Adds one. */
  add(): void {
    this.#count++;
  }

  /** Removes one. */
  remove(): void {
    if (--this.#count === 0) { for (const resolve of this.#waiting.splice(0)) resolve(); }
  }

  /** Resolves when the count is zero. */
  async empty(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
