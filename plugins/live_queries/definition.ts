import { checkOptions } from "../../core/mod.ts";
import {
  type Check,
  type InputOf,
  isSchema,
  type OutputOf,
  type StandardSchema,
  type Typed,
} from "../shared/contract.ts";
import type { Identity } from "../shared/identity.ts";
import { PARAM_TYPES, type ParamTypes } from "./params.ts";
import { tokenize } from "./tokens.ts";
import type { Params } from "./values.ts";

/** The parameters of a query: their types by name, or a schema of an object with numbers, texts, booleans and nulls. */
export type QueryParams = ParamTypes | StandardSchema;

/** A query, as the server declares it. */
export interface QueryDefinition<Given extends QueryParams = ParamTypes, RowCheck extends Check = Check> {
  /** A SELECT with parameters as `:name`. */
  sql: string;
  /**
   * The parameters. Clients send them as text: a schema gets numbers and booleans where the text looks like one and the
   * schema takes it, otherwise the text. @default {none}
   */
  params?: Given;
  /**
   * The type of a row, for clients, as a schema or a function that returns it. A subscription is refused if one of the
   * first hundred rows is not as declared. Rows are checked, not changed. @default {none: any row}
   */
  rows?: RowCheck;
  /** Decides who may read it. @default {everyone who may read the channel `live:` and the query's name} */
  allow?: (identity: Identity, params: CheckedParams<Given>) => boolean;
  /** The columns that identify a row. @default {the primary key, where the query reads one table} */
  key?: readonly string[];
  /** Also runs at this interval, for queries that depend on the time. @default {never} */
  refreshMs?: number;
}

/** Parameters as the server gets them. */
export type CheckedParams<Given> = Given extends StandardSchema ? OutputOf<Given> : Params;

/** Parameters as clients give them. */
export type GivenParams<Given> = Given extends StandardSchema ? InputOf<Given> : {
  -readonly [Name in keyof Given]: Given[Name] extends "number" | "integer" ? number
    : Given[Name] extends "boolean" ? boolean
    : string;
};

/** A query with any types. */
// deno-lint-ignore no-explicit-any -- what `allow` takes fits what `params` returns
export type AnyQuery = QueryDefinition<any, Check>;

/**
 * Returns a query with its types, for a contract that clients import: see `@plugboard/server/client`.
 *
 * ```ts
 * import { query } from "@plugboard/server/live_queries";
 *
 * export const api = {
 *   queries: {
 *     ordersByStatus: query({
 *       sql: "SELECT id, customer FROM orders WHERE status = :status ORDER BY id",
 *       params: { status: "string" },
 *       rows: (row) => row as { id: number; customer: string },
 *     }),
 *   },
 * };
 * export type Api = typeof api;
 * ```
 */
export function query<Given extends QueryParams = Record<never, "string">, RowCheck extends Check = Check>(
  definition: QueryDefinition<Given, RowCheck>,
): QueryDefinition<Given, RowCheck> & Typed<GivenParams<Given>, InputOf<RowCheck>> {
  return definition;
}

/** Throws an error that names the wrong field. */
export function checkDefinition(name: string, { sql, params = {}, key, refreshMs }: AnyQuery): void {
  const named = checkOptions("live_queries");
  named.that(/^[\w.-]+$/.test(name), "name", "letters, digits, dots and dashes", name);
  named.that(!/^sql(\.|$)/.test(name), "name", 'another than "sql", which is ad hoc SQL', name);
  const check = checkOptions(`the live query "${name}"`);
  check.filled("sql", sql);
  if (!isSchema(params)) {
    for (const [param, type] of Object.entries(params as ParamTypes)) {
      check.oneOf(`params.${param}`, type, PARAM_TYPES);
    }
    const used = paramNames(sql);
    const same = used.length === Object.keys(params).length &&
      used.every((name) => Object.hasOwn(params, name));
    check.that(same, "params", `the names in the SQL (${used})`, Object.keys(params));
  }
  if (key !== undefined) check.that(Array.isArray(key) && key.length > 0, "key", "a list of columns", key);
  if (refreshMs !== undefined) check.positiveInteger("refreshMs", refreshMs);
}

/** Returns the names of the parameters in SQL. */
export function paramNames(sql: string): string[] {
  const params = tokenize(sql).filter(({ type }) => type === "param");
  return [...new Set(params.map(({ text }) => text.replace(/^[:@$]/, "")))];
}
