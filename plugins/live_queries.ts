/**
 * Live queries: SQL queries whose results stay up to date.
 *
 * A query is declared with its SQL and its parameters. Clients subscribe to the channel `live:` plus the query's name
 * and parameters. The subscription's data is the rows; the publications that follow are changes of them.
 *
 * ```ts ignore
 * const queries = server.use(liveQueries({ store, channels: bus }));
 * queries.define("ordersByStatus", {
 *   sql: "SELECT id, customer, total FROM orders WHERE status = :status ORDER BY id LIMIT 100",
 *   params: { status: "string" },
 *   allow: (identity) => identity.can("read", "orders"),
 * });
 * // A client subscribes to "live:ordersByStatus?status=pending".
 * ```
 *
 * An instance is a query with certain parameters. A write wakes the instances that it can affect, by table, column and
 * value. Each of them runs once for a burst of writes, for all its subscribers, and reads only committed states.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";
import { built, checkOptions, type Host, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Channels } from "./channels.ts";
import { serverSqlChannel, serverSqlName } from "./live_queries/ad_hoc_sql.ts";
import type { AnyQuery } from "./live_queries/definition.ts";
import { checkDefinition } from "./live_queries/definition.ts";
import { LiveQueryEngine } from "./live_queries/engine.ts";
import liveRowsSource from "./shared/live_rows.ts" with { type: "text" };
import { countersIn } from "./live_queries/counters.ts";
import {
  externalSource,
  isolatedSource,
  type LiveStore,
  noSource,
  storeSource,
} from "./live_queries/source.ts";
import { splitChannel } from "./live_queries/params.ts";
import { describeInstances, describeQueries, explain } from "./live_queries/report.ts";
import { subscribing } from "./live_queries/subscribing.ts";
import type { LiveQueries } from "./live_queries/types.ts";
import type { IsolatedReads } from "./persistence.ts";
import { defineEach } from "./shared/contract.ts";
import { LIVE, queryChannel } from "./shared/live_channels.ts";
import liveChannelsSource from "./shared/live_channels.ts" with { type: "text" };
import type { Metrics } from "./shared/metrics.ts";
import { inSlices } from "./shared/slices.ts";
import { Payload } from "./shared/payload.ts";

export type { Cause, Counts, InstanceInfo, QueryInfo } from "./live_queries/activity.ts";
export {
  type AnyQuery,
  type CheckedParams,
  type GivenParams,
  query,
  type QueryDefinition,
  type QueryParams,
} from "./live_queries/definition.ts";
export { type LiveMessage, type LiveRows, liveRows } from "./shared/live_rows.ts";
export type { ParamType, ParamTypes } from "./live_queries/params.ts";
export type { Diff, Row, Snapshot } from "./live_queries/result.ts";
export type { LiveStore } from "./live_queries/source.ts";
export type * from "./live_queries/types.ts";
export type { Arguments, Params, SqlValue } from "./live_queries/values.ts";
export { sqlChannel, type SqlParams } from "./shared/live_channels.ts";

/** Options of {@linkcode liveQueries}. */
export interface LiveQueriesOptions {
  /** The database. Without it, the only queries are those of an external database, see `notifyQueryUpdate`. */
  store?: LiveStore;
  /** The channels that clients subscribe to. */
  channels: Pick<
    Channels,
    | "addNamespace"
    | "clientOf"
    | "closeChannel"
    | "extend"
    | "stats"
    | "subscribe"
    | "subscribeClients"
    | "unsubscribeClients"
  >;
  /**
   * Runs the SQL of clients with the permission `query:*`, in processes of its own: without `--allow-run` it is refused.
   * It can read every table except those of plugins.
   * Without this option, clients can only subscribe to declared queries.
   */
  clientSql?: Pick<IsolatedReads, "inspect" | "read"> | undefined;
  /** Counts wakes, runs and diffs. */
  metrics?: Metrics;
  /** Maximum rows of a result. @default {10000} */
  maxRows?: number;
  /** Maximum time of a run; a query that takes longer is ended, and refused for a minute. @default {1000} */
  maxMs?: number;
  /** Maximum live queries with different parameters. @default {100000} */
  maxInstances?: number;
  /** How long to wait for more writes before a query runs again. @default {5} */
  burstMs?: number;
  /** How long a query without subscribers is kept, so that clients that reconnect can recover. @default {30000} */
  lingerMs?: number;
}

