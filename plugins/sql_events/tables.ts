/**
 * Detects which tables a commit created, altered or dropped.
 *
 * @module
 */

import { OWN_TABLES } from "../shared/own_tables.ts";
import type { Changes, Reader, Store, Transaction } from "../persistence.ts";
import type { SqlEventType, TableEventData } from "./types.ts";

/** A table's event. */
type TableEventType = Extract<SqlEventType, `table:${string}`>;

/** Follows the tables of a database. */
export interface Tables {
  /** Runs `run`, which may define tables, in a transaction. Their events will name the user. */
  defining<T>(tx: Transaction, user: string, run: () => T): T;
  /** Forgets what a user defined; call it when the transaction is over. */
  forget(user: string): void;
  stop(): void;
}

/** The SQL of each table with its indexes and triggers. */
type Definitions = ReadonlyMap<string, string>;

/** Reports all tables except the server's own, views and temporary tables. */
export function tables(
  store: Pick<Store, "all" | "watch">,
  report: (type: TableEventType, data: Omit<TableEventData, "timestamp">) => void,
): Tables {
  let known = definitions(store);
  /** Who defined which table in the current transaction. */
  const users = new Map<string, string>();

  function changed({ schema, dropped }: Changes): void {
    if (!schema) return;
    const before = known;
    known = definitions(store);
    for (const [type, names] of differences(before, known, dropped)) {
      for (const tableName of names) {
        const userId = users.get(tableName);
        report(type, { tableName, ...(userId !== undefined && { userId }) });
      }
    }
  }

  const watch = store.watch(changed, []);
  return {
    defining(tx, user, run) {
      if (user === "") return run();
      const before = definitions(tx);
      const result = run();
      for (const [, names] of differences(before, definitions(tx))) {
        for (const name of names) users.set(name, user);
      }
      return result;
    },
    forget(user) {
      for (const [name, of] of users) if (of === user) users.delete(name);
    },
    stop: () => watch.stop(),
  };
}

/** Compares definitions. A table that was dropped and created again counts as modified. */
function differences(
  before: Definitions,
  after: Definitions,
  dropped: ReadonlySet<string> = new Set(),
): [TableEventType, string[]][] {
  const stayed = [...after.keys()].filter((name) => before.has(name));
  const differs = (name: string) => before.get(name) !== after.get(name) || dropped.has(name.toLowerCase());
  return [
    ["table:dropped", [...before.keys()].filter((name) => !after.has(name))],
    ["table:modified", stayed.filter(differs)],
    ["table:created", [...after.keys()].filter((name) => !before.has(name))],
  ];
}

function definitions(reader: Pick<Reader, "all">): Definitions {
  const found = new Map<string, string>();
  const names = reader.all<{ name: string }>(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')",
  );
  for (const { name } of names) if (!OWN_TABLES.test(name)) found.set(name, "");
  const parts = reader.all<{ tbl_name: string; sql: string | null }>(
    "SELECT tbl_name, sql FROM sqlite_schema WHERE type <> 'view' ORDER BY type, name",
  );
  for (const { tbl_name: name, sql } of parts) {
    const before = found.get(name);
    if (before !== undefined) found.set(name, `${before}${sql}\n`);
  }
  return found;
}
