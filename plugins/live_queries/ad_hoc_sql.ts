/**
 * Ad hoc SQL: queries that are not declared, and their channels. The server writes some (`subscribeToQuery`), clients
 * write others.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { PlugboardError } from "../../core/mod.ts";
import { CLIENT_SQL, LIVE } from "../shared/live_channels.ts";
import { type Arguments, type SqlValue, textOf } from "./values.ts";

const MAX_PARAMS = 100;

/** A client's SQL, as its channel holds it. */
export interface ClientSql {
  /** The same for any parameters. */
  readonly name: string;
  /** The same for equal SQL and parameters, in whatever order the channel name has them. */
  readonly id: string;
  readonly sql: string;
  readonly params: Arguments;
}

/** Returns the name of the server's own SQL, the same for any parameters. */
export function serverSqlName(sql: string): string {
  return `sql.${hash(sql)}`;
}

/** Returns the channel of the server's own SQL. Clients cannot open it: the hash does not contain the query. */
export function serverSqlChannel(sql: string, params: Arguments): string {
  return `${LIVE}${serverSqlName(sql)}?${hash(textOf(params))}`;
}

/** Reports whether a channel holds a client's SQL: `live:sql?sql=SELECT+…&params=["pending"]`. */
export function isClientSql(channel: string): boolean {
  return channel.startsWith(CLIENT_SQL);
}

/** Parses the channel of a client's SQL. */
export function parseClientSql(channel: string): ClientSql {
  const given = new URLSearchParams(channel.slice(CLIENT_SQL.length));
  const { sql = "", params: text = "[]", ...others } = Object.fromEntries(given);
  if (sql.trim() === "" || given.size > 2 || Object.keys(others).length > 0) {
    throw new PlugboardError("bad_request", 'A channel of SQL has "sql" and optionally "params", each once');
  }
  const params = parseParams(text);
  const name = `sql?${hash(sql)}`; // the name of a declared query has no question mark
  return { name, id: `${LIVE}${name}${hash(textOf(params))}`, sql, params };
}

function parseParams(text: string): Arguments {
  const params = fromJson(text);
  const list = typeof params === "object" && params !== null ? Object.values(params) : undefined;
  if (list === undefined || list.length > MAX_PARAMS || !list.every(isValue)) {
    throw new PlugboardError(
      "bad_request",
      `"params" must be a JSON list or object of up to ${MAX_PARAMS} numbers, strings and nulls`,
    );
  }
  return params as Arguments;
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isValue(value: unknown): value is SqlValue {
  return value === null || typeof value === "number" || typeof value === "string";
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
