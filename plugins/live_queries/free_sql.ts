/**
 * Free SQL: queries that nobody has declared, and the channels they have.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { LIVE } from "./params.ts";
import { type Arguments, textOf } from "./values.ts";

/** Queries that clients can name begin otherwise. */
const OWN = "sql.";

/** The name of the server's own SQL, with whatever parameters. */
export function ownName(sql: string): string {
  return `${OWN}${hash(sql)}`;
}

/** The channel of the server's own SQL. Clients cannot open it themselves: it tells nothing. */
export function ownChannel(sql: string, params: Arguments): string {
  return `${LIVE}${ownName(sql)}?${hash(textOf(params))}`;
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
