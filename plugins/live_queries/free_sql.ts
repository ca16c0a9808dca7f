/**
 * Free SQL: queries that nobody has declared, and the channels they have.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { PlugboardError } from "../../core/mod.ts";
import { LIVE } from "./params.ts";
import type { FreeQuery } from "./registry.ts";
import { type Arguments, type SqlValue, textOf } from "./values.ts";

/** Queries that clients can name begin otherwise. */
const OWN = "sql.";

/** The channels of clients' SQL begin so: `live:sql?sql=SELECT+…&params=["pending"]`. */
const CLIENTS = `${LIVE}sql?`;

const MAX_PARAMS = 100;

/** The name of the server's own SQL, with whatever parameters. */
export function ownName(sql: string): string {
  return `${OWN}${hash(sql)}`;
}

/** The channel of the server's own SQL. Clients cannot open it themselves: it tells nothing. */
export function ownChannel(sql: string, params: Arguments): string {
  return `${LIVE}${ownName(sql)}?${hash(textOf(params))}`;
}

/** Whether a channel is SQL of a client's own. */
export function isClientSql(channel: string): boolean {
  return channel.startsWith(CLIENTS);
}

/** What a client asks for. Whoever asks for the same shares it, in whatever way it is written. */
export function parseClientSql(channel: string): FreeQuery {
  const given = new URLSearchParams(channel.slice(CLIENTS.length));
  const { sql = "", params: text = "[]", ...others } = Object.fromEntries(given);
  if (sql.trim() === "" || given.size > 2 || Object.keys(others).length > 0) {
    throw new PlugboardError("bad_request", 'The channel of SQL has "sql", and perhaps "params", each once');
  }
  const params = parseParams(text);
  // No query that was declared has a question mark in its name.
  const name = `sql?${hash(sql)}`;
  return { name, id: `${LIVE}${name}${hash(textOf(params))}`, channel, sql, params };
}

function parseParams(text: string): Arguments {
  const params = fromJson(text);
  const list = typeof params === "object" && params !== null ? Object.values(params) : undefined;
  if (list === undefined || list.length > MAX_PARAMS || !list.every(isValue)) {
    throw new PlugboardError(
      "bad_request",
      `"params" is a list or an object, in JSON, of up to ${MAX_PARAMS} numbers, texts and nulls`,
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
