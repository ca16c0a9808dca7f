/**
 * SQL events: announces queries and their progress, and tables that are created, altered or dropped.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { persistence } from "@plugboard/server/persistence";
 * import { sqlEvents } from "@plugboard/server/sql_events";
 *
 * const server = new Server({ port: 0 });
 * const store = server.use(persistence({ path: ":memory:" }));
 * const bus = server.use(channels());
 * const events = server.use(sqlEvents({ channels: bus, store }));
 * await server.start();
 *
 * await store.exec("CREATE TABLE users (name TEXT)"); // table:created
 * await events.run("SELECT * FROM users", [], { user: "ada" }); // query:started, query:complete
 * events.notifyQueryProgress({ queryId: "of-another-database", progress: 50, rowCount: 5000 });
 *
 * await server.stop();
 * ```
 *
 * Events of queries are published on the channel `queries`, those of tables on `tables`. Clients cannot publish there.
 *
 * SQLite cannot be interrupted from JavaScript. With the permission to start processes (`--allow-run`), a query that
 * reads runs in a process of its own. The process is killed when the query is cancelled, takes too long or needs too
 * much memory. Without the permission, it runs in a worker, which stops between two rows. That is enough for SQL of your
 * own; a large aggregate goes on until it has its row, and counts as running until then. A query that writes, and any
 * query of a database in memory, runs in the server's own thread and blocks it.
 *
 * @module
 */

import { built, checkOptions, type Host, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Channels, Publishing } from "./channels.ts";
import type { IsolatedOptions, IsolatedReads, Params, Store } from "./persistence.ts";
import { type Execution, readingFirst, readingInMemory, writing } from "./sql_events/execution.ts";
import { type Queries, queries } from "./sql_events/queries.ts";
import { type Tables, tables } from "./sql_events/tables.ts";
import type {
  QueryCancelledData,
  QueryCompleteData,
  QueryErrorData,
  QueryOptions,
  QueryProgressData,
  QueryResult,
  QueryStartedData,
  RunningQuery,
  SqlEventData,
  SqlEventType,
  TableEventData,
} from "./sql_events/types.ts";

export type { RunIn } from "./persistence.ts";
export type * from "./sql_events/types.ts";

/** Options of {@linkcode sqlEvents}. */
export interface SqlEventsOptions extends Omit<IsolatedOptions, "plugin" | "trusted"> {
  /** Where events are published. */
  channels: Pick<Channels, "publish" | "extend">;
  /** The database to query and whose tables are followed. Without it, only the notify methods work. */
  store?: Pick<Store, "path" | "all" | "inspect" | "write" | "watch" | "isolated"> | undefined;
  /** Maximum concurrent queries; more are refused. @default {4} */
  maxQueries?: number;
  /** Maximum concurrent queries of one user. @default {2} */
  maxQueriesPerUser?: number;
  /** Rows that a result keeps; the others are only counted. @default {1000} */
  maxRows?: number;
  /** Bytes that a result keeps. @default {4194304} */
  maxBytes?: number;
  /** How long a query may take. @default {300000} five minutes */
  maxMs?: number;
  /** How often a query's progress is published. @default {250} */
  progressMs?: number;
}

/** What SQL events offers to other plugins and to the app. */
export interface SqlEvents {
  /** Publishes that a query was started. */
  notifyQueryStarted(data: QueryStartedData): void;
  /** Publishes the progress of a query. It is not kept in the history. */
  notifyQueryProgress(data: QueryProgressData): void;
  /** Publishes that a query has completed. */
  notifyQueryComplete(data: QueryCompleteData): void;
  /** Publishes that a query has failed. */
  notifyQueryError(data: QueryErrorData): void;
  /** Publishes that a query was cancelled. */
  notifyQueryCancelled(data: QueryCancelledData): void;
  /** Publishes that a table was created. */
  notifyTableCreated(data: TableEventData): void;
  /** Publishes that a table was altered. */
  notifyTableModified(data: TableEventData): void;
  /** Publishes that a table was dropped. */
  notifyTableDropped(data: TableEventData): void;
  /**
   * Runs a query and publishes its events. Rejects with a `PlugboardError`; `code` is one of
   * - `overloaded`, `limit_exceeded`, `bad_request`: the query was refused, without an event;
   * - `cancelled`, `timeout`: it was stopped;
   * - `bad_sql`, `bad_parameter`, `not_a_read`, `out_of_memory`, `query_failed`, or any of the store's: it failed.
   */
  run(sql: string, params?: Params, options?: QueryOptions): Promise<QueryResult>;
  /** Like `run`, but returns at once, and throws when the query is refused. */
  start(sql: string, params?: Params, options?: QueryOptions): RunningQuery;
  /** Cancels a query. Resolves when it has stopped, to `false` if it had ended before or does not exist. */
  cancel(queryId: string): Promise<boolean>;
  /** The queries in progress. */
  readonly running: readonly RunningQuery[];
}

