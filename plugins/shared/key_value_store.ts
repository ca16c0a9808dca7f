/**
 * The interface of a small store that plugins take to keep values across restarts.
 *
 * @module
 */

import type { MaybePromise } from "../../core/mod.ts";

/** Values by key. A namespace of persistence is one: `store.keyValues<string>("name")`. */
export interface KeyValueStore<T = string> {
  /** Returns all entries. */
  load(): MaybePromise<Iterable<readonly [key: string, value: T]>>;
  /** Stores a value, replacing an older one. When it settles, the value survives a restart. */
  set(key: string, value: T): MaybePromise<void>;
  /** Removes a value. */
  delete(key: string): MaybePromise<void>;
  /** Calls back with what other nodes have stored or, without a value, removed. Returns the function that ends it. */
  watch?(changed: (key: string, value: T | undefined) => void): () => void;
}
