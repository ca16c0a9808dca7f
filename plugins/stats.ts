/**
 * Statistics: what the server does, for operators and for charts.
 *
 * `GET /health` (also `/health/live` and `/health/ready`), `GET /metrics` for Prometheus, `GET /api/stats` as JSON.
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

import {
  type App,
  type Connection,
  type Host,
  type MaybePromise,
  type Plugin,
  refusal,
} from "../core/mod.ts";
import type { Channels, ChannelStats } from "./channels.ts";
import { type HealthCheck, healthResponse } from "./shared/health.ts";
import { type MetricsRegistry, metricsRegistry, SECONDS } from "./shared/metrics.ts";
import { measureChannels } from "./stats/channel_metrics.ts";
import { SampleRing } from "./stats/history.ts";
import { exportByOpenTelemetry } from "./stats/otel.ts";
import { measureProcess } from "./stats/process_metrics.ts";

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
  channels: Channels;
  /** Where everything is counted; hand the same one to the plugins that count for themselves. */
  metrics?: MetricsRegistry;
  /** Whether a caller may see `/metrics` and `/api/stats`. @default {callers on this machine} */
  allow?: (request: Request, ip: string) => MaybePromise<boolean>;
  /** Asked for `/health`: each tells in a sentence what is wrong, if anything is. */
  checks?: readonly HealthCheck[];
  /** Also export through OpenTelemetry; needs the runtime's `OTEL_DENO=true`. @default {false} */
  otel?: boolean;
}

/** A connection, as operators see it. */
export interface ConnectionInfo {
  /** Its id. */
  readonly id: string;
  /** The protocol it speaks. */
  readonly protocol: string;
  /** Its address. */
  readonly ip: string;
  /** Empty before it has signed in, and for somebody anonymous. */
  readonly user: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  /** What it is subscribed to. */
  readonly channels: readonly string[];
}

/** What stats offers to other plugins and to the app. */
export interface Stats {
  /** Where everything is counted. */
  readonly metrics: MetricsRegistry;
  /** Totals and rates, as `/api/stats` gives them. */
  summary(): StatsSummary;
  /** The channels in use, or one. */
  channelStats(channel?: string): ChannelStats[];
  /** The connections, or one. */
  clientInfo(id?: string): ConnectionInfo[];
  /** How many connections there are. */
  activeConnections(): number;
}

/** The numbers at a moment. */
export interface StatsSummary {
  /** Counters and gauges by name, summed over their labels. */
  readonly totals: Readonly<Record<string, number>>;
  /** Growth per second over the last 1, 10 and 60 seconds. */
  readonly rates: Readonly<Record<"1s" | "10s" | "60s", Readonly<Record<string, number>>>>;
  /** Quantiles of the time from a publish call to the sockets, in milliseconds. */
  readonly publishLatencyMs: Readonly<Record<"p50" | "p99" | "p999", number>>;
}

