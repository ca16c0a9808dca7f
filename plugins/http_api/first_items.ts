/** The first items of a list in the order of their keys. It never holds more than a page. */
export class FirstItems<Item> {
  readonly #limit: number;
  /** In the order of the keys. */
  readonly #entries: { readonly key: string; readonly item: Item }[] = [];
  #more = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds an item, unless its key comes after those of a full page. */
  add(key: string, item: Item): void {
    const last = this.#entries.at(-1);
    if (this.#entries.length === this.#limit) {
      this.#more = true;
      if (last !== undefined && key >= last.key) return;
      this.#entries.pop();
    }
    this.#entries.splice(this.#indexOf(key), 0, { key, item });
  }

  get entries(): readonly { readonly key: string; readonly item: Item }[] {
    return this.#entries;
  }

  /** Whether items were left out. */
  get more(): boolean {
    return this.#more;
  }

  #indexOf(key: string): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle]!.key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
