import type { Changes, RowChange, Store } from "../../../plugins/persistence.ts";

/** Records the changes of a store's tables. */
export function follow(store: Store, tables: Iterable<string> | "all" = "all"): Changes[] {
  const events: Changes[] = [];
  store.watch((changes) => void events.push(changes), tables);
  return events;
}

/** Returns the rows of a table in one event, sorted: SQLite's order is that of a hash table. */
export function rows(changes: Changes | undefined, table: string): RowChange[] | undefined {
  const found = changes?.tables.get(table)?.rows;
  return found && [...found].sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
}

export const ORDERS = "CREATE TABLE Orders (id INTEGER PRIMARY KEY, Status TEXT, total REAL)";
