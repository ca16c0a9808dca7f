/**
 * The schema, as far as plans depend on it.
 *
 * @module
 */

import type { Store } from "../persistence.ts";

/** What live queries need of a database. */
export type LiveStore = Pick<Store, "all" | "inspect" | "watch" | "inTransaction">;

/** A base table. Names are as they were declared, and found in lower case, as SQLite compares them. */
export interface TableInfo {
  readonly name: string;
  /** Those that are stored: the value of a generated one is not among a change's. */
  readonly columns: ReadonlyMap<string, string>;
  readonly primaryKey: readonly string[];
}

/** Looks tables up, and remembers them until the schema changes. */
export class Schema {
  readonly #store: LiveStore;
  readonly #tables = new Map<string, TableInfo | undefined>();

  constructor(store: LiveStore) {
    this.#store = store;
  }

  /** The base table of a name; nothing for a view, a virtual table, or what does not exist. */
  table(name: string): TableInfo | undefined {
    const lower = name.toLowerCase();
    if (!this.#tables.has(lower)) this.#tables.set(lower, this.#read(lower));
    return this.#tables.get(lower);
  }

  /** The schema is another. */
  forget(): void {
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
