/**
 * The change feed: tells which rows a transaction changed, with SQLite's session extension.
 *
 * A session is opened for a table somebody watches, right before the first statement that may write to it, and read
 * right before the commit. So nobody watching costs nothing, and unwatched tables cost nothing ever.
 *
 * @module
 */

import type { DatabaseSync, Session } from "node:sqlite";
import type { Log } from "../../core/mod.ts";
import { type ChangeRecord, parseChangeset, type RecordedChange } from "./changeset.ts";
import { narrowed } from "./statements.ts";
import { type Shape, tables } from "./tables.ts";
import type {
  ChangeListener,
  Changes,
  Row,
  RowChange,
  TableChange,
  TableInfo,
  Value,
  Watch,
} from "./types.ts";

/** Changesets beyond this are not read: it would take longer than looking at the tables anew. */
const MAX_CHANGESET_BYTES = 16 * 1024 * 1024;

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
  /** A transaction has begun: nobody else can write now, so look whether somebody has. */
  begun(): void;
  /** A statement is about to write to these tables. */
  writing(writes: ReadonlySet<string>): void;
  /** A statement has changed the schema, or that was undone. */
  defined(): void;
  /** What the transaction has changed; called right before the commit. */
  collect(): Changes | undefined;
  /** The transaction was rolled back. */
  discard(): void;
  /** Tells what was collected; called right after the commit. */
  tell(changes: Changes | undefined): void;
  /** Looks whether another process has written, and tells; called outside of transactions. */
  lookOutside(): void;
}

interface Listening {
  readonly listener: ChangeListener;
  readonly tables: Set<string> | "all";
}

