/**
 * Watches: who wants to know of changes to which tables.
 *
 * @module
 */

import type { Log } from "../../core/mod.ts";
import type { ChangeListener, Changes, Watch } from "./types.ts";

/** All watches of one database. Tables go by their names in lower case. */
export interface Watches {
  /** Whether there is none. */
  readonly none: boolean;
  /** Whether somebody watches the table. */
  includes(table: string): boolean;
  /** Adds a watch without tables, or of all. */
  add(listener: ChangeListener, tables: "none" | "all"): Watch;
  /** Tells everybody what concerns them. */
  tell(changes: Changes): void;
}

interface Entry {
  readonly listener: ChangeListener;
  readonly tables: Set<string> | "all";
}

/** Nobody watches so far; `begins` is told of each table, and of `"all"`, when the first one does. */
export function watches(log: Log, begins: (what: string) => void): Watches {
  const entries = new Set<Entry>();
  /** How many watch each table; `"all"` is one of them. */
  const counts = new Map<string, number>();

  function count(what: string): void {
    const before = counts.get(what) ?? 0;
    counts.set(what, before + 1);
    if (before === 0) begins(what);
  }

  function discount(what: string): void {
    const left = counts.get(what)! - 1;
    if (left > 0) counts.set(what, left);
    else counts.delete(what);
  }

  function tellOne({ listener, tables }: Entry, changes: Changes): void {
    const its = tables === "all" ? changes : { ...changes, tables: among(changes.tables, tables) };
    if (its.tables.size === 0 && !its.schema && !its.outside) return;
    try {
      listener(its);
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
    tell(changes) {
      // One listener may end another's watch, or begin one.
      for (const entry of [...entries]) if (entries.has(entry)) tellOne(entry, changes);
    },
  };
}

/** Stands for all tables; no table can be called so, since names are in lower case. */
export const ALL = "ALL";

function among(changes: Changes["tables"], wanted: ReadonlySet<string>): Changes["tables"] {
  return new Map([...changes].filter(([name]) => wanted.has(name)));
}
