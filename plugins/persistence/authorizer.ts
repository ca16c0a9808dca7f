/**
 * What statements do, as SQLite reports it to its authorizer while it prepares them.
 *
 * The functions also run as source text in a worker, so they use nothing outside of themselves.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Guard } from "./isolated/allowed.ts";
import type { Inspection } from "./sql_types.ts";

/** What a statement does, including triggers, cascades and subqueries. Names are in lower case; `reads` contains views. */
export interface Facts extends Omit<Inspection, "columns"> {
  /** Tables it may write to. */
  readonly writes: ReadonlySet<string>;
  /** Whether it changes tables, indexes, views or triggers. */
  readonly definesSchema: boolean;
  /** The tables it drops. */
  readonly drops: ReadonlySet<string>;
  readonly readOnly: boolean;
}

/** Authorizes the statements of one database. */
export interface Authorizer {
  /** Runs `prepare`, which prepares one statement. Throws `refused_sql` for what would interfere with the store. */
  observe<T>(prepare: () => T): { result: T; facts: Facts };
}

/** The part of `node:sqlite` that the runtime's types lack. `via` is a view, trigger or common table expression. */
interface Authorizing {
  setAuthorizer(
    callback: (
      action: number,
      first: string | null,
      second: string | null,
      database: string | null,
      via: string | null,
    ) => number,
  ): void;
}

/**
 * Installs the authorizer. With a `guard`, whatever is not a read is denied, and SQLite's own error says so; of the reads,
 * the guard refuses some. Otherwise statements that a store must control itself are refused.
 */
