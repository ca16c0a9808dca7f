/**
 * The change feed: reports which rows a transaction changed, with SQLite's session extension.
 *
 * A session is opened for a watched table right before the first statement that may write to it, and read right before
 * the commit. So tables that nobody watches cost nothing.
 *
 * @module
 */

import type { DatabaseSync, Session, StatementSync } from "node:sqlite";
import type { Log } from "../../core/mod.ts";
import { lowerName } from "../shared/sql_text.ts";
import { catalog } from "./catalog.ts";
import { recordedRows } from "./change_rows.ts";
import type { ChangeListener, Changes, TableChange, TableInfo, Watch } from "./sql_types.ts";
import { watches } from "./watches.ts";

/** What the feed needs. */
export interface ChangeFeedParts {
  readonly native: DatabaseSync;
  readonly log: Log;
  /** Called when prepared statements must be prepared again. */
  readonly outdated: () => void;
}

/** The change feed of one database. Transactions call it. */
export interface ChangeFeed {
  watch(listener: ChangeListener, wanted: Iterable<string> | "all"): Watch;
  /** Returns a table as it is now. */
  table(name: string): TableInfo | undefined;
  /**
   * Prepares a statement while a session is open, if there is a watch. When it prepares a `DELETE` without `WHERE`,
   * SQLite decides whether it may clear the table at once, without reporting the rows to sessions.
   */
  hooked<T>(prepare: () => T): T;
  /** Identifies the current transaction. */
  readonly commit: object;
  /** Call when a transaction has begun. Nobody else can write then, so it checks whether another process has written. */
  begun(): void;
  /** Call before a statement that may write to these tables. */
  writing(writes: ReadonlySet<string>): void;
  /** Call after a statement that changed the schema or dropped tables, and when that was undone. */
  defined(drops?: ReadonlySet<string>): void;
  /** Returns what the transaction has changed; call right before the commit. */
  collect(): Changes | undefined;
  /** Call when the transaction was rolled back. */
  discard(): void;
  /** Passes what was collected to the listeners; call right after the commit. */
  publish(changes: Changes | undefined): void;
  /** Reports writes of another process; call outside of transactions. */
  checkOutside(): void;
}

/** Opens the feed. */
export function changeFeed({ native, log, outdated }: ChangeFeedParts): ChangeFeed {
  const tables = catalog(native);
  const watching = watches(log, added);
  /** Tables written to in this transaction. Without a session the rows are not known. */
  const touched = new Map<string, Session | undefined>();
  /** Tables dropped in this transaction, even if that was undone. */
  const dropped = new Set<string>();
  let schemaChanged = false;
  let outside = false;
  let commit = {};
  const versions = {
    data: numberReader(native, "PRAGMA data_version"),
    schema: numberReader(native, "PRAGMA schema_version"),
  };
  const anyTable = native.prepare("SELECT 1 FROM sqlite_schema LIMIT 1");
  let seen = { data: versions.data(), schema: versions.schema() };

  /** A table, or all, got its first watch. */
  function added(table: string | undefined): void {
    outdated(); // SQLite may have prepared statements again while there was no session, see hooked
    if (!native.isTransaction) return;
    // What this transaction changed before is unknown.
    if (table === undefined) outside = true;
    else if (!touched.has(table)) touched.set(table, undefined);
  }

  function openSession(name: string): Session | undefined {
    const table = tables.get(name);
    return table?.recordable() ? native.createSession({ table: table.info.name }) : undefined;
  }

  function changeOf(name: string, session: Session | undefined): TableChange | undefined {
    const table = tables.get(name);
    const known = session !== undefined && !schemaChanged && table?.recordable() === true;
    const rows = known ? recordedRows(session, table) : undefined;
    if (rows?.length === 0) return undefined;
    const { name: declared, stored, primaryKey } = table?.info ?? { name, stored: [], primaryKey: [] };
    return { table: declared, columns: stored, primaryKey, rows };
  }

  function discard(): void {
    for (const session of touched.values()) session?.close();
    touched.clear();
    dropped.clear();
    if (schemaChanged) forgetSchema();
    schemaChanged = false;
  }

  function forgetSchema(): void {
    tables.clear();
    outdated();
    anyTable.get(); // makes SQLite read the changed schema; preparing a statement would not
    seen.schema = versions.schema();
  }

  /** Notes whether other processes have written since the last call; `true` if they changed the schema. */
  function noteOutside(): boolean {
    const data = versions.data();
    if (data === seen.data) return false;
    seen = { ...seen, data };
    outside = true;
    if (versions.schema() === seen.schema) return false;
    forgetSchema();
    return true;
  }

  function publish(changes: Changes | undefined): void {
    if (changes === undefined) return;
    outside = false;
    watching.publish(changes);
  }

  return {
    watch(listener, wanted) {
      // Nothing checked for other processes before. Their writes are old, but may have changed the schema.
      if (watching.none) {
        forgetSchema();
        seen.data = versions.data();
        outside = false;
      }
      const watch = watching.add(listener, wanted === "all");
      if (wanted !== "all") { for (const table of wanted) watch.add(table); }
      return watch;
    },
    table(name) {
      if (watching.none) noteOutside(); // with a watch, it is checked all the time
      return tables.get(lowerName(name))?.info;
    },
    hooked(prepare) {
      if (watching.none) return prepare();
      const session = native.createSession({ table: "plugboard_none" });
      try {
        return prepare();
      } finally {
        session.close();
      }
    },
    get commit() {
      return commit;
    },
    begun() {
      commit = {};
      if (!watching.none && noteOutside()) schemaChanged = true;
    },
    writing(writes) {
      if (watching.none) return;
      for (const name of writes) {
        if (watching.includes(name) && !touched.has(name)) touched.set(name, openSession(name));
      }
    },
    defined(drops = new Set()) {
      for (const name of drops) dropped.add(name);
      schemaChanged = true;
      forgetSchema();
    },
    collect() {
      const changed = new Map<string, TableChange>();
      for (const [name, session] of touched) {
        const change = changeOf(name, session);
        if (change !== undefined) changed.set(name, change);
      }
      const changes = { tables: changed, schema: schemaChanged, dropped: new Set(dropped), outside, commit };
      discard();
      return changed.size > 0 || changes.schema || outside ? changes : undefined;
    },
    discard,
    publish,
    checkOutside() {
      if (watching.none) return;
      const schema = noteOutside();
      if (outside) publish({ tables: new Map(), schema, dropped: new Set(), outside, commit: {} });
    },
  };
}

/** The part of `node:sqlite` that the runtime's types lack. */
type ReturningArrays = StatementSync & { setReturnArrays(enabled: boolean): void };

/** Returns a function that reads one number. It runs before every transaction, so it makes no object for each row. */
export function numberReader(native: DatabaseSync, sql: string): () => number {
  const statement = native.prepare(sql) as ReturningArrays;
  statement.setReturnArrays(true);
  return () => (statement.get() as unknown as [number])[0];
}
