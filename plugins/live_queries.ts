/**
 * Live queries: SQL queries that keep themselves up to date.
 *
 * A query is declared with its SQL and its parameters. Clients subscribe to the channel `live:` with the query's
 * name and parameters, get the rows as the subscription's data, and from then on what changes as publications.
 *
 * ```ts ignore
 * const queries = server.use(liveQueries({ store, channels: bus }));
 * queries.define("ordersByStatus", {
 *   sql: "SELECT id, customer, total FROM orders WHERE status = :status ORDER BY id LIMIT 100",
 *   params: { status: "string" },
 *   allow: (identity) => identity.can("read", "orders"),
 * });
 * // A client: subscribe to "live:ordersByStatus?status=pending".
 * ```
 *
 * A write wakes the instances it may concern, by table, column and value; each runs once for a burst of writes,
 * however many listen, and only in committed states.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";
import { checkOptions, type Connection, type Host, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import { liveBroker } from "./live_queries/broker.ts";
import { CODES, extension } from "./live_queries/extension.ts";
import { ownChannel, ownName } from "./live_queries/free_sql.ts";
import type { Ending, QueryMetrics } from "./live_queries/instances.ts";
import { channelOf, LIVE, PARAM_TYPES } from "./live_queries/params.ts";
import type { QueryDefinition } from "./live_queries/query.ts";
import { QueryRegistry } from "./live_queries/registry.ts";
import type { Row } from "./live_queries/result.ts";
import { type LiveStore, Schema } from "./live_queries/schema.ts";
import { isolatedSource, nowhere, storeSource, told } from "./live_queries/source.ts";
import type { Arguments, Params } from "./live_queries/values.ts";
import { tokenize } from "./live_queries/tokens.ts";
import { watchers } from "./live_queries/watchers.ts";
import liveRowsSource from "./live_queries/live_rows.ts" with { type: "text" };
import type { IsolatedReads } from "./persistence.ts";
import { type Metrics, SECONDS } from "./shared/metrics.ts";

export { type LiveMessage, type LiveRows, liveRows, sqlChannel } from "./live_queries/live_rows.ts";
export type { ParamType, ParamTypes } from "./live_queries/params.ts";
export type { QueryDefinition } from "./live_queries/query.ts";
export type { Diff, Row, Snapshot } from "./live_queries/result.ts";
export type { LiveStore } from "./live_queries/schema.ts";
export type { Arguments, Params, SqlValue } from "./live_queries/values.ts";

/** Options of {@linkcode liveQueries}. */
export interface LiveQueriesOptions {
  /** The database; without one there are only queries of other databases, see `notifyQueryUpdate`. */
  store?: LiveStore;
  /** What clients subscribe to. */
  channels: Channels;
  /**
   * Runs the SQL of clients who have the permission `query:*`, which reads every table, those of plugins too.
   * Without it, clients have only the queries that were declared.
   */
  clientSql?: Pick<IsolatedReads, "inspect" | "read"> | undefined;
  /** Where wakes, runs and diffs are counted. */
  metrics?: Metrics;
  /** Rows one query may give. @default {10000} */
  maxRows?: number;
  /** How long one run may take; a query that takes longer is ended and refused for a minute. @default {1000} */
  maxMs?: number;
  /** Queries with different parameters that may live at once. @default {100000} */
  maxInstances?: number;
  /** How long after a write to wait for more before running. @default {5} */
  burstMs?: number;
  /** How long a query nobody listens to stays, for those who come back. @default {30000} */
  lingerMs?: number;
}

/** A query that is followed within this process. */
export interface Watch {
  /** The snapshot, as a client gets it. */
  readonly snapshot: { readonly key: readonly string[] | null; readonly rows: readonly Row[] };
  /** Ends it. */
  stop(): void;
}