/** The channel of each kind of event. */
const CHANNELS = { query: "queries", table: "tables" } as const;

/** Announces queries and changes of tables. */
export function sqlEvents(options: SqlEventsOptions): Plugin<SqlEvents> {
  const { channels, store } = options;
  const settings = checked(options);
  let host: Host | undefined;
  let running: { queries: Queries; tables: Tables; reads: IsolatedReads } | undefined;
  let release: (() => void) | undefined;

  function publish<Type extends SqlEventType>(type: Type, data: SqlEventData[Type]): void {
    const channel = CHANNELS[type.split(":")[0] as keyof typeof CHANNELS];
    // Progress is useless later, and would push other events out of the history.
    channels.publish(channel, data, { tags: { type }, ephemeral: type === "query:progress" })
      .catch((error) => host?.log.warn("an event was not published", { type, error }));
  }

  function open(): Queries {
    if (store === undefined) throw new PlugboardError("not_available", "There is no database to query");
    if (running === undefined) {
      throw new PlugboardError("not_started", "Queries run once the server has started");
    }
    return running.queries;
  }

  function begin({ clock, log }: Host, database: NonNullable<typeof store>): typeof running {
    const { runIn, maxMemoryBytes, maxRows, maxBytes, ...limits } = settings;
    const reads = database.isolated({ plugin: "sql_events", runIn, trusted: true, maxMemoryBytes });
    const following = tables(
      database,
      (type, data) => publish(type, { ...data, timestamp: clock.wallTime() }),
    );

    function execute(sql: string, params: Params, { write, user = "" }: QueryOptions): Execution {
      const read = database.path === ":memory:"
        ? readingInMemory(database, { sql, params, maxRows })
        : reads.start(sql, params, { maxRows, maxBytes });
      if (!write) return read;
      return readingFirst(read, () => writing(database, following, { sql, params, user, maxRows }));
    }

    return { queries: queries({ ...limits, clock, log, execute, publish }), tables: following, reads };
  }

  const start: SqlEvents["start"] = (sql, params = [], how = {}) => open().start(sql, params, how);

  return built({
    name: "sql_events",
    api: {
      notifyQueryStarted: (data) => publish("query:started", data),
      notifyQueryProgress: (data) => publish("query:progress", data),
      notifyQueryComplete: (data) => publish("query:complete", data),
      notifyQueryError: (data) => publish("query:error", data),
      notifyQueryCancelled: (data) => publish("query:cancelled", data),
      notifyTableCreated: (data) => publish("table:created", data),
      notifyTableModified: (data) => publish("table:modified", data),
      notifyTableDropped: (data) => publish("table:dropped", data),
      // `async`, so that a refusal rejects.
      run: async (sql, params, how) => await start(sql, params, how).result,
      start,
      cancel: (queryId) => running?.queries.cancel(queryId) ?? Promise.resolve(false),
      get running() {
        return running?.queries.running ?? [];
      },
    },
    start(given) {
      host = given;
      release = channels.extend({ name: "sql_events", beforePublish: refuseClients });
      if (store !== undefined) running = begin(given, store);
    },
    drain: () => running?.queries.end(),
    async stop() {
      release?.();
      running?.tables.stop();
      running?.queries.end();
      await running?.reads.end();
    },
  }, options);
}

function refuseClients({ channel, client }: Publishing): undefined {
  if (client === undefined || !Object.values<string>(CHANNELS).includes(channel)) return;
  throw new PlugboardError("permission_denied", `Only the server publishes in "${channel}"`);
}

function checked(options: SqlEventsOptions) {
  const { channels: _, store: __, runIn, ...given } = options;
  const limits = {
    maxQueries: 4,
    maxQueriesPerUser: 2,
    maxRows: 1_000,
    maxBytes: 4_194_304,
    maxMs: 300_000,
    maxMemoryBytes: 268_435_456,
    progressMs: 250,
    ...given,
  };
  const check = checkOptions("sql_events");
  for (const [name, value] of Object.entries(limits)) check.positiveInteger(name, value!);
  check.oneOf("runIn", runIn, ["process", "worker", undefined]);
  return { ...limits, runIn };
}