export function authorizer(native: DatabaseSync, guard?: Guard): Authorizer {
  const [OK, DENY] = [0, 1];
  /** SQLite's codes of actions. */
  const [DELETE, DROP_TABLE, INSERT, PRAGMA, READ, SELECT] = [9, 11, 18, 19, 20, 21];
  const [TRANSACTION, UPDATE, ATTACH, DETACH, DROP_VIRTUAL_TABLE] = [22, 23, 24, 25, 30];
  const [FUNCTION, SAVEPOINT, RECURSIVE] = [31, 32, 33];
  /** CREATE and DROP of everything, ALTER TABLE, REINDEX, ANALYZE; also for virtual tables. */
  const definitions = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 26, 27, 28, 29, 30];
  /** Pragmas that only read, with and without an argument. */
  const schemaPragmas =
    /^(table_x?info|table_list|index_(list|x?info)|foreign_key_list|(function|collation)_list)$/;
  const checkPragmas = /^(foreign_key_check|(integrity|quick)_check|compile_options)$/;
  /** Pragmas that only read without an argument, and change a setting with one. */
  const settingPragmas =
    /^(application_id|cache_size|(data|schema|user)_version|encoding|foreign_keys|freelist_count|journal_mode|(max_)?page_count|page_size|synchronous)$/;

  /** Functions that take addresses in memory or load code: a statement of any origin could end the process with them. */
  const pointerFunctions = /^(fts3_tokenizer|load_extension)$/i;

  /** SQLite compares names like this; see `lowerName`. */
  const lower = (name: string) => name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

  let current = facts();
  let observing = false;

  function facts() {
    return {
      reads: new Map<string, Set<string>>(),
      viaView: new Set<string>(),
      functions: new Set<string>(),
      recursive: false,
      writes: new Set<string>(),
      definesSchema: false,
      drops: new Set<string>(),
      /** Whether it does more than read, besides what is above. */
      acts: false,
      /** Whether it selects or reads a pragma. VACUUM and the like do neither, and are not reported. */
      asks: false,
      refused: undefined as string | undefined,
    };
  }

  function noteRead(name: string, column: string, database: string | null, via: string | null): void {
    const table = database === "temp" ? `temp.${name}` : name;
    const columns = current.reads.get(table) ?? new Set();
    current.reads.set(table, column === "" ? columns : columns.add(column));
    if (via !== null) current.viaView.add(table);
  }

  /** Notes what a read consists of; `false` if the action is no part of a read. */
  function noteReading(
    action: number,
    first: string,
    second: string | null,
    database: string | null,
    via: string | null,
  ): boolean {
    const name = lower(second ?? "");
    if (action === SELECT) current.asks = true;
    else if (action === READ) noteRead(lower(first), name, database, via);
    else if (action === FUNCTION) current.functions.add(name);
    else if (action === RECURSIVE) current.recursive = true;
    else if (action === PRAGMA && schemaPragmas.test(lower(first))) current.asks = true;
    else return false;
    return true;
  }

  function noteOther(action: number, first: string, second: string | null, database: string | null): void {
    const name = lower(first);
    if (action === PRAGMA) notePragma(name, second);
    else if (action === TRANSACTION || action === SAVEPOINT) {
      current.refused = "A statement cannot begin or end a transaction; write(fn) and savepoint(fn) do";
    } else if (action === ATTACH || action === DETACH) {
      current.refused = "Other database files cannot be attached";
    } else {
      current.acts = true;
      if (action === INSERT || action === UPDATE || action === DELETE) {
        if (database === "main" && !name.startsWith("sqlite_")) current.writes.add(name);
      } else if (definitions.includes(action)) current.definesSchema = true;
      if (action === DROP_TABLE || action === DROP_VIRTUAL_TABLE) current.drops.add(name);
    }
  }

  function notePragma(name: string, argument: string | null): void {
    if (checkPragmas.test(name) || (argument === null && settingPragmas.test(name))) current.asks = true;
    else if (name === "defer_foreign_keys") current.acts = true; // lasts until the end of the transaction
    else {current.refused =
        `PRAGMA ${name} cannot be used here: the settings of the file belong to persistence`;}
  }

  /** Whether a read is allowed. Notes it, and the reason if it is not. */
  function allows(
    { call, read, pragma }: Guard,
    action: number,
    first: string,
    second: string,
    database: string | null,
    via: string | null,
  ): boolean {
    const refusal = action === FUNCTION ? call(second) : action === READ ? read(first, second) : undefined;
    current.refused ??= refusal;
    if (refusal !== undefined) return false;
    if (action !== PRAGMA) return noteReading(action, first, second, database, via);
    return current.asks = pragma(first, observing);
  }

  // SQLite also calls it when it prepares a statement again while running it. That changes no facts.
  (native as unknown as Authorizing).setAuthorizer((action, first, second, database, via) => {
    if (guard !== undefined) {
      const names = [first ?? "", second ?? ""].map(lower) as [string, string];
      return allows(guard, action, ...names, database, via) ? OK : DENY;
    }
    if (!observing) return OK;
    if (action === FUNCTION && pointerFunctions.test(second ?? "")) {
      current.refused = `A statement cannot call ${second}`;
    } else if (!noteReading(action, first ?? "", second, database, via)) {
      noteOther(action, first ?? "", second, database);
    }
    return current.refused === undefined ? OK : DENY;
  });

  return {
    observe(prepare) {
      const noted = current = facts();
      observing = true;
      try {
        const result = prepare();
        const { acts, asks, refused: _, ...known } = noted;
        return { result, facts: { ...known, readOnly: asks && !acts && !known.definesSchema } };
      } catch (cause) {
        if (noted.refused === undefined) throw cause;
        throw Object.assign(new Error(noted.refused, { cause }), { code: "refused_sql" });
      } finally {
        observing = false;
        current = facts(); // what is prepared later is not part of it
      }
    },
  };
}

/** Returns what is known about a reading statement. Views are replaced by the tables they read. */
export function inspection(native: DatabaseSync, statement: StatementSync, facts: Facts): Inspection {
  const views = native.prepare("SELECT lower(name) AS name FROM sqlite_schema WHERE type = 'view'").all()
    .map(({ name }) => name);
  const { viaView, functions, recursive } = facts;
  return {
    columns: statement.columns().map(({ name, table, column }) => ({ name, table, column })),
    reads: new Map([...facts.reads].filter(([name]) => !views.includes(name))),
    viaView,
    functions,
    recursive,
  };
}
