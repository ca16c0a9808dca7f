import type { DatabaseSync } from "node:sqlite";
import { PlugboardError } from "../../core/mod.ts";
import { type Appends, insertion } from "./appends.ts";
import type { ChangeFeed } from "./change_feed.ts";
import type { Params, ReadOptions, Sync, Transaction, Value, WriteResult } from "./sql_types.ts";
import type { Statement, Statements } from "./statements.ts";

/** What the writes of one database share. */
export interface TransactionParts {
  readonly native: DatabaseSync;
  readonly statements: Statements;
  readonly feed: ChangeFeed;
  readonly appends: Appends;
  readonly sql: Readonly<Record<"save" | "release" | "undo", { run(): unknown }>>;
  /** Whether the current transaction changed the schema, even if that was undone. */
  definedSchema: boolean;
  /** Called when what was noted outside of the database may be wrong. */
  readonly invalid: Set<(first: boolean) => void>;
}

/** Calls all of them. */
export function invalidate({ invalid }: Pick<TransactionParts, "invalid">): void {
  for (const forget of invalid) forget(false);
}

/**
 * The part of a transaction that one write uses. With `saving`, it sets a savepoint before its first change. With
 * `gathering`, the rows that it appends are inserted later, together with those of others.
 */
export class Handle implements Transaction {
  readonly #parts: TransactionParts;
  readonly #saving: boolean;
  #gathering: boolean;
  #saved = false;
  wrote = false;
  over = false;

  constructor(parts: TransactionParts, saving: boolean, gathering: boolean) {
    this.#parts = parts;
    this.#saving = saving;
    this.#gathering = gathering;
  }

  get commit(): object {
    return this.#parts.feed.commit;
  }

  all<R extends object>(sql: string, params?: Params, options?: ReadOptions): R[] {
    return this.#use(this.#get(sql), (statement) => statement.all<R>(params, options));
  }

  get<R extends object>(sql: string, params?: Params): R | undefined {
    return this.#use(this.#get(sql), (statement) => statement.get<R>(params));
  }

  run(sql: string, params?: Params): WriteResult {
    return this.#use(this.#get(sql), (statement) => statement.run(params));
  }

  append(table: string, row: readonly Value[]): void {
    if (!this.#gathering) return void this.run(insertion(table, row), row);
    this.#check();
    this.#parts.appends.add(table, row);
    this.wrote = true;
  }

  exec(script: string): void {
    this.#check();
    for (const statement of this.#parts.statements.script(script)) {
      this.#use(statement, () => statement.run());
    }
  }

  savepoint<T>(fn: () => Sync<T>): T {
    this.#check();
    this.#beforeWrite();
    const { sql, appends } = this.#parts;
    appends.flush();
    this.#gathering = false; // What the savepoint undoes must be in the table.
    sql.save.run();
    try {
      const value = synchronous(fn());
      this.#check();
      sql.release.run();
      return value as T;
    } catch (thrown) {
      this.#undo();
      throw thrown;
    }
  }

  onInvalid(forget: (first: boolean) => void): void {
    const { invalid } = this.#parts;
    if (invalid.has(forget)) return;
    invalid.add(forget);
    forget(true); // What it has noted was of another file, or of this file before it was opened again.
  }

  /** Keeps what it wrote, if the transaction commits. */
  keep(): void {
    this.#check();
    if (this.#saved) this.#parts.sql.release.run();
  }

  /** Undoes what it wrote. Without a savepoint, the whole transaction must be rolled back. */
  undo(): void {
    if (this.#saved) this.#undo();
  }

  #undo(): void {
    const { native, sql, feed, definedSchema } = this.#parts;
    if (!native.isTransaction) return;
    sql.undo.run();
    sql.release.run();
    if (definedSchema) feed.defined();
    invalidate(this.#parts);
  }

  #get(sql: string): Statement {
    this.#check();
    return this.#parts.statements.get(sql);
  }

  #use<T>(statement: Statement, use: (statement: Statement) => T): T {
    const { readOnly, writes, definesSchema, drops } = statement.facts;
    this.#parts.appends.before(statement.facts);
    if (readOnly) return use(statement);
    this.#beforeWrite();
    this.#parts.feed.writing(writes);
    try {
      return use(statement);
    } finally {
      if (definesSchema) {
        this.#parts.definedSchema = true;
        this.#parts.feed.defined(drops);
      }
    }
  }

  #beforeWrite(): void {
    this.wrote = true;
    if (!this.#saving || this.#saved) return;
    this.#parts.sql.save.run();
    this.#saved = true;
  }

  /** Outside of the transaction, a statement would commit by itself. */
  #check(): void {
    if (this.over) {
      const sentence = "The transaction is over: it ends when the function returns";
      throw new PlugboardError("transaction_over", sentence);
    }
    if (!this.#parts.native.isTransaction) {
      const sentence = "The transaction was rolled back by an earlier failure";
      throw new PlugboardError("transaction_lost", sentence);
    }
  }
}

/** Refuses promises at run time too, for callers without types. */
export function synchronous<T>(value: T): T {
  const then = (value as { then?: unknown } | null | undefined)?.then;
  if (typeof then !== "function") return value;
  Promise.resolve(value).catch(() => {});
  const sentence = "A function given to write cannot be async: a transaction does not wait";
  throw new PlugboardError("async_write", sentence);
}
