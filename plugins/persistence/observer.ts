/**
 * The observer: what statements do, learned from SQLite's authorizer while it prepares them.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { PlugboardError } from "../../core/mod.ts";
import type { Inspection } from "./types.ts";

/**
 * What a statement does; triggers, cascades and subqueries are included. Names are in lower case, and among the
 * tables that are read are the views.
 */
export interface Facts extends Omit<Inspection, "columns"> {
  /** Tables it may write to. */
  readonly writes: ReadonlySet<string>;
  /** Whether it changes tables, indexes, views or triggers. */
  readonly definesSchema: boolean;
  /** The tables it drops. */
  readonly drops: ReadonlySet<string>;
  /** Whether it only reads. */
  readonly readOnly: boolean;
}

/** Watches one database's statements being prepared. */
export interface Observer {
  /** Runs `prepare`, which prepares one statement; refuses what would get between the store and its file. */
  observe<T>(prepare: () => T): { result: T; facts: Facts };
}

type Mutable = {
  reads: Map<string, Set<string>>;
  viaView: Set<string>;
  functions: Set<string>;
  recursive: boolean;
  writes: Set<string>;
  definesSchema: boolean;
  drops: Set<string>;
  /** Anything that makes it more than a read, beside what is above. */
  acts: boolean;
  /** A select or a pragma that asks: without one it is something like VACUUM, which the authorizer is not told of. */
  asks: boolean;
  refused: string | undefined;
};

/** The part of `node:sqlite` that its types in this runtime do not know yet. */
interface Authorizing {
  setAuthorizer(
    callback: (
      action: number,
      first: string | null,
      second: string | null,
      database: string | null,
      /** The view, trigger or common table expression that it happens in. */
      via: string | null,
    ) => number,
  ): void;
}

/** SQLite's numbers for what a statement does; its constants have no types here either. */
const DELETE = 9;
const DROP_TABLE = 11;
const INSERT = 18;
const PRAGMA = 19;
const READ = 20;
const SELECT = 21;
const TRANSACTION = 22;
const UPDATE = 23;
const ATTACH = 24;
const DETACH = 25;
const DROP_VIRTUAL_TABLE = 30;
const FUNCTION = 31;
const SAVEPOINT = 32;
const RECURSIVE = 33;
/** CREATE and DROP of everything, ALTER TABLE, REINDEX, ANALYZE, and the same for virtual tables. */
const DEFINITIONS = new Set([1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 26, 27, 28, 29, 30]);

const OK = 0;
const DENY = 1;

/** Pragmas that tell and change nothing, with whatever argument. */
const ASKING_PRAGMAS = new Set(
  ("table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list foreign_key_check " +
    "integrity_check quick_check collation_list function_list compile_options").split(" "),
);
/** Pragmas that tell when asked without an argument, and change something with one. */
const ASKING_WITHOUT_ARGUMENT = new Set(
  ("application_id cache_size data_version encoding foreign_keys freelist_count journal_mode max_page_count " +
    "page_count page_size schema_version synchronous user_version").split(" "),
);

/** Watches `native` from now on. */
export function observer(native: DatabaseSync): Observer {
  let current: Mutable | undefined;

  // Also called when SQLite prepares a statement anew while it runs; nobody listens then.
  (native as unknown as Authorizing).setAuthorizer((action, first, second, database, via) => {
    if (current === undefined) return OK;
    note(current, action, first ?? "", second, database, via);
    return current.refused === undefined ? OK : DENY;
  });

  return {
    observe(prepare) {
      const facts = current = unobserved();
      try {
        const result = prepare();
        const { acts, asks, refused: _, ...known } = facts;
        return { result, facts: { ...known, readOnly: asks && !acts && !known.definesSchema } };
      } catch (thrown) {
        if (facts.refused === undefined) throw thrown;
        throw new PlugboardError("refused_sql", facts.refused, { cause: thrown });
      } finally {
        current = undefined;
      }
    },
  };
}

function unobserved(): Mutable {
  return {
    reads: new Map(),
    viaView: new Set(),
    functions: new Set(),
    recursive: false,
    writes: new Set(),
    definesSchema: false,
    drops: new Set(),
    acts: false,
    asks: false,
    refused: undefined,
  };
}

function note(
  facts: Mutable,
  action: number,
  first: string,
  second: string | null,
  database: string | null,
  via: string | null,
): void {
  switch (action) {
    case SELECT:
      facts.asks = true;
      return;
    case READ:
      return noteRead(facts, first.toLowerCase(), (second ?? "").toLowerCase(), via);
    case INSERT:
    case UPDATE:
    case DELETE:
      facts.acts = true;
      if (database === "main" && !first.startsWith("sqlite_")) facts.writes.add(first.toLowerCase());
      return;
    case FUNCTION:
      return void facts.functions.add((second ?? "").toLowerCase());
    case RECURSIVE:
      facts.recursive = true;
      return;
    case PRAGMA:
      return notePragma(facts, first.toLowerCase(), second);
    case TRANSACTION:
    case SAVEPOINT:
      facts.refused = `A statement cannot begin or end a transaction; write(fn) and savepoint(fn) do`;
      return;
    case ATTACH:
    case DETACH:
      facts.refused = "Other database files cannot be attached";
      return;
    default:
      if (DEFINITIONS.has(action)) facts.definesSchema = true;
      if (action === DROP_TABLE || action === DROP_VIRTUAL_TABLE) facts.drops.add(first.toLowerCase());
      facts.acts = true;
  }
}

function noteRead(facts: Mutable, table: string, column: string, via: string | null): void {
  let columns = facts.reads.get(table);
  if (columns === undefined) facts.reads.set(table, columns = new Set());
  if (column !== "") columns.add(column);
  if (via !== null) facts.viaView.add(table);
}

function notePragma(facts: Mutable, name: string, argument: string | null): void {
  if (ASKING_PRAGMAS.has(name) || (ASKING_WITHOUT_ARGUMENT.has(name) && argument === null)) {
    facts.asks = true;
  } else if (name === "defer_foreign_keys") {
    facts.acts = true; // until the end of the transaction, so it can do no harm
  } else {
    facts.refused = `PRAGMA ${name} cannot be used here: the settings of the file belong to persistence`;
  }
}