/** Keeps the results of queries up to date. */
export function liveQueries(options: LiveQueriesOptions): Plugin<LiveQueries> {
  const { store, channels, clientSql, metrics } = options;
  const { maxRows = 10_000, maxMs = 1_000, maxInstances = 100_000, burstMs = 5, lingerMs = 30_000 } = options;
  const check = checkOptions("live_queries");
  for (const [name, value] of Object.entries({ maxRows, maxMs, maxInstances, burstMs, lingerMs })) {
    check.positiveInteger(name, value);
  }
  /** Declared queries, and once started the functions that remove them from the engine. */
  const declared = new Map<string, { definition: AnyQuery; remove: (() => void) | undefined }>();
  let engine: LiveQueryEngine | undefined;
  const counters = metrics && countersIn(metrics, () => engine?.size ?? 0);
  let release: (() => void)[] = [];

  function running(): LiveQueryEngine {
    if (engine === undefined) {
      throw new PlugboardError("not_started", "Live queries run once the server has started");
    }
    if (store?.inTransaction) {
      throw new PlugboardError(
        "in_transaction",
        "Live queries show committed rows; they cannot be used inside a write",
      );
    }
    return engine;
  }

  async function start({ clock, log }: Host): Promise<void> {
    const watch = store?.watch((changes): void => started.committed(changes), []);
    const started = engine = new LiveQueryEngine({
      source: store === undefined ? noSource : storeSource(store, maxRows),
      clock,
      log,
      limits: { maxMs, maxInstances, burstMs, lingerMs },
      metrics: counters,
      watch,
      closeChannel(channel, why) {
        channels.closeChannel(channel, why)
          .catch((error) => log.warn("a query's subscriptions were not ended", { channel, error }));
      },
    });
    release = [() => watch?.stop(), () => started.stop()];
    for (const [name, query] of declared) query.remove = started.declare(name, query.definition);
    await channels.addNamespace(LIVE.slice(0, -1), {
      broker: started.broker,
      recovery: "always",
      subscribe: "anyone", // the extension decides by the query
      publish: "nobody",
      historyAccess: "nobody",
      joinLeave: "off",
      maxNameBytes: 4_096, // names that contain SQL are long
    });
    const isolated = store && clientSql && isolatedSource(clientSql, store, { maxRows, maxMs });
    release.push(channels.extend(subscribing(running, isolated)));
  }

  function define(name: string, definition: AnyQuery): () => void {
    checkDefinition(name, definition);
    check.that(!declared.has(name), "name", "unique among all queries", name);
    const query = { definition, remove: engine?.declare(name, definition) };
    declared.set(name, query);
    return () => {
      if (declared.get(name) !== query) return;
      declared.delete(name);
      query.remove?.();
    };
  }

  return built({
    name: "live_queries",
    api: {
      check(name, definition) {
        checkDefinition(name, definition);
        engine?.catalog.check(definition);
      },
      has: (name) => declared.has(name),
      define,
      defineAll: (definitions) => defineEach(definitions, define),
      watch(name, params, listener, ended) {
        const channel = queryChannel(name, params);
        const instance = running().open(channel, running().catalog.requestNow(channel, undefined));
        const end = (reason: string) => {
          stop();
          ended?.(reason);
        };
        let stopped = false;
        // Diffs that were published before the stop may arrive after it.
        const unsubscribe = channels.subscribe(channel, (diff) => stopped || listener(diff));
        const stop = () => {
          stopped = true;
          unsubscribe();
          instance.onEnd?.delete(end);
        };
        (instance.onEnd ??= new Set()).add(end);
        return { snapshot: JSON.parse(instance.snapshot), stop };
      },
      read(name, params, identity) {
        if (identity === undefined && !declared.has(name)) {
          throw new PlugboardError("not_found", `There is no query "${name}"`);
        }
        const channel = queryChannel(name, params);
        const { snapshot } = running().open(channel, running().catalog.requestNow(channel, identity));
        return Payload.fromValidJson(snapshot);
      },
      async end(target, name, params = {}) {
        const { catalog } = running();
        const { id } = await catalog.request(queryChannel(name, params), undefined);
        const { channels: inUse, silent } = await channels.stats();
        if (silent.length > 0) throw new PlugboardError("unavailable", `No answer from ${silent.join(", ")}`);
        const ended = await inSlices(inUse, async ({ channel }) => {
          if (!channel.startsWith(LIVE) || splitChannel(channel).name !== name) return 0;
          const request = await catalog.request(channel, undefined);
          return request.id === id ? await channels.unsubscribeClients(target, channel) : 0;
        });
        return ended.reduce((sum, each) => sum + each, 0);
      },
      async subscribeToQuery(client, sql, params = {}) {
        const channel = serverSqlChannel(sql, params);
        const query = running().catalog.adHoc(serverSqlName(sql), sql, store ? undefined : externalSource);
        running().open(channel, { query, id: channel, params });
        await channels.subscribeClients({ client }, channel);
        return `${channel}@${client}`;
      },
      async unsubscribeFromQuery(id) {
        const [channel = "", client] = id.split("@");
        return client !== undefined && await channels.unsubscribeClients({ client }, channel) > 0;
      },
      notifyQueryUpdate(sql, rows, params) {
        const id = params && serverSqlChannel(sql, params);
        const all = [...running().catalog.instancesOf(serverSqlName(sql))];
        const updated = all.filter((instance) => id === undefined || instance.id === id);
        for (const instance of updated) running().setRows(instance, rows);
        return updated.length;
      },
      describe: () => describeQueries(running()),
      instances: (name, limit = 100) => describeInstances(running(), name, limit),
      explain: (name) => explain(running(), store, name),
      settle: () => running().settle(),
      async settled(conn, commit) {
        const client = conn && channels.clientOf(conn.id);
        await running().settled(client?.subscriptions.keys() ?? [], commit);
      },
      get size() {
        return engine?.size ?? 0;
      },
    },
    start,
    routes(app) {
      // The module for browsers. It is public, so pages of any origin may import it.
      const module = stripTypeScriptTypes(liveChannelsSource + liveRowsSource);
      const headers = {
        "content-type": "text/javascript; charset=utf-8",
        "access-control-allow-origin": "*",
      };
      app.get("/live_rows.js", (c) => c.body(module, 200, headers));
    },
    stop() {
      for (const end of release.splice(0)) end();
    },
  }, options);
}
