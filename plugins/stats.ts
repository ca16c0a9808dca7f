/**
 * Statistics: health, metrics and counts for operators and charts.
 *
 * `GET /health` (also `/health/live` and `/health/ready`), `GET /metrics` for Prometheus, `GET /api/stats` as JSON. The
 * last two can be on another listener.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { stats } from "@plugboard/server/stats";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * const numbers = server.use(stats({ channels: bus }));
 * console.log(numbers.activeConnections());
 * ```
 *
 * @module
 */

import type { MiddlewareHandler } from "@hono/hono";
import {
  type App,
  built,
  type Connection,
  type Host,
  type MaybePromise,
  type Plugin,
  refusal,
  type RequestInfo,
  systemClock,
  unlessUpgraded,
} from "../core/mod.ts";
import type { Access } from "./auth.ts";
import type { Channels, ChannelStats } from "./channels.ts";
import type { RateLimits } from "./rate_limits.ts";
import { isLoopback } from "./shared/client_ip.ts";
import { type HealthCheck, healthResponse } from "./shared/health.ts";
import { type MetricsRegistry, metricsRegistry } from "./shared/metrics.ts";
import type { Figures } from "./stats/figures.ts";
import { History } from "./stats/history.ts";
import { Journal, type JournalEntry, type JournalFilter, LimitEntries } from "./stats/journal.ts";
import { measure } from "./stats/measure.ts";
import { exportByOpenTelemetry } from "./stats/otel.ts";

export type { Figures } from "./stats/figures.ts";
export type { JournalEntry, JournalFilter } from "./stats/journal.ts";
export {
  type Counter,
  type Histogram,
  type Metrics,
  type MetricsRegistry,
  metricsRegistry,
} from "./shared/metrics.ts";

/** Options of {@linkcode stats}. */
export interface StatsOptions {
  /** The channels to measure. */
  channels: Pick<Channels, "extend" | "clientOf" | "clients" | "localStats">;
  /** Whose sign-ins the journal has. @default {none: it has only disconnects and recoveries} */
  access?: Pick<Access, "onSignedIn">;
  /** Whose refusals the journal has. @default {none} */
  limits?: Pick<RateLimits, "onRefused">;
  /** The registry. Pass the same one to the plugins that take `metrics`. */
  metrics?: MetricsRegistry;
  /** Returns whether a caller may read `/metrics` and `/api/stats`. @default {callers on this machine} */
  allow?: (request: Request, ip: string) => MaybePromise<boolean>;
  /**
   * Whether `/metrics` and `/api/stats` are next to `/health`. If not, {@linkcode Stats.addMetrics} adds them elsewhere.
   * @default {true}
   */
  serveMetrics?: boolean;
  /** Health checks for `/health`. Each returns a sentence if something is wrong. */
  checks?: readonly HealthCheck[];
  /** Whether to export through OpenTelemetry; needs the runtime's `OTEL_DENO=true`. @default {false} */
  otel?: boolean;
}

/** A connection, for operators. */
export interface ConnectionInfo {
  /** The connection id. */
  readonly id: string;
  /** The name of the endpoint. */
  readonly protocol: string;
  /** The IP address. */
  readonly ip: string;
  /** The user id; empty before sign-in and for an anonymous client. */
  readonly user: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  /** The channels it is subscribed to. */
  readonly channels: readonly string[];
}

/** What stats offers to other plugins and to the app. */
export interface Stats {
  /** The registry. */
  readonly metrics: MetricsRegistry;
  /** Adds `/metrics` and `/api/stats`: `server.use({ name: "metrics", routes: numbers.addMetrics }, { listener })`. */
  addMetrics(app: App): void;
  /** Returns totals and rates, as in `/api/stats`. */
  summary(): StatsSummary;
  /** Returns the figures of each of the last 600 seconds, or of those after a time, the oldest first. */
  figures(after?: number): readonly Figures[];
  /** Calls back with the figures of each second. Returns the function that ends it. */
  onFigures(listener: (figures: Figures) => void): () => void;
  /** Returns the latest connects, disconnects, recoveries and limits, of a user or a client or all, the newest first. */
  journal(of: JournalFilter): JournalEntry[];
  /** Returns the active channels, or one. */
  channelStats(channel?: string): ChannelStats[];
  /** Returns the open connections, or one. */
  clientInfo(id?: string): ConnectionInfo[];
  /** Returns the number of open connections. */
  activeConnections(): number;
}

/** Statistics at a point in time. */
export interface StatsSummary {
  /** Counters and gauges by name, summed over their labels. */
  readonly totals: Readonly<Record<string, number>>;
  /** Growth per second over the last 1, 10 and 60 seconds. */
  readonly rates: Readonly<Record<"1s" | "10s" | "60s", Readonly<Record<string, number>>>>;
  /** Quantiles of the time from a publish call to the hand-over to the sockets, in milliseconds. */
  readonly publishLatencyMs: Readonly<Record<"p50" | "p99" | "p999", number>>;
}

