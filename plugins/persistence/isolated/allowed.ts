/**
 * What SQL of clients may use. Everything else is refused, also what a later SQLite adds.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { OWN_TABLES } from "../../shared/own_tables.ts";
import { VIRTUAL_TABLE } from "../../shared/sql_text.ts";

/** Names in lower case. */
export interface Allowed {
  readonly functions: readonly string[];
  /** Pragmas that only read, as statements and as tables (`pragma_table_info`). */
  readonly pragmas: readonly string[];
  /** Pragmas that full-text search uses by itself. */
  readonly innerPragmas: readonly string[];
  /** Tables that exist without being created. */
  readonly tables: readonly string[];
  /** Modules of virtual tables. */
  readonly modules: readonly string[];
  /** A pattern of the names of tables that are hidden. */
  readonly hidden: string;
  /** The pattern of the SQL of virtual tables. */
  readonly virtual: string;
}

/** Splits a list of names. */
const names = (text: string) => text.trim().split(/\s+/);

/**
 * Not allowed are functions that load code (`load_extension`), return or take pointers (`fts3_tokenizer`, `fts5`), read
 * other tables (`rtreecheck`), write (`optimize`, `sqlite_log`), or describe the build.
 */
export const ALLOWED: Allowed = {
  functions: names(`
    -> ->> abs avg bm25 changes char coalesce concat concat_ws count cume_dist current_date current_time
    current_timestamp date datetime dense_rank first_value format glob group_concat hex highlight if ifnull iif instr
    json json_array json_array_insert json_array_length json_error_position json_extract json_group_array
    json_group_object json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set
    json_type json_valid jsonb jsonb_array jsonb_array_insert jsonb_extract jsonb_group_array jsonb_group_object
    jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set julianday lag last_insert_rowid
    last_value lead length like likelihood likely lower ltrim match matchinfo max min nth_value ntile nullif
    octet_length offsets percent_rank printf quote random randomblob rank replace round row_number rtrim sign snippet
    soundex sqlite_version strftime string_agg substr substring subtype sum time timediff total total_changes trim
    typeof unhex unicode unistr unistr_quote unixepoch unlikely upper zeroblob
  `),
  pragmas: names(`
    collation_list foreign_key_list function_list index_info index_list index_xinfo page_size table_info table_list
    table_xinfo
  `),
  innerPragmas: names("data_version"),
  tables: names("json_each json_tree jsonb_each jsonb_tree sqlite_master sqlite_schema"),
  modules: names("fts3 fts4 fts5"),
  hidden: OWN_TABLES.source,
  virtual: VIRTUAL_TABLE.source,
};

/** Checks the actions of statements, with names in lower case. */
export interface Guard {
  /** Returns why a function cannot be called, or nothing. */
  call(name: string): string | undefined;
  /** Returns why a table cannot be read, or nothing. */
  read(table: string, column: string): string | undefined;
  /** Whether a pragma may be used: by a statement itself, or by what it calls. */
  pragma(name: string, direct: boolean): boolean;
}

/**
 * Makes a guard. A virtual table is as dangerous as its module, so its declaration is looked up.
 *
 * Also runs as source text in a worker, so it uses nothing outside of itself.
 */
export function guard(native: DatabaseSync, allowed: Allowed): Guard {
  const functions = new Set(allowed.functions);
  const readable = new Set([...allowed.tables, ...allowed.pragmas.map((name) => `pragma_${name}`)]);
  /** Names that may be those of modules which are tables too, for example `dbstat`. */
  const modules = native.prepare("SELECT lower(name) AS name FROM pragma_module_list").all();
  const refused = new Set(modules.map(({ name }) => name as string).filter((name) => !readable.has(name)));
  const declaration = new RegExp(allowed.virtual, "i");
  const hidden = new RegExp(allowed.hidden, "i");
  const schema = native.prepare("SELECT lower(name) AS name, type, rootpage, sql FROM sqlite_schema").all();
  for (const { name, type, rootpage, sql } of schema) {
    const table = name as string;
    const virtual = type === "table" && rootpage === 0;
    const module = virtual ? declaration.exec(sql as string)?.[1]?.toLowerCase() : undefined;
    const fine = !hidden.test(table) && (type === "view" || type === "table");
    if (fine && (!virtual || allowed.modules.includes(module ?? ""))) readable.add(table);
    else if (type !== "index") refused.add(table);
  }

  return {
    call: (name) => functions.has(name) ? undefined : `SQL of clients cannot call the function "${name}"`,
    read(table, column) {
      // Without a column, it may be the name of a common table expression.
      const unknown = column === "" && !refused.has(table) && !table.startsWith("pragma_");
      return readable.has(table) || unknown ? undefined : `SQL of clients cannot read the table "${table}"`;
    },
    pragma: (name, direct) =>
      allowed.pragmas.includes(name) || (!direct && allowed.innerPragmas.includes(name)),
  };
}
