/**
 * The channel names of live queries: `live:ordersByStatus?status=pending`. The server and its protocols use them, and
 * browsers get them as part of `/live_rows.js`.
 *
 * @module
 */

/** The prefix of all live query channels. */
export const LIVE = "live:";

/** The prefix of the channels for SQL that clients write. */
export const CLIENT_SQL = `${LIVE}sql?`;

/** Returns the channel of a declared query. The same parameters give the same channel in any order. */
export function queryChannel(name: string, params: Readonly<Record<string, unknown>> = {}): string {
  const given = Object.entries(params).map(([key, value]): [string, string] => [key, String(value)]);
  const text = new URLSearchParams(given.sort(([a], [b]) => a < b ? -1 : 1)).toString();
  return `${LIVE}${name}${text && `?${text}`}`;
}

/** Parameters of a client's SQL: by name, or as a list for `?` and `$1`. */
export type SqlParams =
  | readonly (number | string | null)[]
  | Readonly<Record<string, number | string | null>>;

/**
 * Returns the channel of an SQL query that a client writes. The client needs the permission `query:*`.
 *
 * ```ts
 * import { sqlChannel } from "@plugboard/server/live_queries";
 *
 * const channel = sqlChannel("SELECT * FROM orders WHERE total > ?", [100]);
 * console.log(channel.startsWith("live:sql?")); // true
 * ```
 */
export function sqlChannel(sql: string, params: SqlParams = []): string {
  return `${CLIENT_SQL}${new URLSearchParams({ sql, params: JSON.stringify(params) })}`;
}
