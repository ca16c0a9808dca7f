/**
 * Counting what is under way.
 *
 * @module
 */

/** A count that tells when it is back at zero. */
export class Tally {
  #count = 0;
  #waiting: (() => void)[] = [];

  /** How many are under way. */
  get count(): number {
    return this.#count;
  }

  /** One more. */
  add(): void {
    this.#count++;
  }

  /** One less. */
  remove(): void {
    if (--this.#count === 0) { for (const resolve of this.#waiting.splice(0)) resolve(); }
  }

  /** Resolves when nothing is under way. */
  async empty(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
