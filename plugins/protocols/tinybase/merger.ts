import { createMergeableStore, type MergeableStore } from "tinybase";
import { createCustomPersister, type Persister, type Persists } from "tinybase/persisters";
import { type Clock, PlugboardError } from "../../../core/mod.ts";
import { timeOf } from "./hlc.ts";
import type { Changes } from "./messages.ts";
import { inSlices } from "./slices.ts";
import type { StoredContent } from "./stored_content.ts";

/** TinyBase declares this enum for its own compiler only, so the value is repeated here. */
const MERGEABLE_ONLY: Persists.MergeableStoreOnly = 2;

type Merge = (content: undefined, changes: Changes) => unknown;

/**
 * Merges received and stored changes into a store.
 *
 * TinyBase stores accept changes in this form only through a persister, so each store has one that stores nothing. It
 * also returns what listeners throw while changes are merged. (With TinyBase's synchronizer, that would end the
 * process.)
 */
export class Merger {
  readonly store: MergeableStore;
  readonly #clock: Clock;
  readonly #persister: Persister<Persists.MergeableStoreOnly>;
  readonly #onError: (error: unknown) => void;
  #merge: Merge = () => {};
  #now: () => number;

  /** `onError` receives what is thrown during a merge. */
  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
    this.#now = () => clock.wallTime();
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
      onError,
      MERGEABLE_ONLY,
    );
  }

  /** Merges changes synchronously. */
  merge(changes: Changes): void {
    const merging = this.#merge(undefined, changes);
    if (merging instanceof Promise) merging.catch(this.#onError);
  }

  /** Merges stored content in small chunks. Throws if TinyBase refuses any of it, which it does silently. */
  async load(content: StoredContent): Promise<void> {
    await this.#persister.startAutoLoad();
    let merged = 0;
    const listener = this.store.addDidFinishTransactionListener(() => void merged++);
    // Stored content was accepted before, so it is accepted even if the clock has been set back since.
    this.#now = () => Math.max(this.#clock.wallTime(), timeOf(content.latest));
    for await (const chunk of inSlices(content.chunks())) {
      const before = merged;
      await this.#merge(undefined, chunk);
      if (merged === before) {
        throw new PlugboardError("content_refused", "TinyBase refuses the stored content");
      }
    }
    this.#now = () => this.#clock.wallTime();
    this.store.delListener(listener);
  }

  /** Releases the store. */
  async stop(): Promise<void> {
    await this.#persister.destroy();
  }
}
