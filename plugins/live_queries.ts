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

import { createHash } from "node:crypto";
import { stripTypeScriptTypes } from "node:module";
import { checkOptions, type Host, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import { liveBroker } from "./live_queries/broker.ts";
import { channelOf, LIVE } from "./live_queries/params.ts";
import { type QueryDefinition, type QueryMetrics, QueryRegistry } from "./live_queries/registry.ts";
import type { Row } from "./live_queries/result.ts";
import type { LiveStore } from "./live_queries/schema.ts";
import type { Params } from "./live_queries/values.ts";
import liveRowsSource from "./live_queries/live_rows.ts" with { type: "text" };
import { type Metrics, SECONDS } from "./shared/metrics.ts";

export { type LiveMessage, type LiveRows, liveRows } from "./live_queries/live_rows.ts";
export type { ParamType, ParamTypes } from "./live_queries/params.ts";
export type { QueryDefinition } from "./live_queries/registry.ts";
export type { Diff, Row, Snapshot } from "./live_queries/result.ts";
export type { LiveStore } from "./live_queries/schema.ts";
export type { Params, SqlValue } from "./live_queries/values.ts";

/** Options of {@linkcode liveQueries}. */
export interface LiveQueriesOptions {
  /** The database; without one there are only queries of other databases, see `notifyQueryUpdate`. */
  store?: LiveStore;
  /** What clients subscribe to. */
  channels: Channels;
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
  /** Follows a query from within: `listener` gets the diffs. */
  watch(name: string, params: Params, listener: (diff: unknown) => void): Watch;
  /**
   * Subscribes a client to free SQL, with parameters by name or by number (`$1`). Resolves to an id for
   * {@linkcode LiveQueries.unsubscribeFromQuery}, which is also the channel the client hears.
   */
  subscribeToQuery(client: string, sql: string, params?: Params | readonly Params[string][]): Promise<string>;
  /** Ends such a subscription; `false` if there was none. */
  unsubscribeFromQuery(subscription: string): boolean;
  /**
   * Tells the result of a query in a database that this server does not see; those who asked for it by
   * `subscribeToQuery` get what changed. Without parameters, whatever the parameters were. Returns the number of
   * queries that were told.
   */
  notifyQueryUpdate(sql: string, rows: readonly Row[], params?: Params | readonly Params[string][]): number;
  /** Runs what was woken now: when it returns, all diffs are on their way to their listeners. */
  settle(): void;
  /** How many queries are alive. */
  readonly size: number;
}

/** The code that ends the subscription of a query that failed; SDKs do not come back by themselves. */
const FAILED = 2100;

/** Keeps queries up to date. */
export function liveQueries(options: LiveQueriesOptions): Plugin<LiveQueries> {
  const { store, channels, metrics } = options;
  const { maxRows = 10_000, maxMs = 1_000, maxInstances = 100_000, burstMs = 5, lingerMs = 30_000 } = options;
  const check = checkOptions("live_queries");
  for (const [name, value] of Object.entries({ maxRows, maxMs, maxInstances, burstMs, lingerMs })) {
    check.positiveInteger(name, value);
  }
  const definitions = new Map<string, QueryDefinition>();
  const counted = metrics === undefined ? undefined : countedBy(metrics, () => registry?.size ?? 0);
  /** Free queries by subscription: who hears which channel. */
  const free = new Map<string, { client: string; channel: string }>();
  let registry: QueryRegistry | undefined;
  let release: (() => void)[] = [];

  const broker = liveBroker(
    (channel) => registry?.find(channel),
    (channel, instance) => registry?.left(channel, instance),
  );

  function running(): QueryRegistry {
    if (registry === undefined) {
      throw new PlugboardError("not_started", "Live queries run once the server has started");
    }
    return registry;
  }

  async function start(host: Host): Promise<void> {
    registry = new QueryRegistry({
      store,
      clock: host.clock,
      log: host.log,
      limits: { maxRows, maxMs, maxInstances, burstMs, lingerMs },
      metrics: counted,
      broker,
      close: (channel, reason) => void channels.closeChannel(channel, { code: FAILED, reason }),
    }, definitions);
    await channels.addNamespace(LIVE.slice(0, -1), {
      broker,
      recovery: "always",
      historySize: 100,
      subscribe: "anyone", // decided below, by the query
      publish: "nobody",
      historyAccess: "nobody",
      joinLeave: "off",
    });
    release = [channels.extend({
      name: "live_queries",
      beforeSubscribe(client, channel, { serverSide }) {
        if (!channel.startsWith(LIVE)) return;
        const open = serverSide ? running().find(channel) : undefined;
        const instance = open ?? running().open(channel, client.identity);
        return {
          data: ({ recovered }) =>
            recovered ? undefined : { json: instance.snapshot, offset: instance.offset },
        };
      },
      identified(client) {
        for (const { channel, serverSide } of client.subscriptions.values()) {
          if (!channel.startsWith(LIVE) || serverSide) continue;
          try {
            running().open(channel, client.identity);
          } catch {
            client.expel(channel, { code: 2000, reason: "permission denied" });
          }
        }
      },
    })];
  }

  return {
    name: "live_queries",
    api: {
      define(name, definition) {
        check.that(/^[\w.-]+$/.test(name), "name", "letters, digits, dots and dashes", name);
        check.that(!definitions.has(name), "name", "without another query of that name", name);
        registry?.declare(name, definition);
        definitions.set(name, definition);
        return () => {
          definitions.delete(name);
          registry?.undeclare(name);
        };
      },
      watch(name, params, listener) {
        const channel = channelOf(name, params);
        const instance = running().open(channel, undefined);
        const stop = channels.subscribe(channel, listener);
        return { snapshot: JSON.parse(instance.snapshot), stop };
      },
      async subscribeToQuery(client, sql, params = {}) {
        const channel = adHocChannel(sql, byName(params));
        if (store === undefined) running().openExternal(channel, sql);
        else running().openAdHoc(channel, sql, byName(params), true);
        await channels.subscribeClients({ client }, channel);
        const id = `${channel}@${client}`;
        free.set(id, { client, channel });
        return id;
      },
      unsubscribeFromQuery(id) {
        const subscription = free.get(id);
        if (subscription === undefined) return false;
        free.delete(id);
        channels.unsubscribeClients({ client: subscription.client }, subscription.channel);
        return true;
      },
      notifyQueryUpdate(sql, rows, params) {
        const id = params === undefined ? undefined : adHocChannel(sql, byName(params));
        const told = running().bySql(sql).filter((instance) => id === undefined || instance.id === id);
        for (const instance of told) running().put(instance, rows);
        return told.length;
      },
      settle: () => registry?.settle(),
      get size() {
        return registry?.size ?? 0;
      },
    },
    start,
    routes(app) {
      // For browsers: the module an app imports to keep rows up to date.
      const module = stripTypeScriptTypes(liveRowsSource);
      app.get(
        "/live_rows.js",
        (c) => c.body(module, 200, { "content-type": "text/javascript; charset=utf-8" }),
      );
    },
    stop() {
      for (const end of release.splice(0)) end();
      registry?.stop();
      free.clear();
    },
    close({ id }) {
      for (const [subscription, { client }] of free) if (client === id) free.delete(subscription);
    },
  };
}

function countedBy(metrics: Metrics, size: () => number): QueryMetrics {
  metrics.gauge("plugboard_live_queries", "Live queries with different parameters", size);
  return {
    wakes: metrics.counter("plugboard_live_query_wakes_total", "Live queries woken by writes"),
    diffs: metrics.counter("plugboard_live_query_diffs_total", "Changes of results that were published"),
    runs: metrics.histogram("plugboard_live_query_run_seconds", "Time of a run", SECONDS),
  };
}

/** Parameters in a list are called by their number. */
function byName(params: Params | readonly Params[string][]): Params {
  return Array.isArray(params)
    ? Object.fromEntries(params.map((value, i) => [String(i + 1), value]))
    : params as Params;
}

/** One channel for each SQL text and parameters. Clients cannot open it themselves: it is not declared. */
function adHocChannel(sql: string, params: Params): string {
  return channelOf(`sql.${createHash("sha256").update(sql).digest("base64url")}`, params);
}
