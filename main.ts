import { loadSettings, run, Server, setting } from "./core/mod.ts";
import { auth, parseApiKeys } from "./plugins/auth.ts";
import { channels } from "./plugins/channels.ts";
import { dashboard } from "./plugins/dashboard.ts";
import { home } from "./plugins/home.ts";
import { httpApi } from "./plugins/http_api.ts";
import { liveQueries } from "./plugins/live_queries.ts";
import { logging } from "./plugins/logging.ts";
import { messageChecks } from "./plugins/message_checks.ts";
import { mutations } from "./plugins/mutations.ts";
import { paths, storedMail } from "./plugins/paths.ts";
import { persistence } from "./plugins/persistence.ts";
import { presence } from "./plugins/presence.ts";
import { centrifuge } from "./plugins/protocols/centrifuge.ts";
import { chat } from "./plugins/protocols/chat.ts";
import { echo } from "./plugins/protocols/echo.ts";
import { hub } from "./plugins/protocols/hub.ts";
import { json } from "./plugins/protocols/json.ts";
import { pipe } from "./plugins/protocols/pipe.ts";
import { sqlitePersister, tinybase } from "./plugins/protocols/tinybase.ts";
import { limitSettings, limitsFrom, rateLimits } from "./plugins/rate_limits.ts";
import { redis } from "./plugins/redis.ts";
import { rpc } from "./plugins/rpc.ts";
import { schedule } from "./plugins/schedule.ts";
import { clientIpFrom } from "./plugins/shared/client_ip.ts";
import { sqlEvents } from "./plugins/sql_events.ts";
import { sqliteBroker } from "./plugins/sqlite_broker.ts";
import { metricsRegistry, stats } from "./plugins/stats.ts";
import { trace } from "./plugins/trace.ts";
import { webhooks } from "./plugins/webhooks.ts";

const settings = loadSettings({
  PORT: setting.integer(8080, "Port to listen on; 0 picks a free one", 65_535),
  HOST: setting.text("127.0.0.1", "Address to listen on; a non-loopback address needs sign-in"),
  ADMIN_PORT: setting.optionalInteger(
    "Another port for the API, metrics and traces, instead of PORT",
    65_535,
  ),
  ADMIN_HOST: setting.text("127.0.0.1", "Address of that port"),
  TLS_CERT: setting.optional("Certificate file, in PEM"),
  TLS_KEY: setting.optional("Private key file, in PEM"),
  DATA_DIR: setting.text("data", "Folder of the database"),
  DURABLE: setting.list("Namespaces whose channels are stored on disk"),
  REDIS_URL: setting.list("Redis servers that several nodes share, with user, password and prefix", true),
  LOG_LEVEL: setting.oneOf(["debug", "info", "warn", "error"], "info", "Lowest level to log"),
  JWT_SECRET: setting.secret("Secret that tokens are signed with"),
  JWKS_URL: setting.optional("URL of the key set that tokens are signed with"),
  API_KEYS: setting.secret("API keys: name:key:permission+permission, separated by commas"),
  HUB_API_KEY: setting.secret("API key for the hub, in addition to those in API_KEYS with admin"),
  ALLOW_ANONYMOUS: setting.flag("Allow clients without a token"),
  ALLOWED_ORIGINS: setting.list("Origins that may connect, in addition to the server's own"),
  TRUSTED_PROXIES: setting.list("Proxies whose X-Forwarded-For is trusted"),
  DRAIN_MS: setting.integer(10_000, "Maximum milliseconds for a graceful stop"),
  MAX_MEMORY: setting.optionalBytes(
    "Maximum memory of the process; by default three quarters of the machine's",
  ),
  PLUGINS: setting.without(
    ["centrifuge", "json", "tinybase", "pipe", "hub", "chat", "echo", "home", "http_api", "dashboard"],
    "Plugins to disable",
  ),
  WEBHOOK_URL: setting.optional("URL of your backend that gets events"),
  WEBHOOK_SECRETS: setting.list("Secrets that sign the events, each as whsec_ and base64", true),
  OTEL_DENO: setting.oneOf(["true", "false"], "false", "Export metrics and traces through OpenTelemetry"),
  LIMITS: setting.oneOf(["on", "off"], "on", "Limits per client; off for load tests"),
  ...limitSettings,
});
const { HOST, ADMIN_PORT, DATA_DIR, JWT_SECRET, JWKS_URL, TRUSTED_PROXIES } = settings;
const { TLS_CERT = "", TLS_KEY = "" } = settings;
const tls = TLS_CERT || TLS_KEY ? { certFile: TLS_CERT, keyFile: TLS_KEY } : undefined;
const operators = { listener: ADMIN_PORT === undefined ? "main" : "admin" };
const limited = settings.LIMITS === "on";
const otel = settings.OTEL_DENO === "true";
const on = settings.PLUGINS;

const server = new Server({
  port: settings.PORT,
  hostname: HOST,
  drainMs: settings.DRAIN_MS,
  ...(settings.MAX_MEMORY !== undefined && { maxMemoryBytes: settings.MAX_MEMORY }),
  tls,
  ...(ADMIN_PORT !== undefined && {
    listeners: { admin: { port: ADMIN_PORT, hostname: settings.ADMIN_HOST, tls } },
  }),
  clientIp: clientIpFrom({ trusted: TRUSTED_PROXIES }),
  ...(!limited && { maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 }),
});

