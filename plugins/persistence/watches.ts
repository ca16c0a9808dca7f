import type { Log } from "../../core/mod.ts";
import { lowerName } from "../shared/sql_text.ts";
import type { ChangeListener, Changes, Watch } from "./sql_types.ts";

/** All watches of one database. Tables have their names in lower case. */
export interface Watches {
  /** Whether there is no watch. */
  readonly none: boolean;
  /** Whether a table is watched. */
  includes(table: string): boolean;
  /** Adds a watch of no table, or of all. */
  add(listener: ChangeListener, all: boolean): Watch;
  /** Passes changes to the listeners that want them. */
  publish(changes: Changes): void;
}

interface Entry {
  readonly listener: ChangeListener;
  readonly all: boolean;
  readonly tables: Set<string>;
}

/** Makes an empty list. `added` is called when a table gets its first watch; with `undefined` for a watch of all. */
export function watches(log: Log, added: (table: string | undefined) => void): Watches {
  const entries = new Set<Entry>();

  function includes(table: string): boolean {
    for (const { all, tables } of entries) if (all || tables.has(table)) return true;
    return false;
  }

  function notify({ listener, all, tables }: Entry, changes: Changes): void {
    const wanted = [...changes.tables].filter(([name]) => all || tables.has(name));
    if (wanted.length === 0 && !changes.schema && !changes.outside) return;
    try {
      listener({ ...changes, tables: new Map(wanted) });
    } catch (error) {
      log.error("A listener to changes failed", { error });
    }
  }

  return {
    get none() {
      return entries.size === 0;
    },
    includes,
    add(listener, all) {
      const entry: Entry = { listener, all, tables: new Set() };
      entries.add(entry);
      if (all) added(undefined);
      const stop = () => void entries.delete(entry);
      return {
        add(table) {
          const name = lowerName(table);
          const first = !includes(name);
          entry.tables.add(name);
          if (first && entries.has(entry)) added(name);
        },
        delete: (table) => void entry.tables.delete(lowerName(table)),
        stop,
        [Symbol.dispose]: stop,
      };
    },
    publish(changes) {
      // A listener may end another one's watch, or add one.
      for (const entry of [...entries]) if (entries.has(entry)) notify(entry, changes);
    },
  };
}
