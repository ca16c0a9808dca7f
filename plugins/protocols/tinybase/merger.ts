/**
 * Merging into a store what travels, or was stored.
 *
 * TinyBase's stores take changes in this form from their persisters only, so each has one here that stores nothing:
 * it is nothing but the way in, and it gives back what is thrown on the way. (TinyBase's synchronizer does not: what
 * a listener on the store throws there would end the process.)
 *
 * @module
 */

import { createMergeableStore, type MergeableStore } from "tinybase";
import { createCustomPersister, type Persister, type Persists } from "tinybase/persisters";
import { type Clock, PlugboardError } from "../../../core/mod.ts";
import { timeOf } from "./hlc.ts";
import type { Changes } from "./messages.ts";
import { chunksOf, type Content } from "./parts.ts";

/** TinyBase's name for it is an enum that is there for its compiler only. */
const MERGEABLE_ONLY: Persists.MergeableStoreOnly = 2;

/** How long loading goes on until others get their turn. */
const TURN_MS = 10;

type Merge = (content: undefined, changes: Changes) => unknown;

/** A store and the way into it. */
export class Merger {
  readonly store: MergeableStore;
  readonly #clock: Clock;
  readonly #persister: Persister<Persists.MergeableStoreOnly>;
  readonly #failed: (error: unknown) => void;
  #merge: Merge = () => {};
  #now: () => number;

  /** `failed` is told what is thrown by merging. */
  constructor(clock: Clock, failed: (error: unknown) => void) {
    this.#clock = clock;
    this.#failed = failed;
    this.#now = () => clock.now();
    this.store = createMergeableStore(undefined, () => this.#now());
    this.#persister = createCustomPersister<number, Persists.MergeableStoreOnly>(
      this.store,
      () => Promise.resolve(undefined),
      () => Promise.resolve(),
      (listener) => {
        this.#merge = listener as Merge;
        return 1;
      },
      () => {},
      failed,
      MERGEABLE_ONLY,
    );
  }

  /** Merges changes, at once. */
  merge(changes: Changes): void {
    const merging = this.#merge(undefined, changes);
    if (merging instanceof Promise) merging.catch(this.#failed);
  }

  /**
   * Merges stored content, bit by bit, so that others get their turn. Throws if any of it is refused by TinyBase,
   * which does that without a word.
   */
  async load({ changes, latest }: Pick<Content, "changes" | "latest">): Promise<void> {
    await this.#persister.startAutoLoad();
    let merged = 0;
    const listener = this.store.addDidFinishTransactionListener(() => void merged++);
    // What was taken once is taken again, even if the clock has been set back since.
    this.#now = () => Math.max(this.#clock.now(), timeOf(latest));
    let turnEnds = 0;
    for (const chunk of chunksOf(changes)) {
      if (performance.now() >= turnEnds) {
        // Not `setImmediate`: between two of those the runtime hardly looks for input.
        await new Promise<void>((resolve) => setTimeout(resolve, 0));
        turnEnds = performance.now() + TURN_MS;
      }
      const before = merged;
      await this.#merge(undefined, chunk);
      if (merged === before) {
        throw new PlugboardError("content_refused", "TinyBase does not take the stored content");
      }
    }
    this.#now = () => this.#clock.now();
    this.store.delListener(listener);
  }

  /** Releases the store. */
  async stop(): Promise<void> {
    await this.#persister.destroy();
  }
}