/** Opens the feed. */
export function changeFeed({ native, log, outdated }: ChangeFeedParts): ChangeFeed {
  const shapes = tables(native);
  const listening = new Set<Listening>();
  /** How many watch each table, and all. */
  const counts = new Map<string, number>();
  let watchers = 0;
  let watchingAll = 0;
  /** Tables written to in this transaction; without a session nobody knows which rows. */
  const touched = new Map<string, Session | undefined>();
  let schemaChanged = false;
  let outside = false;
  const versions = {
    data: native.prepare("PRAGMA data_version"),
    schema: native.prepare("PRAGMA schema_version"),
  };
  const anyTable = native.prepare("SELECT 1 FROM sqlite_schema LIMIT 1");
  const versionOf = (kind: keyof typeof versions) => Object.values(versions[kind].get()!)[0];
  let seen = { data: versionOf("data"), schema: versionOf("schema") };

  function add(name: string): void {
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    if (count > 0 || watchingAll > 0) return;
    outdated(); // SQLite may have prepared some anew while there was no session, see hooked
    // What this transaction did to it before is unknown.
    if (native.isTransaction && !touched.has(name)) touched.set(name, undefined);
  }

  function remove(name: string): void {
    const count = counts.get(name)!;
    if (count > 1) counts.set(name, count - 1);
    else counts.delete(name);
  }

  function openSession(name: string): Session | undefined {
    const shape = shapes.get(name);
    return shape?.recordable() ? native.createSession({ table: shape.info.name }) : undefined;
  }

  function changeOf(name: string, session: Session | undefined): TableChange | undefined {
    const shape = shapes.get(name);
    const known = session !== undefined && !schemaChanged && shape?.recordable() === true;
    const rows = known ? rowsOf(session, shape) : undefined;
    if (rows?.length === 0) return undefined;
    const { info } = shape ?? { info: { name, primaryKey: [] } };
    return { table: info.name, columns: shape?.columns ?? [], primaryKey: info.primaryKey, rows };
  }

  function discard(): void {
    for (const session of touched.values()) session?.close();
    touched.clear();
    if (schemaChanged) forgetSchema();
    schemaChanged = false;
  }

  function forgetSchema(): void {
    shapes.clear();
    outdated();
    anyTable.get(); // preparing does not look whether the schema is still the same, running does
    seen.schema = versionOf("schema");
  }

  /** Notes what other processes did since the last time. */
  function noteOutside(): boolean {
    const data = versionOf("data");
    if (data === seen.data) return false;
    seen = { ...seen, data };
    outside = true;
    if (versionOf("schema") === seen.schema) return false;
    forgetSchema();
    return true;
  }

  function tell(changes: Changes | undefined): void {
    if (changes === undefined) return;
    outside = false;
    for (const { listener, tables } of [...listening]) {
      const its = tables === "all" ? changes : { ...changes, tables: among(changes.tables, tables) };
      if (its.tables.size === 0 && !its.schema && !its.outside) continue;
      try {
        listener(its);
      } catch (error) {
        log.error("A listener to changes failed", { error });
      }
    }
  }

  return {
    watch(listener, wanted) {
      const entry: Listening = { listener, tables: wanted === "all" ? "all" : new Set() };
      // Nobody looked outside before. What was written then is old, but it may have changed what statements do.
      if (watchers++ === 0) {
        forgetSchema();
        seen.data = versionOf("data");
      }
      listening.add(entry);
      if (entry.tables === "all") {
        if (watchingAll++ === 0) outdated();
        if (native.isTransaction) outside = true; // what this one did before is unknown
      }
      const { tables } = entry;
      const watch: Watch = {
        add(table) {
          const name = table.toLowerCase();
          if (tables === "all" || tables.has(name) || !listening.has(entry)) return;
          tables.add(name);
          add(name);
        },
        delete(table) {
          if (tables !== "all" && tables.delete(table.toLowerCase())) remove(table.toLowerCase());
        },
        stop() {
          if (!listening.delete(entry)) return;
          watchers--;
          if (tables === "all") watchingAll--;
          else for (const name of tables) remove(name);
        },
        [Symbol.dispose]: () => watch.stop(),
      };
      if (wanted !== "all") { for (const table of wanted) watch.add(table); }
      return watch;
    },
    table: (name) => shapes.get(name.toLowerCase())?.info,
    hooked(prepare) {
      if (watchers === 0) return prepare();
      const session = native.createSession({ table: "plugboard_none" });
      try {
        return prepare();
      } finally {
        session.close();
      }
    },
    begun() {
      if (watchers > 0 && noteOutside()) schemaChanged = true;
    },
    writing(writes) {
      if (watchers === 0) return;
      for (const name of writes) {
        if ((watchingAll > 0 || counts.has(name)) && !touched.has(name)) touched.set(name, openSession(name));
      }
    },
    defined() {
      schemaChanged = true;
      forgetSchema();
    },
    collect() {
      const changed = new Map<string, TableChange>();
      for (const [name, session] of touched) {
        const change = changeOf(name, session);
        if (change !== undefined) changed.set(name, change);
      }
      const changes = { tables: changed, schema: schemaChanged, outside };
      discard();
      return changed.size > 0 || changes.schema || outside ? changes : undefined;
    },
    discard,
    tell,
    lookOutside() {
      if (watchers === 0) return;
      const schema = noteOutside();
      if (outside) tell({ tables: new Map(), schema, outside });
    },
  };
}

function among(changes: Changes["tables"], wanted: ReadonlySet<string>): Changes["tables"] {
  const found = new Map<string, TableChange>();
  for (const [name, change] of changes) if (wanted.has(name)) found.set(name, change);
  return found;
}

/** What a session recorded, as whole rows; nothing if that cannot be told. */
function rowsOf(session: Session, shape: Shape): RowChange[] | undefined {
  const changeset = session.changeset();
  if (changeset.length > MAX_CHANGESET_BYTES) return undefined;
  const rows: RowChange[] = [];
  for (const change of parseChangeset(changeset)) {
    const row = rowOf(change, shape);
    if (row === undefined) return undefined;
    rows.push(row);
  }
  return rows;
}

function rowOf({ type, old, new: latest }: RecordedChange, shape: Shape): RowChange | undefined {
  const { columns } = shape;
  if (type === "insert") return { type, new: named(columns, latest!) };
  if (type === "delete") return { type, old: named(columns, old!) };
  // An update has the changed columns only; the others are still in the table.
  const row = shape.row(shape.key.map((at) => old![at]!));
  if (row === undefined) return undefined;
  const after = row.map(narrowed);
  return {
    type,
    old: named(columns, after.map((value, i) => old![i] === undefined ? value : old![i])),
    new: named(columns, after),
  };
}

function named(columns: readonly string[], values: ChangeRecord): Row {
  const row: Row = {};
  for (let i = 0; i < columns.length; i++) row[columns[i]!] = values[i] as Value;
  return row;
}