/** What live queries offer to other plugins and to the app. */
export interface LiveQueries {
  /** Declares a query; throws a sentence if it is wrong. Returns the function that removes it. */
  define(name: string, definition: QueryDefinition): () => void;
  /** Follows a query from within: `listener` gets the diffs; `ended` the reason when the query has failed. */
  watch(
    name: string,
    params: Params,
    listener: (diff: unknown) => void,
    ended?: (reason: string) => void,
  ): Watch;
  /**
   * Subscribes a client to SQL of the server's own, with parameters by name, or in a list by number (`?`, `$1`).
   * Resolves to an id for {@linkcode LiveQueries.unsubscribeFromQuery}.
   */
  subscribeToQuery(client: string, sql: string, params?: Arguments): Promise<string>;
  /** Ends such a subscription; `false` if there was none. */
  unsubscribeFromQuery(subscription: string): boolean;
  /**
   * Tells the result of a query in a database that this server does not see; those who asked for it by
   * `subscribeToQuery` get what changed. Without parameters, whatever the parameters were. Returns the number of
   * queries that were told.
   */
  notifyQueryUpdate(sql: string, rows: readonly Row[], params?: Arguments): number;
  /** Runs what was woken now: when it returns, all diffs are on their way to their listeners. */
  settle(): void;
  /**
   * Runs what was woken soon; resolves when the diffs that a connection is to hear are on their way. An expensive query
   * is waited for, not hurried.
   */
  settled(conn?: Connection): Promise<void>;
  /** How many queries are alive. */
  readonly size: number;
}

/** A channel that has SQL in its name has a longer one. */
const MAX_NAME_BYTES = 4_096;

