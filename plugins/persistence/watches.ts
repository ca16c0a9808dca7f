/**
 * Watches: which listeners want changes of which tables.
 *
 * @module
 */

import type { Log } from "../../core/mod.ts";
import type { ChangeListener, Changes, Watch } from "./sql_types.ts";

/** All watches of one database. Tables have their names in lower case. */
export interface Watches {
  /** Whether there is no watch. */
  readonly none: boolean;
  /** Whether a table is watched. */
  includes(table: string): boolean;
  /** Adds a watch of no table, or of all. */
  add(listener: ChangeListener, tables: "none" | "all"): Watch;
  /** Passes changes to the listeners that want them. */
  publish(changes: Changes): void;
}

/** Stands for all tables. No table has this name, since names are in lower case. */
export const ALL = "ALL";

interface Entry {
  readonly listener: ChangeListener;
  readonly tables: Set<string> | "all";
}

/** Makes an empty list. `added` is called with each table, or with {@linkcode ALL}, that gets its first watch. */
export function watches(log: Log, added: (what: string) => void): Watches {
  const entries = new Set<Entry>();
  /** The number of watches of each table, and of {@linkcode ALL}. */
  const counts = new Map<string, number>();

  function count(what: string): void {
    const before = counts.get(what) ?? 0;
    counts.set(what, before + 1);
    if (before === 0) added(what);
  }

  function discount(what: string): void {
    const left = counts.get(what)! - 1;
    if (left > 0) counts.set(what, left);
    else counts.delete(what);
  }

  function notify({ listener, tables }: Entry, changes: Changes): void {
    const wanted = tables === "all" ? changes : { ...changes, tables: among(changes.tables, tables) };
    if (wanted.tables.size === 0 && !wanted.schema && !wanted.outside) return;
    try {
      listener(wanted);
    } catch (error) {
      log.error("A listener to changes failed", { error });
    }
  }

  return {
    get none() {
      return entries.size === 0;
    },
    includes: (table) => counts.has(ALL) || counts.has(table),
    add(listener, what) {
      const tables = what === "all" ? "all" : new Set<string>();
      const entry: Entry = { listener, tables };
      entries.add(entry);
      if (tables === "all") count(ALL);
      const watch: Watch = {
        add(table) {
          const name = table.toLowerCase();
          if (tables === "all" || tables.has(name) || !entries.has(entry)) return;
          tables.add(name);
          count(name);
        },
        delete(table) {
          const name = table.toLowerCase();
          if (tables !== "all" && entries.has(entry) && tables.delete(name)) discount(name);
        },
        stop() {
          if (!entries.delete(entry)) return;
          for (const name of tables === "all" ? [ALL] : tables) discount(name);
        },
        [Symbol.dispose]: () => watch.stop(),
      };
      return watch;
    },
    publish(changes) {
      // A listener may end another one's watch, or add one.
      for (const entry of [...entries]) if (entries.has(entry)) notify(entry, changes);
    },
  };
}

function among(changes: Changes["tables"], wanted: ReadonlySet<string>): Changes["tables"] {
  return new Map([...changes].filter(([name]) => wanted.has(name)));
}
