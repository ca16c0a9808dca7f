/**
 * SQL events: tells everybody which queries run and how far they are, and which tables come, change and go.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { sqlEvents } from "@plugboard/server/sql_events";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * const events = server.use(sqlEvents({ channels: bus }));
 *
 * await server.start();
 * events.notifyQueryProgress({ queryId: "query-123", progress: 50, rowCount: 5000 });
 * events.notifyTableCreated({ tableName: "users", timestamp: Date.now() });
 * await server.stop();
 * ```
 *
 * Events of queries are published on the channel `queries`, those of tables on `tables`; clients only listen there.
 *
 * @module
 */

import { type Host, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import type { Params, Store, Value } from "./persistence.ts";
import type {
  QueryCancelledData,
  QueryCompleteData,
  QueryErrorData,
  QueryProgressData,
  QueryStartedData,
  SqlEventData,
  SqlEventType,
  TableEventData,
} from "./sql_events/types.ts";

export type * from "./sql_events/types.ts";

/** Options of {@linkcode sqlEvents}. */
export interface SqlEventsOptions {
  /** Where events are published. */
  channels: Pick<Channels, "publish" | "extend">;
  /** The database that queries run in and whose tables are followed; without it there are only the notify calls. */
  store?: Pick<Store, "all" | "inspect" | "write" | "watch"> | undefined;
}

/** How to run a query. */
export interface QueryOptions {
  /** Who runs it: told to everybody who hears the events. */
  user?: string;
  /** What events call it. @default {a new one} */
  queryId?: string;
  /** Cancels it. */
  signal?: AbortSignal;
  /** How many rows it gives, if that is known: then progress has a percentage. */
  totalRows?: number;
  /** Whether it may write. It then runs in a transaction of the store, where nothing can stop it. @default {false} */
  write?: boolean;
}

/** What a query gave. */
export interface QueryResult {
  /** The names of the columns. */
  readonly columns: readonly string[];
  /** The first rows. */
  readonly rows: readonly (readonly Value[])[];
  /** How many rows it gave in all; for a write without rows, how many it changed. */
  readonly rowCount: number;
  /** How long it took. */
  readonly durationMs: number;
  /** Whether there were more rows than are here. */
  readonly truncated: boolean;
}

/** A query under way. */
export interface RunningQuery {
  /** What events call it. */
  readonly queryId: string;
  /** Its SQL. */
  readonly query: string;
  /** Who runs it; empty for nobody in particular. */
  readonly user: string;
  /** When it began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** The rows so far. */
  readonly rowCount: number;
  /** What it gives in the end. */
  readonly result: Promise<QueryResult>;
}

/** What SQL events offers to other plugins and to the app. */
export interface SqlEvents {
  /** Tells that a query was started. */
  notifyQueryStarted(data: QueryStartedData): void;
  /** Tells how far a query is; only those who listen now hear of it. */
  notifyQueryProgress(data: QueryProgressData): void;
  /** Tells that a query has ended well. */
  notifyQueryComplete(data: QueryCompleteData): void;
  /** Tells that a query has failed. */
  notifyQueryError(data: QueryErrorData): void;
  /** Tells that a query was cancelled. */
  notifyQueryCancelled(data: QueryCancelledData): void;
  /** Tells that a table was created. */
  notifyTableCreated(data: TableEventData): void;
  /** Tells that a table was altered. */
  notifyTableModified(data: TableEventData): void;
  /** Tells that a table was dropped. */
  notifyTableDropped(data: TableEventData): void;
  /** Runs a query and tells everybody of it. */
  run(sql: string, params?: Params, options?: QueryOptions): Promise<QueryResult>;
  /** The same, for who wants to follow it: throws at once when the query is refused. */
  start(sql: string, params?: Params, options?: QueryOptions): RunningQuery;
  /** Cancels a query; resolves when it has stopped, to `false` if there was none of this id. */
  cancel(queryId: string): Promise<boolean>;
  /** The queries under way. */
  readonly running: readonly RunningQuery[];
}

/** The channel of each type of event. */
const CHANNELS = { query: "queries", table: "tables" } as const;

/** Tells everybody of queries and tables. */
export function sqlEvents({ channels }: SqlEventsOptions): Plugin<SqlEvents> {
  let host: Host | undefined;
  let release: (() => void) | undefined;

  function tell<Type extends SqlEventType>(type: Type, data: SqlEventData[Type]): void {
    const channel = CHANNELS[type.split(":")[0] as keyof typeof CHANNELS];
    // Progress is worth nothing later, and would push what counts out of the log.
    channels.publish(channel, data, { tags: { type }, ephemeral: type === "query:progress" })
      .catch((error) => host?.log.warn("an event was not published", { type, error }));
  }

  function start(): never {
    throw new PlugboardError("not_available", "There is no database to query");
  }

  return {
    name: "sql_events",
    api: {
      notifyQueryStarted: (data) => tell("query:started", data),
      notifyQueryProgress: (data) => tell("query:progress", data),
      notifyQueryComplete: (data) => tell("query:complete", data),
      notifyQueryError: (data) => tell("query:error", data),
      notifyQueryCancelled: (data) => tell("query:cancelled", data),
      notifyTableCreated: (data) => tell("table:created", data),
      notifyTableModified: (data) => tell("table:modified", data),
      notifyTableDropped: (data) => tell("table:dropped", data),
      run: () => Promise.reject(new PlugboardError("not_available", "There is no database to query")),
      start,
      cancel: () => Promise.resolve(false),
      running: [],
    },
    start(given) {
      host = given;
      const own: ReadonlySet<string> = new Set(Object.values(CHANNELS));
      release = channels.extend({
        name: "sql_events",
        beforePublish(channel, _draft, client) {
          if (client === undefined || !own.has(channel)) return;
          throw new PlugboardError("permission_denied", `Only the server publishes in ${channel}`);
        },
      });
    },
    stop: () => release?.(),
  };
}
