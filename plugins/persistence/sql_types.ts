/**
 * SQL as persistence offers it, as types: values, statements, transactions, tables and changes.
 *
 * @module
 */

/**
 * What SQLite stores. Numbers are bound as `node:sqlite` binds them: a column declared INTEGER keeps an integer,
 * a column without a type keeps a REAL. Integers beyond 2^53 are returned as `bigint`, all others as `number`.
 * Text with a NUL character or a lone surrogate is refused, since SQLite would not return it unchanged.
 */
export type Value = null | number | bigint | string | Uint8Array;

/** Parameters of a statement: by position (`?`), or by name (`:name`) with or without the colon. */
export type Params = readonly Value[] | Readonly<Record<string, Value>>;

/** One row, by column name. */
export type Row = Record<string, Value>;

/** Anything except a promise: a transaction cannot wait. */
export type Sync<T> = T extends PromiseLike<unknown> ? never : T;

/** Limits of one read. */
export interface ReadOptions {
  /** A read with more rows fails with `too_many_rows` instead of filling the memory. @default {Infinity} */
  maxRows?: number;
  /**
   * Reads all rows before it counts them, in about half of the time. For queries that have few rows, since a read of too many
   * fills the memory before it fails. @default {false}
   */
  atOnce?: boolean;
  /** Returns all integers as `bigint`, not only those beyond 2^53, which is faster. @default {false} */
  bigints?: boolean;
}

/** The result of a writing statement. */
export interface WriteResult {
  /** Rows inserted, updated or deleted by the statement itself, not by its triggers. */
  readonly changes: number;
  /** The rowid of the last inserted row. */
  readonly lastId: number | bigint;
}

/** Reads. Prepared statements are cached. The row type is the caller's claim and not checked. */
export interface Reader {
  /** Returns all rows. */
  all<R extends object = Row>(sql: string, params?: Params, options?: ReadOptions): R[];
  /** Returns the first row. */
  get<R extends object = Row>(sql: string, params?: Params): R | undefined;
}

/** The argument of a function given to {@linkcode Store.write}. It cannot be used after that function has returned. */
export interface Transaction extends Reader {
  /** Runs one statement. */
  run(sql: string, params?: Params): WriteResult;
  /**
   * Inserts a row, with a value for each column. It takes half of the time of a statement, since rows that several writes
   * append are inserted together: before a statement that uses the table, or before the commit.
   */
  append(table: string, row: readonly Value[]): void;
  /** Runs a script: any number of statements without parameters, including definitions of tables. */
  exec(script: string): void;
  /** Runs `fn`. If it throws, undoes what it wrote and throws the error on. */
  savepoint<T>(fn: () => Sync<T>): T;
  /**
   * Calls `forget` once with `true`, and from now on with `false` when what was noted outside of the database may be wrong:
   * this write or another was undone, or another process has written. Call it before what was noted is used.
   */
  onInvalid(forget: (first: boolean) => void): void;
  /** Identifies the commit that will contain this write; {@linkcode Changes} has the same object. */
  readonly commit: object;
}

/** One step of a schema: a script, or a function for what SQL alone cannot do. */
export type Migration = string | ((tx: Transaction) => void);

/** What is known about a statement without running it. Names of tables and columns in `reads` are in lower case. */
export interface Inspection {
  /** The columns of its rows. */
  readonly columns: readonly ColumnOrigin[];
  /**
   * The tables it reads, with the columns; also through views and subqueries. A table without columns is read only for
   * its number of rows, as in `count(*)`.
   */
  readonly reads: ReadonlyMap<string, ReadonlySet<string>>;
  /** The tables that it reads through a view or a common table expression. */
  readonly viaView: ReadonlySet<string>;
  /** The SQL functions it calls, in lower case. */
  readonly functions: ReadonlySet<string>;
  /** Whether it has a recursive part, which may run forever. */
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

/** A table. Names are as they were declared. */
export interface TableInfo {
  /** Its name. */
  readonly name: string;
  /** Whether it is a virtual table. */
  readonly virtual: boolean;
  /** The module of a virtual table, in lower case; `null` for others. Empty if its content is in another table. */
  readonly module: string | null;
  /** Whether it is a part of a virtual table, written by its module. */
  readonly shadow: boolean;
  /** Its columns, including generated ones. */
  readonly columns: readonly string[];
  /** The columns that it stores: all except generated ones. */
  readonly stored: readonly string[];
  /** The columns of its primary key; empty without one. */
  readonly primaryKey: readonly string[];
}

/** What one transaction changed, as a {@linkcode Watch} sees it. */
export interface Changes {
  /** The watched tables that it changed, by their names in lower case. */
  readonly tables: ReadonlyMap<string, TableChange>;
  /** Whether tables, columns, indexes or triggers have changed. */
  readonly schema: boolean;
  /** Tables that it dropped, by their names in lower case. They may exist again, or the drop may be undone. */
  readonly dropped: ReadonlySet<string>;
  /** Whether another process wrote to the file: then anything may have changed. */
  readonly outside: boolean;
  /** The commit, as its transactions identify it. */
  readonly commit: object;
}

/** What one transaction changed in one table. */
export interface TableChange {
  /** The table's name as it was declared. */
  readonly table: string;
  /** The columns of the rows: all except generated ones. */
  readonly columns: readonly string[];
  /** The columns of its primary key. */
  readonly primaryKey: readonly string[];
  /**
   * The net effect, each row once. `undefined` if the rows are not known: the table has no primary key, or one
   * with NULLs or its own collation; it is virtual; its definition changed in the same transaction; or the
   * changes are larger than 16 MiB.
   */
  readonly rows: readonly RowChange[] | undefined;
}

/**
 * One changed row with all its columns. A changed primary key is a deletion and an insertion. `changed` lists the columns
 * that SQLite considers changed: it distinguishes 1 and 1.0, which are the same number here.
 */
export type RowChange =
  | { readonly type: "insert"; readonly new: Row }
  | { readonly type: "update"; readonly old: Row; readonly new: Row; readonly changed: readonly string[] }
  | { readonly type: "delete"; readonly old: Row };

/**
 * Called after each commit that changed a watched table, before the writes resolve and before the next commit. What it
 * reads is the state right after the change.
 */
export type ChangeListener = (changes: Changes) => void | undefined;

/** A listener's subscription. */
export interface Watch extends Disposable {
  /** Watches one more table. */
  add(table: string): void;
  /** Stops watching a table. */
  delete(table: string): void;
  /** Ends the subscription. */
  stop(): void;
}
