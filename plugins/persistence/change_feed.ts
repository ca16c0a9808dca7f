/**
 * The change feed: tells which rows a transaction changed, with SQLite's session extension.
 *
 * A session is opened for a table somebody watches, right before the first statement that may write to it, and read
 * right before the commit. So nobody watching costs nothing, and unwatched tables cost nothing ever.
 *
 * @module
 */

import type { DatabaseSync, Session, StatementSync } from "node:sqlite";
import type { Log } from "../../core/mod.ts";
import { recordedRows } from "./change_rows.ts";
import { tables } from "./tables.ts";
import type { ChangeListener, Changes, TableChange, TableInfo, Watch } from "./types.ts";
import { ALL, watches } from "./watches.ts";

/** What the feed needs. */
export interface ChangeFeedParts {
  readonly native: DatabaseSync;
  readonly log: Log;
  /** What is known of prepared statements may be wrong, so they must be prepared anew. */
  readonly outdated: () => void;
}

/** The change feed of one database; transactions call it. */
export interface ChangeFeed {
  watch(listener: ChangeListener, wanted: Iterable<string> | "all"): Watch;
  /** A table as it is now. */
  table(name: string): TableInfo | undefined;
  /**
   * Prepares a statement while a session is open, if anybody watches: SQLite decides when it prepares whether
   * a `DELETE` without `WHERE` may empty the table at a stroke, past any session.
   */
  hooked<T>(prepare: () => T): T;
  /** Identifies the current transaction. */
  readonly commit: object;
  /** A transaction has begun: nobody else can write now, so look whether somebody has. */
  begun(): void;
  /** A statement is about to write to these tables. */
  writing(writes: ReadonlySet<string>): void;
  /** A statement has changed the schema, and dropped tables perhaps; or that was undone. */
  defined(drops?: ReadonlySet<string>): void;
  /** What the transaction has changed; called right before the commit. */
  collect(): Changes | undefined;
  /** The transaction was rolled back. */
  discard(): void;
  /** Tells what was collected; called right after the commit. */
  tell(changes: Changes | undefined): void;
  /** Looks whether another process has written, and tells; called outside of transactions. */
  lookOutside(): void;
}

/** Opens the feed. */
export function changeFeed({ native, log, outdated }: ChangeFeedParts): ChangeFeed {
  const shapes = tables(native);
  const watching = watches(log, begins);
  /** Tables written to in this transaction; without a session nobody knows which rows. */
  const touched = new Map<string, Session | undefined>();
  /** Tables dropped in this transaction, be it undone since. */
  const dropped = new Set<string>();
  let schemaChanged = false;
  let outside = false;
  let commit = {};
  const versions = {
    data: numberIn(native, "PRAGMA data_version"),
    schema: numberIn(native, "PRAGMA schema_version"),
  };
  const anyTable = native.prepare("SELECT 1 FROM sqlite_schema LIMIT 1");
  let seen = { data: versions.data(), schema: versions.schema() };

  /** A table, or all, were not watched until now. */
  function begins(what: string): void {
    outdated(); // SQLite may have prepared some anew while there was no session, see hooked
    if (!native.isTransaction) return;
    // What this transaction did before is unknown.
    if (what === ALL) outside = true;
    else if (!touched.has(what)) touched.set(what, undefined);
  }

  function openSession(name: string): Session | undefined {
    const shape = shapes.get(name);
    return shape?.recordable() ? native.createSession({ table: shape.info.name }) : undefined;
  }

  function changeOf(name: string, session: Session | undefined): TableChange | undefined {
    const shape = shapes.get(name);
    const known = session !== undefined && !schemaChanged && shape?.recordable() === true;
    const rows = known ? recordedRows(session, shape) : undefined;
    if (rows?.length === 0) return undefined;
    const { info } = shape ?? { info: { name, primaryKey: [] } };
    return { table: info.name, columns: shape?.columns ?? [], primaryKey: info.primaryKey, rows };
  }

  function discard(): void {
    for (const session of touched.values()) session?.close();
    touched.clear();
    dropped.clear();
    if (schemaChanged) forgetSchema();
    schemaChanged = false;
  }

  function forgetSchema(): void {
    shapes.clear();
    outdated();
    anyTable.get(); // preparing does not look whether the schema is still the same, running does
    seen.schema = versions.schema();
  }

  /** Notes what other processes did since the last time. */
  function noteOutside(): boolean {
    const data = versions.data();
    if (data === seen.data) return false;
    seen = { ...seen, data };
    outside = true;
    if (versions.schema() === seen.schema) return false;
    forgetSchema();
    return true;
  }

  function tell(changes: Changes | undefined): void {
    if (changes === undefined) return;
    outside = false;
    watching.tell(changes);
  }

  return {
    watch(listener, wanted) {
      // Nobody looked outside before. What was written then is old, but it may have changed what statements do.
      if (watching.none) {
        forgetSchema();
        seen.data = versions.data();
        outside = false;
      }
      const watch = watching.add(listener, wanted === "all" ? "all" : "none");
      if (wanted !== "all") { for (const table of wanted) watch.add(table); }
      return watch;
    },
    table(name) {
      if (watching.none) noteOutside(); // otherwise it is done all the time
      return shapes.get(name.toLowerCase())?.info;
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
    tell,
    lookOutside() {
      if (watching.none) return;
      const schema = noteOutside();
      if (outside) tell({ tables: new Map(), schema, dropped: new Set(), outside, commit: {} });
    },
  };
}

/** The part of `node:sqlite` that its types in this runtime do not know yet. */
type ReturningArrays = StatementSync & { setReturnArrays(enabled: boolean): void };

/** Reads one number. It is asked for before every transaction, so no object is made of each answer. */
function numberIn(native: DatabaseSync, sql: string): () => number {
  const statement = native.prepare(sql) as ReturningArrays;
  statement.setReturnArrays(true);
  return () => (statement.get() as unknown as [number])[0];
}