/** Counts what happens and shows it. */
export function stats(options: StatsOptions): Plugin<Stats> {
  const { channels, metrics = metricsRegistry(), allow = onThisMachine, checks = [], otel = false } = options;
  const byProtocol = ["protocol"];
  const connects = metrics.counter("plugboard_connects_total", "Connections that were opened", byProtocol);
  const disconnects = metrics.counter("plugboard_disconnects_total", "Connections that ended", [
    "protocol",
    "code",
  ]);
  const refusals = metrics.counter("plugboard_refusals_total", "Requests that were refused", ["status"]);
  const received = metrics.counter("plugboard_messages_received_total", "Messages from clients", byProtocol);
  const receivedChars = metrics.counter(
    "plugboard_received_chars_total",
    "Size of messages from clients",
    byProtocol,
  );
  const ring = new SampleRing();
  let host: Host | undefined;
  let release: (() => void)[] = [];
  const connections = (): ReadonlySet<Connection> => host?.connections ?? new Set();

  const sent = (what: "frames" | "chars") =>
    Array.from(host?.sent ?? [], ([{ name }, counts]) => [[name], counts[what]] as const);
  metrics.gauge("plugboard_frames_sent_total", "Frames to clients", () => sent("frames"), byProtocol);
  metrics.gauge("plugboard_sent_chars_total", "Size of frames to clients", () => sent("chars"), byProtocol);
  metrics.gauge("plugboard_connections", "Connections by protocol", () => {
    const counts = new Map<string, number>();
    for (const { endpoint: { name } } of connections()) counts.set(name, (counts.get(name) ?? 0) + 1);
    return Array.from(counts, ([name, count]) => [[name], count] as const);
  }, byProtocol);
  const lag = metrics.histogram("plugboard_event_loop_lag_seconds", "How late timers are", SECONDS);
  measureProcess(metrics);
  const measured = measureChannels(metrics, channels);

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
    const { latency } = measured;
    const ms = (q: number) => latency.quantile(q) * 1000;
    return {
      totals: metrics.totals(),
      rates: { "1s": ring.rates(1), "10s": ring.rates(10), "60s": ring.rates(60) },
      publishLatencyMs: { p50: ms(0.5), p99: ms(0.99), p999: ms(0.999) },
    };
  }

  function health(): Response {
    const users = new Set(Array.from(channels.clients.values(), ({ identity }) => identity.user));
    users.delete("");
    const counts = {
      total_users: users.size,
      total_connections: connections().size,
      total_sessions: channels.clients.size,
    };
    return healthResponse(host?.state ?? "idle", counts, checks);
  }

  function addRoutes(app: App): void {
    app.use(async (c, next) => {
      await next();
      if (c.res.status >= 400) refusals.add(1, String(c.res.status));
    });
    app.get("/health/live", (c) => c.json({ status: "live" }));
    for (const path of ["/health", "/health/ready"]) app.get(path, health);
    for (const path of ["/metrics", "/api/stats"]) {
      app.use(path, async (c, next) => {
        if (await allow(c.req.raw, c.env.ip)) return await next();
        return refusal(403, "permission_denied", "Statistics need the permission to see them");
      });
    }
    app.get(
      "/metrics",
      (c) => c.text(metrics.render(), 200, { "content-type": "text/plain; version=0.0.4" }),
    );
    app.get("/api/stats", (c) => c.json({ ...summary(), history: ring.all() }));
  }

  return {
    name: "stats",
    api: {
      metrics,
      summary,
      channelStats: (channel) => channels.stats(channel),
      clientInfo(id) {
        const all = id === undefined
          ? [...connections()]
          : [...connections()].filter((conn) => conn.id === id);
        return all.map(infoOf);
      },
      activeConnections: () => connections().size,
    },
    start(given) {
      host = given;
      let expected = performance.now() + LAG_STEP_MS;
      release = [
        given.clock.every(LAG_STEP_MS, () => {
          const now = performance.now();
          lag.observe(Math.max(0, now - expected) / 1000);
          expected = now + LAG_STEP_MS;
        }),
        given.clock.every(1_000, () => ring.add({ time: given.clock.now(), totals: metrics.totals() })),
        otel ? exportByOpenTelemetry(metrics) : () => {},
      ];
    },
    stop() {
      for (const end of release.splice(0)) end();
      measured.end();
    },
    routes: addRoutes,
    open: ({ endpoint }) => void connects.add(1, endpoint.name),
    close: ({ endpoint }, { code }) => void disconnects.add(1, endpoint.name, String(code)),
    message({ endpoint }, data) {
      received.add(1, endpoint.name);
      receivedChars.add(data.length, endpoint.name);
    },
  };
}

/** How often the event loop's lag is sampled. */
const LAG_STEP_MS = 100;

function onThisMachine(_request: Request, ip: string): boolean {
  return ip === "::1" || ip === "localhost" || /^(::ffff:)?127\./.test(ip);
}
