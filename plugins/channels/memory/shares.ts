import type { Log } from "./log.ts";

/** Histories that one user has begun, or the server. */
export interface Owner {
  /** The user's id, empty for all anonymous clients together; absent for the server. */
  readonly user: string | undefined;
  /** The histories, the longest unused first. */
  readonly logs: Set<Log>;
  /** The size of all of them. */
  size: number;
}

/** Who uses how much memory, to decide whose histories are removed: those of the users who have most. */
export class Shares {
  readonly #server: Owner = { user: undefined, logs: new Set(), size: 0 };
  readonly #users = new Map<string, Owner>();

  /** Assigns a log without an owner. */
  assign(log: Log, user: string | undefined): void {
    const owner = user === undefined
      ? this.#server
      : this.#users.getOrInsertComputed(user, () => ({ user, logs: new Set(), size: 0 }));
    owner.logs.add(log);
    owner.size += log.size;
    log.owner = owner;
  }

  /** Removes a log from its owner. */
  release(log: Log): void {
    const { owner } = log;
    if (owner === undefined) return;
    owner.logs.delete(log);
    owner.size -= log.size;
    if (owner.user !== undefined && owner.logs.size === 0) this.#users.delete(owner.user);
    log.owner = undefined;
  }

  /**
   * Lists logs in the order in which to remove them: of each user who has more than half of what the largest has, the
   * longest unused, until only that half is left. The logs of the server come last. The caller removes each at once.
   */
  *largest(): Iterable<Log> {
    while (this.#users.size > 0) {
      const users = [...this.#users.values()];
      const half = users.reduce((most, { size }) => Math.max(most, size), 0) / 2;
      for (const user of users) {
        for (const log of user.logs) {
          if (user.size <= half) break;
          yield log;
        }
      }
    }
    yield* this.#server.logs;
  }
}