const log = server.use(logging({ level: settings.LOG_LEVEL }));
const metrics = metricsRegistry();
const store = server.use(persistence({ path: `${DATA_DIR}/plugboard.db`, metrics }));
const limits = server.use(rateLimits({ enabled: limited, limits: limitsFrom(settings), metrics }));
for (const listener of new Set(["main", operators.listener])) {
  server.use({ name: "requests", routes: (app) => void app.use(limits.middleware()) }, { listener });
}
const access = server.use(auth({
  jwt: JWT_SECRET || JWKS_URL ? { secret: JWT_SECRET, jwks: JWKS_URL } : undefined,
  apiKeys: parseApiKeys(settings.API_KEYS ?? ""),
  anonymous: settings.ALLOW_ANONYMOUS,
  origins: settings.ALLOWED_ORIGINS,
  limits: limits.signIns,
  keep: store.keyValues<string>("revocations"),
  keyStore: store.keyValues<string>("api_keys"),
  metrics,
}));

const shared = settings.REDIS_URL.length > 0 ? server.use(redis({ urls: settings.REDIS_URL })) : undefined;
const durable = { broker: sqliteBroker({ store }) };
const namespaces = Object.fromEntries(settings.DURABLE.map((name) => [name, durable]));
const bus = server.use(channels({
  namespaces,
  defaults: { delta: "fossil", maxTagFilters: 1_000 },
  limits,
  access,
  ...(shared && { broker: shared.broker, cluster: shared.cluster }),
}));
server.use(messageChecks({ channels: bus }));
const later = server.use(schedule({ channels: bus, store }));
const people = server.use(presence({ channels: bus, ...(shared && { store: shared.presenceStore }) }));
const { WEBHOOK_URL, WEBHOOK_SECRETS } = settings;
const hooks = WEBHOOK_URL === undefined ? undefined : server.use(webhooks({
  receivers: [{ name: "backend", url: WEBHOOK_URL, secrets: WEBHOOK_SECRETS }],
  channels: bus,
  access,
  presence: people,
  store,
  metrics,
}));

const allowTrace = access.allowRequest("admin", "trace");
const tracing = server.use(trace({ channels: bus, otel, allow: allowTrace }), operators);
const numbers = server.use(stats({
  channels: bus,
  metrics,
  otel,
  checks: [() => store.problem, () => shared?.problem],
  allow: access.allowRequest("admin", "metrics"),
  serveMetrics: ADMIN_PORT === undefined,
}));
if (ADMIN_PORT !== undefined) server.use({ name: "metrics", routes: numbers.addMetrics }, operators);

const methods = tracing.traced("rpc", server.use(rpc({ limits, keep: store.keyValues("rpc") })));
server.use(sqlEvents({ channels: bus, store }));
const queries = server.use(liveQueries({ store, channels: bus, metrics, clientSql: store.isolated() }));
const changes = server.use(mutations({ store, rpc: methods, queries }));

if (on.has("home") && on.has("centrifuge")) {
  server.use(home({ demo: access.open && { store, queries, changes } }));
}
const clients = { channels: bus, presence: people, rpc: methods, access };
if (on.has("http_api")) {
  const more = {
    queries,
    store,
    stats: numbers,
    log,
    schedule: later,
    webhooks: hooks,
    backups: `${DATA_DIR}/backups`,
  };
  server.use(httpApi({ ...clients, ...more, ...(shared && { cluster: shared.cluster }) }), operators);
}
if (on.has("centrifuge")) server.use(centrifuge({ ...clients, limits }));
if (on.has("dashboard") && on.has("http_api") && on.has("centrifuge")) {
  const parts = { channels: bus, stats: numbers, trace: tracing, store, access };
  server.use(dashboard({ ...parts, ...(shared && { cluster: shared.cluster }) }), operators);
  // The page's live data come from its own origin.
  if (ADMIN_PORT !== undefined) server.use(centrifuge({ ...clients, limits }), operators);
}
if (on.has("json")) server.use(json({ ...clients, limits }));
if (on.has("tinybase")) {
  const tenants = server.use(paths({ allow: access.allowPath, identityOf: access.identityOf }));
  server.use(tinybase({ paths: tenants, createPersisterForPath: sqlitePersister(store) }));
}
if (on.has("pipe")) {
  const tenants = server.use(paths({
    allow: access.allowPath,
    identityOf: access.identityOf,
    mailStore: storedMail(store),
  }));
  server.use(pipe({ paths: tenants, path: "/relay" }));
}
if (on.has("hub")) server.use(hub({ channels: bus, access, path: "/hub", apiKey: settings.HUB_API_KEY }));
if (on.has("chat")) {
  const rooms = store.keyValues<string>("chat_rooms");
  server.use(chat({ channels: bus, access, limits, path: "/chat", store: rooms }));
}
if (on.has("echo")) server.use(echo());

await run(server);
