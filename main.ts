import { readSettings, run, Server, setting, settingsHelp, showSettings, type Upgrade } from "./core/mod.ts";
import { auth, parseApiKeys, type Verb } from "./plugins/auth.ts";
import { channels } from "./plugins/channels.ts";
import { liveQueries } from "./plugins/live_queries.ts";
import { logging } from "./plugins/logging.ts";
import { messageChecks } from "./plugins/message_checks.ts";
import { mutations } from "./plugins/mutations.ts";
import { paths } from "./plugins/paths.ts";
import { persistence } from "./plugins/persistence.ts";
import { presence } from "./plugins/presence.ts";
import { centrifuge } from "./plugins/protocols/centrifuge.ts";
import { chat } from "./plugins/protocols/chat.ts";
import { echo } from "./plugins/protocols/echo.ts";
import { hub } from "./plugins/protocols/hub.ts";
import { json } from "./plugins/protocols/json.ts";
import { pipe } from "./plugins/protocols/pipe.ts";
import { sqlitePersister, tinybase } from "./plugins/protocols/tinybase.ts";
import { limitsFrom, rateLimits } from "./plugins/rate_limits.ts";
import { rpc } from "./plugins/rpc.ts";
import { clientIpFrom } from "./plugins/shared/client_ip.ts";
import { sqliteBroker } from "./plugins/sqlite_broker.ts";
import { metricsRegistry, stats } from "./plugins/stats.ts";
import { trace } from "./plugins/trace.ts";

const table = {
  PORT: setting.integer(8080, "Port to listen on; 0 takes any"),
  HOST: setting.text("127.0.0.1", "Address to listen on; another than this machine's needs sign-in"),
  TLS_CERT: setting.optional("File with the certificate, in PEM"),
  TLS_KEY: setting.optional("File with its key, in PEM"),
  DATA_DIR: setting.text("data", "Folder of the database"),
  DURABLE: setting.list("Namespaces whose channels survive the process"),
  LOG_LEVEL: setting.oneOf(["debug", "info", "warn", "error"], "info", "How much to say"),
  JWT_SECRET: setting.secret("Secret that tokens are signed with"),
  JWKS_URL: setting.optional("Where the keys are that tokens are signed with"),
  API_KEYS: setting.secret("Keys of backends: name:key:permission+permission, separated by commas"),
  HUB_API_KEY: setting.secret("Key of backends that send through the hub; without it there is none"),
  ALLOW_ANONYMOUS: setting.flag("Let clients in that have no token"),
  ALLOWED_ORIGINS: setting.list("Pages that may connect, beside the server's own"),
  TRUSTED_PROXIES: setting.list("Proxies whose X-Forwarded-For counts"),
  LIMITS: setting.oneOf(["on", "off"], "on", "Limits for clients; off for load tests"),
  DRAIN_MS: setting.integer(10_000, "Milliseconds that stopping may take"),
  PLUGINS: setting.list("Plugins to leave out: -json,-echo"),
  OTEL_DENO: setting.flag("Export metrics through OpenTelemetry"),
  HELP: setting.flag("Show this table"),
  PRINT_CONFIG: setting.flag("Show what is in force"),
};

const settings = settingsOrExit();
const { HOST, JWT_SECRET, JWKS_URL, TLS_CERT, TLS_KEY, TRUSTED_PROXIES } = settings;
const unlimited = settings.LIMITS === "off";

const server = new Server({
  port: settings.PORT,
  hostname: HOST,
  drainMs: settings.DRAIN_MS,
  ...((TLS_CERT ?? TLS_KEY) !== undefined && { tls: { certFile: TLS_CERT ?? "", keyFile: TLS_KEY ?? "" } }),
  ...(TRUSTED_PROXIES.length > 0 && { clientIp: clientIpFrom({ trusted: TRUSTED_PROXIES }) }),
  ...(unlimited && { maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 }),
});

