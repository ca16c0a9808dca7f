import type { KeyValueStore } from "../shared/key_value_store.ts";
import type { IsolatedOptions, IsolatedReads } from "./isolated/types.ts";
import type {
  ChangeListener,
  Inspection,
  Migration,
  Params,
  Reader,
  Sync,
  TableInfo,
  Transaction,
  Watch,
  WriteResult,
} from "./sql_types.ts";

/** Limits of one namespace of {@linkcode KeyValues}. */
export interface KeyValueOptions {
  /** Maximum entries. @default {100000} */
  maxEntries?: number;
  /** Maximum bytes of one value as it is stored. @default {1048576} */
  maxValueBytes?: number;
  /** Maximum bytes of all keys and values. @default {268435456} */
  maxBytes?: number;
}

/** One stored entry. */
export interface Entry<T> {
  /** Its key. */
  readonly key: string;
  /** Its value. */
  readonly value: T;
  /** When it expires, in milliseconds since 1970. */
  readonly expiresAt: number | undefined;
}

/** Which entries to list. */
export interface ListOptions {
  /** Only keys with this prefix. */
  prefix?: string;
  /** Only keys after this one: the last key of the previous page. */
  after?: string;
  /** Maximum entries. @default {100} */
  limit?: number;
}

/** How to store a value. */
export interface SetOptions {
  /** When it expires, in milliseconds from now. @default {never} */
  readonly ttlMs?: number;
  /**
   * Whose share of the namespace it takes. When the namespace is full, entries with an owner are removed: of the owner
   * who has most bytes, those that expire first. A key keeps its first owner. @default {nobody's: it is not removed}
   */
  readonly owner?: string;
}

/** Entries within a transaction of the caller's. */
export interface KeyValueTransaction<T> {
  /** Returns the value, unless it has expired. */
  get(key: string): T | undefined;
  /** Stores a value. */
  set(key: string, value: T, options?: SetOptions): void;
  /** Removes a key; `false` if it did not exist. */
  delete(key: string): boolean;
}

/** Keys and values of one namespace. Values are bytes, or anything that JSON can express. */
export interface KeyValues<T> extends KeyValueStore<T> {
  /** Returns the value, unless it has expired. */
  get(key: string): T | undefined;
  /** Returns entries in the order of their keys. */
  list(options?: ListOptions): Entry<T>[];
  /** Yields all entries. */
  load(): Iterable<readonly [key: string, value: T]>;
  /** The number of entries, including expired ones that are not removed yet. */
  readonly size: number;
  /** Stores a value. */
  set(key: string, value: T, options?: SetOptions): Promise<void>;
  /** Removes a key. */
  delete(key: string): Promise<void>;
  /** Returns the same entries within a transaction, to change them together with other data. */
  within(tx: Transaction): KeyValueTransaction<T>;
}

/**
 * The database. A read sees every write that was acknowledged before it. All errors are `PlugboardError`s;
 * `code` is one of
 * - `disk_full`, `read_only`, `disk_error`, `corrupt`, `database_locked`, `cannot_open`: the file cannot be written or
 *   read now;
 * - `file_moved`, `file_overwritten`, `lock_lost`: another program interfered with the file, and it is not written any
 *   more;
 * - `constraint`, `bad_sql`, `bad_parameter`, `too_many_rows`: the statement or its data is wrong;
 * - `not_a_read`, `refused_sql`, `async_write`, `transaction_over`, `transaction_lost`: it is used wrongly;
 * - `overloaded`, `not_started`, `stopped`: it is not available now.
 */
export interface Store extends Reader {
  /** The database file; `:memory:` without a file. */
  readonly path: string;
  /**
   * Runs `fn` in a transaction, and resolves with its value when that is as durable as configured. Writes of one turn of
   * the event loop share a transaction, and writes that wait for the disk share a flush. They take effect and resolve in
   * the order of the calls. If `fn` throws, only its own writes are undone. `fn` may run twice when another write of the
   * same transaction fails, so apart from its writes it must have no side effects.
   *
   * If it rejects with `disk_error` because the disk failed to flush, or with `file_moved`, `file_overwritten` or
   * `lock_lost`, its changes may be in the file: they were committed, but it is not certain that they will survive.
   */
  write<T>(fn: (tx: Transaction) => Sync<T>): Promise<T>;
  /** Runs one statement as a write of its own. */
  run(sql: string, params?: Params): Promise<WriteResult>;
  /** Runs a script as a write of its own. */
  exec(script: string): Promise<void>;
  /** Returns what a reading statement reads; refuses any other. */
  inspect(sql: string): Inspection;
  /** Returns a table by its name in any case; `undefined` for views and unknown names. */
  table(name: string): TableInfo | undefined;
  /**
   * Runs the migrations of `owner` that the file has not seen, each one completely or not at all. A migration is
   * identified by its index: append new ones, change none. Fails with `newer_schema` if the file has seen more.
   */
  migrate(owner: string, migrations: readonly Migration[]): Promise<void>;
  /** Calls `listener` after changes of these tables, or of all. It costs nothing while there is no watch. */
  watch(listener: ChangeListener, tables: Iterable<string> | "all"): Watch;
  /** Returns the keys and values of a namespace; may be called before the start. */
  keyValues<T = unknown>(namespace: string, options?: KeyValueOptions): KeyValues<T>;
  /** Returns reads that can be stopped, for SQL that is slow or not trusted; may be called before the start. */
  isolated(options?: IsolatedOptions): IsolatedReads;
  /** Writes a copy of the current state to `path`, replacing an older copy, without blocking reads and writes. */
  backup(path: string): Promise<void>;
  /** Whether a function given to `write` is running: reads see data that is not committed. */
  readonly inTransaction: boolean;
  /** What is wrong with the file, as a sentence; `undefined` if nothing is. */
  readonly problem: string | undefined;
}
