import { type LogRecord, type Plugin, Server } from "../../../core/mod.ts";
import { type ApiKey, auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { dashboard } from "../../../plugins/dashboard.ts";
import { httpApi } from "../../../plugins/http_api.ts";
import { liveQueries } from "../../../plugins/live_queries.ts";
import { logging } from "../../../plugins/logging.ts";
import { mutations } from "../../../plugins/mutations.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { rateLimits } from "../../../plugins/rate_limits.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { schedule } from "../../../plugins/schedule.ts";
import { metricsRegistry, stats } from "../../../plugins/stats.ts";
import { trace } from "../../../plugins/trace.ts";
import { webhooks } from "../../../plugins/webhooks.ts";
import { started } from "../../kit/mod.ts";
import { SECRET } from "../auth/kit.ts";

/** The key of an operator. */
export const KEY = "o".repeat(32);

const SETTINGS = ["port=8080 (default)", "jwtSecret=(hidden) (environment)", "logLevel=info (default)"];

/** Options of {@linkcode dashboardServer}. */
export interface DashboardServerOptions {
  /** Without keys, everyone on this machine may do everything. */
  apiKeys?: ApiKey[];
  port?: number;
  /** The database. */
  path?: string;
  webhookUrl?: string;
  /** The file of the flight recorder. */
  recordFile?: string | undefined;
  /** Routes of the app. */
  routes?: Plugin["routes"];
}

/** Starts a server with the page and all that it shows. */
export async function dashboardServer(options: DashboardServerOptions = {}) {
  const { apiKeys, port = 0, path = ":memory:", webhookUrl } = options;
  const server = new Server({ port, drainMs: 500, maxConnectionsPerIp: 20_000, maxConnections: 20_000 });
  const log = server.use(logging({ write: () => {} }));
  const metrics = metricsRegistry();
  const store = server.use(persistence({ path, metrics }));
  const limits = server.use(
    rateLimits({
      metrics,
      limits: {
        connectsPerIp: "1000000/s",
        connectionsPerIp: 20_000,
        connectionsPerUser: 20_000,
        queries: "20/10s",
      },
    }),
  );
  const access = server.use(auth({
    ...(apiKeys && { apiKeys, jwt: { secret: SECRET } }),
    keep: store.keyValues<string>("revocations"),
    keyStore: store.keyValues<string>("api_keys"),
    limits: limits.signIns,
    metrics,
  }));
  const bus = server.use(channels({
    access,
    limits,
    namespaces: {
      chat: { historySize: 1_000 },
      metrics: { historySize: 0, presence: false, publish: "nobody" },
      sensors: { historySize: 0, delta: "off" },
      team: { subscribe: "signed_in", publish: "subscriber" },
    },
  }));
  const later = server.use(schedule({ channels: bus, store }));
  const people = server.use(presence({ channels: bus }));
  const hooks = webhookUrl === undefined ? undefined : server.use(webhooks({
    receivers: [{
      name: "backend",
      url: webhookUrl,
      secrets: [`whsec_${btoa("s".repeat(32))}`],
      giveUpMs: 100,
    }],
    channels: bus,
    access,
    presence: people,
    store,
    metrics,
  }));
  const tracing = server.use(trace({
    channels: bus,
    recordFile: options.recordFile,
    allow: access.allowRequest("admin", "trace"),
  }));
  const numbers = server.use(stats({ channels: bus, access, limits, metrics }));
  const methods = server.use(rpc({ limits }));
  const queries = server.use(liveQueries({ store, channels: bus, metrics }));
  const changes = server.use(mutations({ store, rpc: methods, queries }));
  const clients = { channels: bus, presence: people, rpc: methods, access };
  const more = {
    queries,
    store,
    stats: numbers,
    schedule: later,
    webhooks: hooks,
    log,
    trace: tracing,
    settings: () => SETTINGS,
  };
  server.use(httpApi({ ...clients, ...more }));
  server.use(centrifuge({ ...clients, limits }));
  server.use(json({ ...clients, limits }));
  server.use(dashboard({ channels: bus, stats: numbers, trace: tracing, store, access }));
  let logs: ((record: LogRecord) => void) | undefined;
  server.use({
    name: "shop",
    ...(options.routes && { routes: options.routes }),
    start: (host) => void (logs = ({ level, message, fields }) => host.log[level](message, { ...fields })),
  });
  const running = await started(server);
  return Object.assign(running, {
    bus,
    access,
    store,
    queries,
    changes,
    methods,
    later,
    people,
    numbers,
    tracing,
    /** Writes a record as a plugin would. */
    note: (level: LogRecord["level"], message: string, fields: Record<string, unknown> = {}) =>
      logs!({ level, plugin: "shop", message, fields }),
  });
}
