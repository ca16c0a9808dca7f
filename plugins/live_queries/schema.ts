/**
 * The database schema, as far as plans depend on it.
 *
 * @module
 */

import type { Store } from "../persistence.ts";

/** The part of the store that live queries use. */
export type LiveStore = Pick<Store, "all" | "inspect" | "watch" | "inTransaction">;

/** A base table. Names are as declared; lookups are by lower case. */
export interface TableInfo {
  readonly name: string;
  /** Stored columns by lower-case name. Changes do not contain the values of generated ones. */
  readonly columns: ReadonlyMap<string, string>;
  readonly primaryKey: readonly string[];
}

/** Caches tables until the schema changes. */
export class Schema {
  readonly #store: LiveStore;
  readonly #tables = new Map<string, TableInfo | undefined>();

  constructor(store: LiveStore) {
    this.#store = store;
  }

  /** Returns a base table; `undefined` for a view, a virtual table and an unknown name. */
  table(name: string): TableInfo | undefined {
    const lower = name.toLowerCase();
    if (!this.#tables.has(lower)) this.#tables.set(lower, this.#read(lower));
    return this.#tables.get(lower);
  }

  /** Clears the cache after a schema change. */
  clear(): void {
    this.#tables.clear();
  }

  #read(lower: string): TableInfo | undefined {
    const [table] = this.#store.all<{ name: string }>(
      "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND lower(name) = ?",
      [lower],
    );
    if (table === undefined) return;
    const columns = this.#store.all<{ name: string; pk: number }>(
      "SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden = 0",
      [table.name],
    );
    const key = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
    return {
      name: table.name,
      columns: new Map(columns.map((column) => [column.name.toLowerCase(), column.name])),
      primaryKey: key.map((column) => column.name),
    };
  }
}
