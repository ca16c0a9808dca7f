/**
 * What persistence offers, as types.
 *
 * @module
 */

import type { KeyValueStore } from "../shared/key_value_store.ts";
import type { IsolatedOptions, IsolatedReads } from "./isolated/types.ts";

/**
 * What SQLite stores. Numbers are bound as `node:sqlite` binds them: a column declared INTEGER keeps an integer,
 * a column without a type keeps a REAL. Integers beyond 2^53 come back as `bigint`, all others as `number`.
 * Text must not hold a NUL character or half a surrogate pair: neither would come back.
 */
export type Value = null | number | bigint | string | Uint8Array;

/** Parameters of a statement: by position (`?`), or by name (`:name`) with or without the colon. */
export type Params = readonly Value[] | Readonly<Record<string, Value>>;

/** One row, by column name. */
export type Row = Record<string, Value>;

/** Anything but a promise: a transaction cannot wait. */
export type Sync<T> = T extends PromiseLike<unknown> ? never : T;

/** Limits for one read. */
export interface ReadOptions {
  /** A read with more rows fails with `too_many_rows` instead of filling the memory. @default {Infinity} */
  maxRows?: number;
}

/** What a writing statement did. */
export interface WriteResult {
  /** Rows inserted, updated or deleted by the statement itself, not by its triggers. */
  readonly changes: number;
  /** The rowid of the last inserted row. */
  readonly lastId: number | bigint;
}

/** Reads. Statements are prepared once and kept. The row type is the caller's claim; nothing checks it. */
export interface Reader {
  /** All rows. */
  all<R extends object = Row>(sql: string, params?: Params, options?: ReadOptions): R[];
  /** The first row. */
  get<R extends object = Row>(sql: string, params?: Params): R | undefined;
}

/** What a function given to {@linkcode Store.write} works with; it is good for nothing once that has returned. */
export interface Transaction extends Reader {
  /** Runs one statement. */
  run(sql: string, params?: Params): WriteResult;
  /** Runs a script: any number of statements without parameters, definitions of tables included. */
  exec(script: string): void;
  /** Runs `fn`; when it throws, what it wrote is undone and the error goes on to the caller. */
  savepoint<T>(fn: () => Sync<T>): T;
  /** Identifies the commit that will contain this write; {@linkcode Changes} has the same object. */
  readonly commit: object;
}

/** One step of a schema: a script, or a function for what SQL alone cannot do. */
export type Migration = string | ((tx: Transaction) => void);

/** What is known of a statement without running it. Names of tables and columns in `reads` are in lower case. */
export interface Inspection {
  /** The columns of its rows, with their origin where they come straight from a table. */
  readonly columns: readonly ColumnOrigin[];
  /**
   * The tables it reads, with the columns; through views, subqueries and whatever else. Without any column only
   * the number of rows counts, as in `count(*)`.
   */
  readonly reads: ReadonlyMap<string, ReadonlySet<string>>;
  /** Those of the tables that it reads through a view or a common table expression. */
  readonly viaView: ReadonlySet<string>;
  /** The SQL functions it calls, in lower case. */
  readonly functions: ReadonlySet<string>;
  /** Whether it has a recursive part, which may never end. */
  readonly recursive: boolean;
}

/** A column of a result. */
export interface ColumnOrigin {
  /** Its name in the result. */
  readonly name: string;
  /** The table it comes from, or `null` for an expression. */
  readonly table: string | null;
  /** Its name there. */
  readonly column: string | null;
}

/** A table as it was declared. */
export interface TableInfo {
  /** Its name. */
  readonly name: string;
  /** Its columns, generated ones included. */
  readonly columns: readonly string[];
  /** Those of its primary key; none where it was declared without. */
  readonly primaryKey: readonly string[];
}

/** What one transaction changed, as a {@linkcode Watch} sees it. */
export interface Changes {
  /** The watched tables that it changed, by their names in lower case. */
  readonly tables: ReadonlyMap<string, TableChange>;
  /** Tables, columns, indexes or triggers have changed. */
  readonly schema: boolean;
  /** Tables that it dropped, by their names in lower case; they may have been created anew, or the drop undone. */
  readonly dropped: ReadonlySet<string>;
  /** Another process wrote to the file: anything may have changed. */
  readonly outside: boolean;
  /** The commit, as its transactions name it. */
  readonly commit: object;
}

/** What one transaction changed in one table. */
export interface TableChange {
  /** The table's name as it was declared. */
  readonly table: string;
  /** The columns that the rows have: all but generated ones. */
  readonly columns: readonly string[];
  /** The columns of its primary key. */
  readonly primaryKey: readonly string[];
  /**
   * The net effect, each row once. `undefined` where the rows cannot be told: the table has no primary key, or one
   * with NULLs or its own collation; it is virtual; its definition changed in the same transaction; or the
   * changes are larger than 16 MiB.
   */
  readonly rows: readonly RowChange[] | undefined;
}

/**
 * One changed row, whole. A changed primary key is a deletion and an insertion. An update tells which columns `changed`:
 * SQLite tells 1 from 1.0, which are the same number here.
 */
export type RowChange =
  | { readonly type: "insert"; readonly new: Row }
  | { readonly type: "update"; readonly old: Row; readonly new: Row; readonly changed: readonly string[] }
  | { readonly type: "delete"; readonly old: Row };

