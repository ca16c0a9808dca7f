/**
 * Idempotency: a call that is repeated with the same key runs once, and gets the first result again.
 *
 * @module
 */

import { type Clock, type Connection, PlugboardError } from "../../core/mod.ts";
import { type Identity, isProven } from "./identity.ts";
import { type Owned, Shares } from "./shares.ts";

/** How a result is stored. */
export interface ResultOptions {
  /** For how long. */
  readonly ttlMs: number;
  /** In whose share of the memory: an {@linkcode ownerOf}. */
  readonly owner: string;
}

/** Stored results by idempotency key. Key-value entries within a transaction are one. */
export interface ResultStore<T> {
  /** Returns the result, unless it has expired. */
  get(key: string): T | undefined;
  /** Stores a result for a time. */
  set(key: string, result: T, options: ResultOptions): void;
  /** Removes a result. */
  delete(key: string): unknown;
}

/** A call that may be repeated. */
export interface Repeatable extends ResultOptions {
  /** The idempotency key, made unique with the owner and the operation by {@linkcode keyOf}. */
  readonly key: string;
}

/** Returns the stored result of a key. Without one, runs `work` and stores its result; a rejected promise is removed. */
export function once<T>(results: ResultStore<T>, { key, ...options }: Repeatable, work: () => T): T {
  const stored = results.get(key);
  if (stored !== undefined) return stored;
  const result = work();
  results.set(key, result, options);
  if (result instanceof Promise) result.catch(() => results.delete(key));
  return result;
}

/** The server's own keys. */
export const serverOwner = "null";

/** Returns whose keys a caller uses. Users have their own, and callers who prove no user id those of their connection. */
export function ownerOf(identity: Identity, conn: Pick<Connection, "id"> | undefined): string {
  return JSON.stringify(isProven(identity) || conn === undefined ? identity.user : [conn.id]);
}

/** Returns the key of an owner's operation, such as a method's or a channel's name. */
export function keyOf(owner: string, operation: string, key: string): string {
  return JSON.stringify([owner, operation, key]);
}

/** Throws unless it is an idempotency key. */
export function checkIdempotencyKey(key: unknown): asserts key is string {
  if (typeof key === "string" && key !== "" && key.length <= 200) return;
  throw new PlugboardError("bad_request", "An idempotency key is a string of 1 to 200 characters");
}

/** Limits of {@linkcode memoryResults}. */
export interface MemoryResultsOptions {
  /** The maximum number of results. */
  readonly maxEntries: number;
  /** The maximum size of all keys and results, in characters; a result counts as {@linkcode ENTRY_SIZE}. */
  readonly maxChars: number;
  /** The clock. */
  readonly clock: () => Clock;
  /** Measures a result. @default {0 characters} */
  readonly sizeOf?: (result: never) => number;
}

/** The memory that a result takes besides its key and its text. */
export const ENTRY_SIZE = 300;

/** Removing results goes on to this part of a limit, so that it is not repeated for each one. */
const EVICT_TO = 0.95;

/** How often expired results are removed, and how many at once. */
const SWEEP_MS = 1_000;
const SWEEP_ENTRIES = 2_000;

interface Entry<T> extends Owned<Entry<T>> {
  readonly key: string;
  readonly result: T;
  readonly expiresAt: number;
  readonly ttlMs: number;
}

/** Stores results in memory. Beyond a limit, the oldest are evicted: of the owners who have most, those of the server last. */
export function memoryResults<T>(options: MemoryResultsOptions): ResultStore<T> {
  const { maxEntries, maxChars, clock } = options;
  const sizeOf = options.sizeOf as ((result: T) => number) | undefined;
  const entries = new Map<string, Entry<T>>();
  const shares = new Shares<Entry<T>>();
  /** By their time to live, each in the order in which they expire. */
  const queues = new Map<number, Set<Entry<T>>>();
  let size = 0;
  let sweepAt = 0;

  function remove(entry: Entry<T>): void {
    entries.delete(entry.key);
    const queue = queues.get(entry.ttlMs)!;
    queue.delete(entry);
    if (queue.size === 0) queues.delete(entry.ttlMs);
    size -= entry.size;
    shares.release(entry);
  }

  function sweep(now: number): void {
    if (now < sweepAt) return;
    let left = SWEEP_ENTRIES;
    for (const queue of queues.values()) {
      for (const entry of queue) {
        if (entry.expiresAt > now || left === 0) break;
        remove(entry);
        left--;
      }
    }
    sweepAt = left === 0 ? now : now + SWEEP_MS;
  }

  function evict(): void {
    if (entries.size <= maxEntries && size <= maxChars) return;
    for (const entry of shares.largest()) {
      if (entries.size <= maxEntries * EVICT_TO && size <= maxChars * EVICT_TO) return;
      remove(entry);
    }
  }

  return {
    get(key) {
      const entry = entries.get(key);
      return entry === undefined || entry.expiresAt <= clock().monotonicTime() ? undefined : entry.result;
    },
    set(key, result, { ttlMs, owner }) {
      const now = clock().monotonicTime();
      const before = entries.get(key);
      if (before !== undefined) remove(before);
      sweep(now);
      const chars = ENTRY_SIZE + key.length + (sizeOf?.(result) ?? 0);
      const entry: Entry<T> = { key, result, expiresAt: now + ttlMs, ttlMs, size: chars, owner: undefined };
      entries.set(key, entry);
      queues.getOrInsertComputed(ttlMs, () => new Set()).add(entry);
      size += chars;
      shares.assign(entry, owner === serverOwner ? undefined : owner);
      evict();
    },
    delete(key) {
      const entry = entries.get(key);
      if (entry !== undefined) remove(entry);
    },
  };
}