/** Counts and serves statistics. */
export function stats(options: StatsOptions): Plugin<Stats> {
  const { channels, metrics = metricsRegistry(), checks = [], otel = false, serveMetrics = true } = options;
  const { access, limits } = options;
  const { allow = (_request, ip) => isLoopback(ip) } = options;
  const { extension, latency, refused, start: startMeasuring, takeLag, hooks } = measure(metrics, channels);
  const journal = new Journal();
  const limitEntries = new LimitEntries();
  /** The users of connections that have signed in. */
  const users = new WeakMap<Connection, string>();
  const entryOf = (event: JournalEntry["event"], conn: Connection): JournalEntry => {
    const time = (host?.clock ?? systemClock).wallTime();
    return { time, event, client: conn.id, user: users.get(conn) ?? "" };
  };
  const note = (event: JournalEntry["event"], conn: Connection, more: Partial<JournalEntry> = {}) =>
    journal.add({ ...entryOf(event, conn), ...more });
  const stopExtension = channels.extend({
    ...extension,
    recovered(client, channel, complete, lost) {
      extension.recovered?.(client, channel, complete, lost);
      const reason = lost === undefined ? {} : { reason: lost };
      note(complete ? "recovered" : "not recovered", client.conn, { channel, ...reason });
    },
  });
  const history = new History();
  const listeners = new Set<(figures: Figures) => void>();
  let host: Host | undefined;
  let stops: (() => void)[] = [];
  const connections = (): ReadonlySet<Connection> => host?.connections ?? new Set();

  function infoOf({ id, endpoint, ip, openedAt }: Connection): ConnectionInfo {
    const client = channels.clientOf(id);
    return {
      id,
      protocol: endpoint.name,
      ip,
      user: client?.identity.user ?? "",
      connectedAt: openedAt,
      channels: [...client?.subscriptions.keys() ?? []],
    };
  }

  function summary(): StatsSummary {
    const ms = (q: number) => latency.quantile(q) * 1000;
    return {
      totals: metrics.totals(),
      rates: { "1s": history.rates(1), "10s": history.rates(10), "60s": history.rates(60) },
      publishLatencyMs: { p50: ms(0.5), p99: ms(0.99), p999: ms(0.999) },
    };
  }

  function sample(time: number): void {
    const figures = history.add({ time, totals: metrics.totals() }, takeLag(), latency.buckets());
    if (figures !== undefined) { for (const listener of listeners) listener(figures); }
  }

  function health(): Response {
    const users = new Set(Array.from(channels.clients.values(), ({ identity }) => identity.user));
    users.delete("");
    const counts = {
      total_users: users.size,
      total_connections: connections().size,
      total_sessions: channels.clients.size,
    };
    return healthResponse(host, counts, checks);
  }

  function countRefusals(app: App): void {
    app.use(unlessUpgraded(async (c, next) => {
      await next();
      if (c.res.status >= 400) refused(c.res.status);
    }));
  }

  function addMetricsRoutes(app: App): void {
    const guard: MiddlewareHandler<{ Bindings: RequestInfo }> = async (c, next) => {
      if (await allow(c.req.raw, c.env.ip)) return await next();
      return refusal(403, "permission_denied", "Statistics need the permission to see them");
    };
    const contentType = "text/plain; version=0.0.4";
    app.get("/metrics", guard, (c) => c.text(metrics.render(), 200, { "content-type": contentType }));
    app.get("/api/stats", guard, (c) => c.json({ ...summary(), history: history.samples }));
  }

  return built({
    name: "stats",
    ...hooks,
    close(conn, why) {
      hooks.close?.(conn, why);
      note("disconnected", conn, { code: why.code, reason: why.reason, by: why.by });
    },
    api: {
      metrics,
      addMetrics(app) {
        countRefusals(app);
        addMetricsRoutes(app);
      },
      summary,
      journal: (of) => journal.of(of),
      figures: (after = 0) => history.figures.filter(({ time }) => time > after),
      onFigures(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      channelStats: (channel) => channels.localStats(channel),
      clientInfo: (id) => [...connections()].filter((conn) => id === undefined || conn.id === id).map(infoOf),
      activeConnections: () => connections().size,
    },
    start(given) {
      host = given;
      const { clock } = given;
      stops = [
        startMeasuring(given),
        clock.every(1_000, () => sample(clock.wallTime())),
        otel ? exportByOpenTelemetry(metrics) : () => {},
        access?.onSignedIn((conn, { identity }) => {
          if (identity.user === "") users.delete(conn);
          else users.set(conn, identity.user);
          journal.add(entryOf("connected", conn));
        }) ?? (() => {}),
        limits?.onRefused((conn, what) => {
          const entry = limitEntries.count(conn, what, entryOf("limited", conn));
          if (entry !== undefined) journal.add(entry);
        }) ?? (() => {}),
      ];
    },
    stop() {
      for (const stop of stops.splice(0)) stop();
      stopExtension();
    },
    routes(app) {
      countRefusals(app);
      app.get("/health/live", (c) => c.json({ status: "live" }));
      for (const path of ["/health", "/health/ready"]) app.get(path, health);
      if (serveMetrics) addMetricsRoutes(app);
    },
  }, options);
}