/**
 * Told after each commit that touched a watched table, before the writes resolve and before the next commit:
 * what it reads is the state right after the change.
 */
export type ChangeListener = (changes: Changes) => void | undefined;

/** A listener's subscription. */
export interface Watch extends Disposable {
  /** Watches one more table. */
  add(table: string): void;
  /** Watches a table no longer. */
  delete(table: string): void;
  /** Ends it. */
  stop(): void;
}

/** Limits of one namespace of {@linkcode KeyValues}. */
export interface KeyValueOptions {
  /** Entries at once. @default {100000} */
  maxEntries?: number;
  /** Bytes of one value as it is stored. @default {1048576} */
  maxValueBytes?: number;
  /** Bytes of all keys and values. @default {268435456} */
  maxBytes?: number;
}

/** One stored entry. */
export interface Entry<T> {
  /** Where it is. */
  readonly key: string;
  /** What is stored there. */
  readonly value: T;
  /** When it is forgotten, in milliseconds since 1970. */
  readonly expiresAt: number | undefined;
}

/** Which entries to list. */
export interface ListOptions {
  /** Only keys that begin so. */
  prefix?: string;
  /** Only keys after this one: the last key of the page before. */
  after?: string;
  /** How many at most. @default {100} */
  limit?: number;
}

/** Entries within a transaction of the caller's. */
export interface KeyValueTransaction<T> {
  /** The value, unless it has expired. */
  get(key: string): T | undefined;
  /** Stores a value under a key; it is forgotten after `ttlMs`. */
  set(key: string, value: T, options?: { ttlMs?: number }): void;
  /** Removes a key; `false` if it was not there. */
  delete(key: string): boolean;
}

/** Keys and values of one namespace. Values are what JSON can hold, or bytes. */
export interface KeyValues<T> extends KeyValueStore<T> {
  /** The value, unless it has expired. */
  get(key: string): T | undefined;
  /** Entries in the order of their keys. */
  list(options?: ListOptions): Entry<T>[];
  /** Everything, for those who keep it in memory. */
  load(): Iterable<readonly [key: string, value: T]>;
  /** How many there are, expired ones that were not swept yet included. */
  readonly size: number;
  /** Stores a value under a key; it is forgotten after `ttlMs`. */
  set(key: string, value: T, options?: { ttlMs?: number }): Promise<void>;
  /** Removes a key. */
  delete(key: string): Promise<void>;
  /** The same within a transaction, together with whatever else it writes. */
  within(tx: Transaction): KeyValueTransaction<T>;
}

/**
 * The database. A read sees every write that was acknowledged before it. All errors are `PlugboardError`s;
 * `code` is one of
 * - `disk_full`, `read_only`, `disk_error`, `corrupt`, `database_locked`, `cannot_open`, `file_moved`: the file cannot be
 *   written or read now;
 * - `constraint`, `bad_sql`, `bad_parameter`, `too_many_rows`: the statement is wrong, or its data;
 * - `not_a_read`, `refused_sql`, `async_write`, `transaction_over`, `transaction_lost`: it is used wrongly;
 * - `overloaded`, `not_started`, `stopped`: not now.
 */
export interface Store extends Reader {
  /** The database file; `:memory:` where there is none. */
  readonly path: string;
  /**
   * Runs `fn` in a transaction and resolves with its value when that is as durable as promised. Writes of
   * one turn of the event loop share a transaction, and those that come while the disk is busy a flush; they take
   * effect and resolve in the order of the calls. If `fn` throws, its own writes are undone and no others. For that, the
   * others may be run once more: whatever `fn` does beside writing must bear being done twice.
   */
  write<T>(fn: (tx: Transaction) => Sync<T>): Promise<T>;
  /** One statement, as a write of its own. */
  run(sql: string, params?: Params): Promise<WriteResult>;
  /** A script, as a write of its own. */
  exec(script: string): Promise<void>;
  /** What a reading statement reads; refuses any other. */
  inspect(sql: string): Inspection;
  /** A table; `undefined` if there is none of this name. */
  table(name: string): TableInfo | undefined;
  /**
   * Brings the tables of `owner` up to date: runs the migrations that the file has not seen, each one whole or not
   * at all. Their order is their number: add at the end, change nothing. Fails with `newer_schema`
   * when the file has seen more than there are.
   */
  migrate(owner: string, migrations: readonly Migration[]): Promise<void>;
  /** Tells `listener` about changes of these tables, or of all. Nobody watching costs nothing. */
  watch(listener: ChangeListener, tables: Iterable<string> | "all"): Watch;
  /** Keys and values of a namespace; may be called before the start. */
  keyValues<T = unknown>(namespace: string, options?: KeyValueOptions): KeyValues<T>;
  /** Reads that can be stopped, for SQL that is slow or not trusted; may be called before the start. */
  isolated(options?: IsolatedOptions): IsolatedReads;
  /** Writes a copy of this moment to `path` while everything goes on; an older copy there is replaced. */
  backup(path: string): Promise<void>;
  /** Whether a function given to `write` is running now: what is read then is not committed. */
  readonly inTransaction: boolean;
  /** What is wrong with the file, as a sentence; `undefined` while all is well. */
  readonly problem: string | undefined;
}
