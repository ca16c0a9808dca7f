/**
 * What the app declares in the file: queries, mutations and publications that recur.
 *
 * @module
 */

import type { ParamType } from "../../live_queries.ts";

/**
 * Who may do something: `anyone`, users that have `signed_in`, or those with a permission such as `read:orders`; `nobody` leaves
 * it to the server API. @pattern ^(anyone|signed_in|nobody|admin|(read|write|query|admin):.+)$ @examples ["anyone", "signed_in", "read:orders"]
 */
export type Who = string;

/** A live query. */
export interface QuerySettings {
  /** A SELECT with parameters as `:name`. */
  sql: string;
  /** The parameters and their types; a `user` must be the client's own user id. @default {{}} */
  params?: Readonly<Record<string, ParamType>>;
  /** The columns that identify a row. @default {the primary key, where the query reads one table} */
  key?: readonly string[];
  /** Also runs at this interval, for queries that depend on the time. @default {never} */
  refreshMs?: number;
  /** Who may read it. @default {the permission read:live:NAME} */
  read?: Who;
}

/** A method that writes in one transaction. */
export interface MutationSettings {
  /** One statement or several, with parameters as `:name`. The reply is the first row of the last one, if it returns rows. */
  sql: string | readonly string[];
  /** The parameters and their types; a `user` is the caller's own user id, and is not sent. @default {{}} */
  params?: Readonly<Record<string, ParamType>>;
  /** Who may call it. @default {the permission write:rpc:NAME} */
  call?: Who;
  /** Refuses the call, and undoes it, if a statement changes no row. @default {false} */
  mustChange?: boolean;
  /** What is published after the commit. */
  publish?: PublishSettings | readonly PublishSettings[];
}

/** A publication. `{name}` stands for a parameter, or for a column of the reply. */
export interface PublishSettings {
  /** The channel: `orders:{id}`. */
  channel: string;
  /** The data. A text `{name}` becomes the value. @default {the parameters} */
  data?: unknown;
}

/** A publication that recurs. */
export interface ScheduledSettings {
  /** The channel. */
  channel: string;
  /** The data. */
  data: unknown;
  /** A cron pattern such as `0 9 * * MON-FRI`, or with seconds as its first of six parts. */
  every: string;
  /** The time zone of the pattern. @default {"UTC"} */
  timezone?: string;
}
