/**
 * Shares of a bounded memory: who uses how much of it, and whose items are removed when it is full.
 *
 * @module
 */

/** Something that takes memory. */
export interface Owned<Item> {
  /** The memory that it takes. */
  readonly size: number;
  /** Whose it is; absent while it does not count. */
  owner: Owner<Item> | undefined;
}

/** The items of one user, or of the server. */
export interface Owner<Item> {
  /** The user's id, empty for all anonymous clients together; absent for the server. */
  readonly user: string | undefined;
  /** The items, the longest unused first. */
  readonly items: Set<Item>;
  /** The size of all of them. */
  size: number;
}

/** Who uses how much memory, to decide whose items are removed: those of the users who have most. */
export class Shares<Item extends Owned<Item>> {
  readonly #server: Owner<Item> = { user: undefined, items: new Set(), size: 0 };
  readonly #users = new Map<string, Owner<Item>>();

  /** Assigns an item without an owner. */
  assign(item: Item, user: string | undefined): void {
    const owner = user === undefined
      ? this.#server
      : this.#users.getOrInsertComputed(user, () => ({ user, items: new Set(), size: 0 }));
    owner.items.add(item);
    owner.size += item.size;
    item.owner = owner;
  }

  /** Removes an item from its owner. */
  release(item: Item): void {
    const { owner } = item;
    if (owner === undefined) return;
    owner.items.delete(item);
    owner.size -= item.size;
    if (owner.user !== undefined && owner.items.size === 0) this.#users.delete(owner.user);
    item.owner = undefined;
  }

  /**
   * Lists items in the order in which to remove them: of each user who has more than half of what the largest has, the
   * longest unused, until only that half is left. The items of the server come last. The caller removes each at once.
   */
  *largest(): Iterable<Item> {
    while (this.#users.size > 0) {
      const users = [...this.#users.values()];
      const half = users.reduce((most, { size }) => Math.max(most, size), 0) / 2;
      for (const user of users) {
        for (const item of user.items) {
          if (user.size <= half) break;
          yield item;
        }
      }
    }
    yield* this.#server.items;
  }
}
