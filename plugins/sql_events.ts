/**
 * SQL events: tells everybody which queries run and how far they are, and which tables come, change and go.
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
 * Events of queries are published on the channel `queries`, those of tables on `tables`; clients only listen there.
 *
 * SQLite cannot be interrupted from JavaScript. With the permission to start processes (`--allow-run`), a query that reads
 * has one, which is ended when the query is cancelled, takes too long or needs too much memory: whatever its SQL is.
 * Without, it has a worker, which stops between two rows: enough for SQL of your own, while an aggregate over too
 * much goes on until it has its row, and keeps its place so long. A query that writes, and one of a database in memory,
 * runs in the server's own thread: everybody waits for it.
 *
 * @module
 */

import { checkOptions, type Host, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import type { Params, Store } from "./persistence.ts";
import { type Execution, reading, readingFirst, readingInMemory, writing } from "./sql_events/execution.ts";
import { workerExecutor } from "./sql_events/executor.ts";
import { type Pool, pool } from "./sql_events/pool.ts";
import { processesAllowed, processExecutor } from "./sql_events/process.ts";
import { type Queries, queries } from "./sql_events/queries.ts";
import { type OpenQuietReads, type QuietReads, quietReads } from "./sql_events/quiet_reads.ts";
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

export type { QuietLimits, QuietReads } from "./sql_events/quiet_reads.ts";
export type * from "./sql_events/types.ts";

/** Where queries run that only read. */
export type RunIn = "process" | "worker";

/** Options of {@linkcode sqlEvents}. */
export interface SqlEventsOptions {
  /** Where events are published. */
  channels: Pick<Channels, "publish" | "extend">;
  /** The database that queries run in and whose tables are followed; without it there are only the notify calls. */
  store?: Pick<Store, "path" | "all" | "inspect" | "write" | "watch"> | undefined;
  /** Where queries run that only read. @default {"process" with the permission to start one, else "worker"} */
  runIn?: RunIn | undefined;
  /** Queries at once; one more is refused. @default {4} */
  maxQueries?: number;
  /** Queries at once of one user. @default {2} */
  maxQueriesPerUser?: number;
  /** Rows of a result; the others are only counted. @default {1000} */
  maxRows?: number;
  /** Bytes of those. @default {4194304} */
  maxBytes?: number;
  /** How long a query may take. @default {300000} five minutes */
  maxMs?: number;
  /** Memory for SQLite in a process; a query that needs more fails. @default {268435456} */
  maxMemoryBytes?: number;
  /** How often a query's progress is told. @default {250} */
  progressMs?: number;
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
  /**
   * Runs a query and tells everybody of it. Rejects with a `PlugboardError`; `code` is one of
   * - `overloaded`, `limit_exceeded`, `bad_request`: it was refused, and nobody is told;
   * - `cancelled`, `timeout`: it was stopped;
   * - `bad_sql`, `bad_parameter`, `not_a_read`, `out_of_memory`, `query_failed`, or any of the store's: it failed.
   */
  run(sql: string, params?: Params, options?: QueryOptions): Promise<QueryResult>;
  /** The same for who does not wait: throws when the query is refused. */
  start(sql: string, params?: Params, options?: QueryOptions): RunningQuery;
  /** Cancels a query; resolves once it has stopped, to `false` if it had ended before or there was none. */
  cancel(queryId: string): Promise<boolean>;
  /** The queries under way. */
  readonly running: readonly RunningQuery[];
  /** Reads that nobody is told of, for code that runs SQL of others again and again; of a database in a file. */
  readonly quiet: QuietReads;
}

/** The channel of each kind of event. */
const CHANNELS = { query: "queries", table: "tables" } as const;

/** Tells everybody of queries and tables. */
export function sqlEvents(options: SqlEventsOptions): Plugin<SqlEvents> {
  const { channels, store } = options;
  const settings = checked(options);
  let host: Host | undefined;
  let running:
    | { queries: Queries; tables: Tables; pool: Pool; quiet: OpenQuietReads | undefined }
    | undefined;
  let release: (() => void) | undefined;

  function tell<Type extends SqlEventType>(type: Type, data: SqlEventData[Type]): void {
    const channel = CHANNELS[type.split(":")[0] as keyof typeof CHANNELS];
    // Progress is worth nothing later, and would push what counts out of the log.
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

  function begin(given: Host, database: NonNullable<typeof store>): typeof running {
    const { path } = database;
    const { maxRows, maxBytes, maxMemoryBytes, ...limits } = settings;
    const runIn = options.runIn ?? (processesAllowed() ? "process" : "worker");
    const rule = `"worker" without the permission to run ${Deno.execPath()}, and in a compiled program`;
    checkOptions("sql_events").that(runIn === "worker" || processesAllowed(), "runIn", rule, runIn);
    const readers = pool(() => runIn === "process" ? processExecutor(path) : workerExecutor(), given.clock);
    const following = tables(database, (type, data) => tell(type, { ...data, timestamp: given.clock.now() }));

    const heapBytes = runIn === "process" ? maxMemoryBytes : 0;

    function execute(sql: string, params: Params, { write, user = "" }: QueryOptions): Execution {
      const read = path === ":memory:"
        ? readingInMemory(database, { sql, params, maxRows })
        : reading(readers, { path, sql, params, maxRows, maxBytes, heapBytes });
      if (!write) return read;
      return readingFirst(read, () => writing(database, following, { sql, params, user, maxRows }));
    }

    const { clock, log } = given;
    return {
      queries: queries({ ...limits, clock, log, execute, tell }),
      tables: following,
      pool: readers,
      quiet: path === ":memory:" ? undefined : quietReads(readers, clock, { path, heapBytes }),
    };
  }

  function quiet(): QuietReads {
    if (running?.quiet !== undefined) return running.quiet;
    throw new PlugboardError(
      "not_available",
      "There is no database in a file, so that nobody else can read it",
    );
  }

  const start: SqlEvents["start"] = (sql, params = [], how = {}) => open().start(sql, params, how);

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
      // `async`, so that a refusal rejects.
      run: async (sql, params, how) => await start(sql, params, how).result,
      start,
      cancel: (queryId) => running?.queries.cancel(queryId) ?? Promise.resolve(false),
      get running() {
        return running?.queries.running ?? [];
      },
      quiet: {
        inspect: async (sql, limits) => await quiet().inspect(sql, limits),
        read: async (sql, params, limits) => await quiet().read(sql, params, limits),
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
      running?.quiet?.end();
      await running?.pool.end();
    },
  };
}

function refuseClients(channel: string, _draft: unknown, client: unknown): undefined {
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
  for (const [name, value] of Object.entries(limits)) check.positiveInteger(name, value);
  check.oneOf("runIn", runIn, ["process", "worker", undefined]);
  return limits;
}
