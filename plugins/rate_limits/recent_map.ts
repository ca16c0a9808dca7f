/**
 * A map that forgets.
 *
 * @module
 */

/**
 * A map with a bound, for what strangers can make many of. When it is half full, what was not written since the
 * last time is forgotten: no order to keep, no clock, and never more than `max` entries.
 */
export class RecentMap<Value> {
  readonly #half: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  constructor(max: number) {
    this.#half = Math.ceil(max / 2);
  }

  get(key: string): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  /** Entries held, some of them twice. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
