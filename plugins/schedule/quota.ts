/**
 * How much is scheduled: in total and for each user.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** The limits. */
export interface QuotaOptions {
  readonly maxPublications: number;
  readonly maxPerUser: number;
  readonly maxBytes: number;
}

/** The part of `maxBytes` that one user may have. */
const USER_PART = 0.1;

interface Total {
  entries: number;
  size: number;
}

/** Counts what is scheduled. */
export class Quota {
  readonly #options: QuotaOptions;
  readonly #all: Total = { entries: 0, size: 0 };
  readonly #users = new Map<string, Total>();

  constructor(options: QuotaOptions) {
    this.#options = options;
  }

  /** The number of scheduled publications. */
  get entries(): number {
    return this.#all.entries;
  }

  /** Counts what is there already. */
  add(owner: string | null, size: number, entries = 1): void {
    this.#all.entries += entries;
    this.#all.size += size;
    if (owner === null) return;
    const user = this.#users.getOrInsertComputed(owner, () => ({ entries: 0, size: 0 }));
    user.entries += entries;
    user.size += size;
  }

  /** Counts one more; throws `limit_exceeded` if there are too many. */
  reserve(owner: string | null, size: number): void {
    const { maxPublications, maxPerUser, maxBytes } = this.#options;
    const user = owner === null ? undefined : this.#users.get(owner);
    if ((user?.entries ?? 0) >= maxPerUser) {
      refuse(`More than ${maxPerUser} publications of one user are scheduled`);
    }
    if (owner !== null && (user?.size ?? 0) + size > maxBytes * USER_PART) {
      refuse(`The scheduled publications of one user take more than ${maxBytes * USER_PART} bytes`);
    }
    if (this.#all.entries >= maxPublications) {
      refuse(`More than ${maxPublications} publications are scheduled`);
    }
    if (this.#all.size + size > maxBytes) {
      refuse(`The scheduled publications take more than ${maxBytes} bytes`);
    }
    this.add(owner, size);
  }

  /** Counts one less. */
  release(owner: string | null, size: number): void {
    this.add(owner, -size, -1);
    if (owner !== null && this.#users.get(owner)!.entries === 0) this.#users.delete(owner);
  }
}

function refuse(sentence: string): never {
  throw new PlugboardError("limit_exceeded", sentence);
}