server.use(logging({ level: settings.LOG_LEVEL }));
const metrics = metricsRegistry();
const store = server.use(persistence({ path: `${settings.DATA_DIR}/plugboard.db`, metrics }));
const limits = server.use(
  rateLimits({ enabled: !unlimited, limits: limitsFrom(Deno.env.toObject()), metrics }),
);
const access = server.use(auth({
  hostname: HOST,
  anonymous: settings.ALLOW_ANONYMOUS,
  origins: settings.ALLOWED_ORIGINS,
  apiKeys: parseApiKeys(settings.API_KEYS ?? ""),
  limits: limits.signIns,
  keep: store.keyValues<string>("revocations"),
  metrics,
  ...((JWT_SECRET !== undefined || JWKS_URL !== undefined) && {
    jwt: { ...(JWT_SECRET && { secret: JWT_SECRET }), ...(JWKS_URL && { jwks: { url: JWKS_URL } }) },
  }),
}));
const durable = { broker: sqliteBroker({ store }) };
const bus = server.use(
  channels({ namespaces: Object.fromEntries(settings.DURABLE.map((name) => [name, durable])) }),
);
bus.extend(limits.extension);
bus.extend(access.extension);
const isAdmin = async (request: Request, ip: string, what: string) =>
  (await access.requestIdentity(request, ip)).can("admin", what);
const tracing = server.use(trace({
  channels: bus,
  otel: settings.OTEL_DENO,
  allow: (request, ip) => isAdmin(request, ip, "trace"),
}));
const people = server.use(presence({ channels: bus }));
const methods = tracing.traced("rpc", server.use(rpc({ limits })));
const queries = server.use(liveQueries({ store, channels: bus, metrics }));
server.use(mutations({ store, rpc: methods, queries }));
server.use(messageChecks({ channels: bus }));
server.use(stats({
  channels: bus,
  metrics,
  otel: settings.OTEL_DENO,
  checks: [() => store.problem],
  allow: (request, ip) => isAdmin(request, ip, "metrics"),
}));

if (on("centrifuge")) server.use(centrifuge({ channels: bus, presence: people, rpc: methods, access }));
if (on("json")) server.use(json({ channels: bus, presence: people, rpc: methods, access }));
if (on("tinybase")) {
  server.use(
    tinybase({ paths: server.use(paths({ allow })), createPersisterForPath: sqlitePersister(store) }),
  );
}
if (on("pipe")) server.use(pipe({ paths: server.use(paths({ allow })), path: "/relay" }));
if (on("hub") && settings.HUB_API_KEY !== undefined) {
  server.use(hub({ channels: bus, access, path: "/hub", apiKey: settings.HUB_API_KEY }));
}
if (on("chat")) {
  server.use(
    chat({ channels: bus, access, limits, path: "/chat", store: store.keyValues<string>("chat_rooms") }),
  );
}
if (on("echo")) server.use(echo());

await run(server);

/** Who may do what on a path: readers get everything, writers may also change it. */
function allow(upgrade: Upgrade, path: string): Response | Verb {
  const resource = `path:${path}`;
  const refused = access.refusal(upgrade, "read", resource);
  if (refused !== undefined) return refused;
  return access.refusal(upgrade, "write", resource) === undefined ? "write" : "read";
}

function on(plugin: string): boolean {
  return !settings.PLUGINS.includes(`-${plugin}`);
}

function settingsOrExit() {
  try {
    const read = readSettings(table, { args: Deno.args, env: Deno.env.toObject() });
    if (!read.HELP && !read.PRINT_CONFIG) return read;
    // deno-lint-ignore no-console -- it was asked for
    console.log(read.HELP ? settingsHelp(table) : showSettings(table, read));
    return Deno.exit(0);
  } catch (error) {
    // deno-lint-ignore no-console -- there is no log yet
    console.error((error as Error).message);
    return Deno.exit(1);
  }
}
