/** Items that become due, in steps of a second. */
export class Schedule<Item extends object> {
  readonly #bySecond = new Map<number, Set<Item>>();
  readonly #secondOf = new Map<Item, number>();

  /** Makes an item due at a time in milliseconds, instead of earlier or later. */
  set(item: Item, atMs: number): void {
    this.delete(item);
    const second = Math.ceil(atMs / 1_000);
    this.#secondOf.set(item, second);
    this.#bySecond.getOrInsertComputed(second, () => new Set()).add(item);
  }

  delete(item: Item): void {
    const second = this.#secondOf.get(item);
    if (second === undefined) return;
    this.#secondOf.delete(item);
    const items = this.#bySecond.get(second)!;
    items.delete(item);
    if (items.size === 0) this.#bySecond.delete(second);
  }

  /** Removes and returns the items that are due. */
  take(nowMs: number): Item[] {
    const due: Item[] = [];
    for (const [second, items] of this.#bySecond) {
      if (second * 1_000 > nowMs) continue;
      this.#bySecond.delete(second);
      for (const item of items) {
        this.#secondOf.delete(item);
        due.push(item);
      }
    }
    return due;
  }
}