/** Keeps queries up to date. */
export function liveQueries(options: LiveQueriesOptions): Plugin<LiveQueries> {
  const { store, channels, clientSql, metrics } = options;
  const { maxRows = 10_000, maxMs = 1_000, maxInstances = 100_000, burstMs = 5, lingerMs = 30_000 } = options;
  const check = checkOptions("live_queries");
  for (const [name, value] of Object.entries({ maxRows, maxMs, maxInstances, burstMs, lingerMs })) {
    check.positiveInteger(name, value);
  }
  const definitions = new Map<string, QueryDefinition>();
  const counted = metrics === undefined ? undefined : countedBy(metrics, () => registry?.instances.size ?? 0);
  const following = watchers(channels);
  let registry: QueryRegistry | undefined;
  let release: (() => void)[] = [];

  const broker = liveBroker({
    find: (channel) => registry?.instances.find(channel),
    heard: (instance) => registry?.instances.heard(instance),
    left: (channel, instance) => registry?.instances.left(channel, instance),
  });

  function running(): QueryRegistry {
    if (registry === undefined) {
      throw new PlugboardError("not_started", "Live queries run once the server has started");
    }
    if (store?.inTransaction) {
      throw new PlugboardError(
        "in_transaction",
        "Live queries show what is committed: not from within a write",
      );
    }
    return registry;
  }

  function close(channel: string, why: Ending, reason: string): void {
    following.end(channel, reason);
    channels.closeChannel(channel, { code: CODES[why], reason });
  }

  async function start({ clock, log }: Host): Promise<void> {
    const schema = store && new Schema(store);
    const watch = store?.watch((changes) => {
      if (changes.schema) schema!.forget();
      queries.committed(changes);
    }, []);
    const queries = registry = new QueryRegistry({
      source: store === undefined ? nowhere : storeSource(store, schema!, maxRows),
      clock,
      log,
      limits: { maxMs, maxInstances, burstMs, lingerMs },
      metrics: counted,
      broker,
      watch,
      close,
    });
    release = [() => watch?.stop(), () => queries.stop()];
    for (const [name, definition] of definitions) queries.declare(name, definition);
    await channels.addNamespace(LIVE.slice(0, -1), {
      broker,
      recovery: "always",
      subscribe: "anyone", // decided below, by the query
      publish: "nobody",
      historyAccess: "nobody",
      joinLeave: "off",
      maxNameBytes: MAX_NAME_BYTES,
    });
    const remote = schema && clientSql && isolatedSource(clientSql, schema, { maxRows, maxMs });
    release.push(channels.extend(extension(running, remote)));
  }

  return {
    name: "live_queries",
    api: {
      define(name, definition) {
        check.that(/^[\w.-]+$/.test(name), "name", "letters, digits, dots and dashes", name);
        check.that(!/^sql(\.|$)/.test(name), "name", 'another than "sql", which is free SQL', name);
        check.that(!definitions.has(name), "name", "without another query of that name", name);
        checkDefinition(name, definition);
        registry?.declare(name, definition);
        definitions.set(name, definition);
        return () => {
          if (definitions.get(name) !== definition) return;
          definitions.delete(name);
          registry?.undeclare(name);
        };
      },
      watch(name, params, listener, ended) {
        const channel = channelOf(name, params);
        const { snapshot } = running().open(channel, undefined);
        return { snapshot: JSON.parse(snapshot), stop: following.add(channel, listener, ended) };
      },
      async subscribeToQuery(client, sql, params = {}) {
        const channel = ownChannel(sql, params);
        running().openOwn(ownName(sql), channel, sql, params, store === undefined ? told : undefined);
        await channels.subscribeClients({ client }, channel);
        return `${channel}@${client}`;
      },
      unsubscribeFromQuery(id) {
        const [channel, client] = id.split("@") as [string, string | undefined];
        return client !== undefined && channels.unsubscribeClients({ client }, channel) > 0;
      },
      notifyQueryUpdate(sql, rows, params) {
        const id = params === undefined ? undefined : ownChannel(sql, params);
        const all = [...running().own(ownName(sql))];
        const concerned = all.filter((instance) => id === undefined || instance.id === id);
        for (const instance of concerned) running().put(instance, rows);
        return concerned.length;
      },
      settle: () => running().instances.settle(),
      async settled(conn) {
        const client = conn && channels.clientOf(conn.id);
        await running().settled(client?.subscriptions.keys() ?? []);
      },
      get size() {
        return registry?.instances.size ?? 0;
      },
    },
    start,
    routes(app) {
      // For browsers: the module an app imports to keep rows up to date. Pages of any origin may: it is no secret.
      const module = stripTypeScriptTypes(liveRowsSource);
      const headers = {
        "content-type": "text/javascript; charset=utf-8",
        "access-control-allow-origin": "*",
      };
      app.get("/live_rows.js", (c) => c.body(module, 200, headers));
    },
    stop() {
      for (const end of release.splice(0)) end();
    },
  };
}

function checkDefinition(name: string, { sql, params = {}, key, refreshMs }: QueryDefinition): void {
  const check = checkOptions(`the live query "${name}"`);
  check.filled("sql", sql);
  for (const [param, type] of Object.entries(params)) check.oneOf(`params.${param}`, type, PARAM_TYPES);
  const used = new Set(
    tokenize(sql).flatMap(({ type, text }) => type === "param" ? [text.replace(/^[:@$]/, "")] : []),
  );
  const same = used.size === Object.keys(params).length &&
    [...used].every((name) => Object.hasOwn(params, name));
  check.that(same, "params", `the names that the SQL has (${[...used]})`, Object.keys(params));
  if (key !== undefined) check.that(Array.isArray(key) && key.length > 0, "key", "a list of columns", key);
  if (refreshMs !== undefined) check.positiveInteger("refreshMs", refreshMs);
}

function countedBy(metrics: Metrics, size: () => number): QueryMetrics {
  metrics.gauge("plugboard_live_queries", "Live queries with different parameters", size);
  return {
    wakes: metrics.counter("plugboard_live_query_wakes_total", "Live queries woken by writes"),
    diffs: metrics.counter("plugboard_live_query_diffs_total", "Changes of results that were published"),
    runs: metrics.histogram("plugboard_live_query_run_seconds", "Time of a run", SECONDS),
  };
}
