import { checkOptions } from "../../core/mod.ts";
import type { Identity } from "../shared/identity.ts";
import { PARAM_TYPES, type ParamTypes } from "./params.ts";
import { tokenize } from "./tokens.ts";
import type { Params } from "./values.ts";

/** A query, as the server declares it. */
export interface QueryDefinition {
  /** A SELECT with parameters as `:name`. */
  sql: string;
  /** The parameters and their types. @default {none} */
  params?: ParamTypes;
  /** Decides who may read it. @default {everyone who may read the channel `live:` and the query's name} */
  allow?: (identity: Identity, params: Params) => boolean;
  /** The columns that identify a row. @default {the primary key, where the query reads one table} */
  key?: readonly string[];
  /** Also runs at this interval, for queries that depend on the time. @default {never} */
  refreshMs?: number;
}

/** Throws an error that names the wrong field. */
export function checkDefinition(name: string, { sql, params = {}, key, refreshMs }: QueryDefinition): void {
  const check = checkOptions(`the live query "${name}"`);
  check.filled("sql", sql);
  for (const [param, type] of Object.entries(params)) check.oneOf(`params.${param}`, type, PARAM_TYPES);
  const used = new Set(
    tokenize(sql).flatMap(({ type, text }) => type === "param" ? [text.replace(/^[:@$]/, "")] : []),
  );
  const same = used.size === Object.keys(params).length &&
    [...used].every((name) => Object.hasOwn(params, name));
  check.that(same, "params", `the names in the SQL (${[...used]})`, Object.keys(params));
  if (key !== undefined) check.that(Array.isArray(key) && key.length > 0, "key", "a list of columns", key);
  if (refreshMs !== undefined) check.positiveInteger("refreshMs", refreshMs);
}
