/**
 * A map with at most `max` entries, for keys of which clients can make many. When one half is full, it drops the
 * entries that were not written since the last time. It needs no order and no clock.
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

  /** Number of entries; some count twice. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
