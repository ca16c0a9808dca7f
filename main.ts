import { Server } from "./core/mod.ts";
import { auth, mergeRevocations } from "./plugins/auth.ts";
import { channels, localCluster } from "./plugins/channels.ts";
import { client } from "./plugins/client.ts";
import { dashboard } from "./plugins/dashboard.ts";
import { home } from "./plugins/home.ts";
import { httpApi } from "./plugins/http_api.ts";
import { liveQueries } from "./plugins/live_queries.ts";
import { logging } from "./plugins/logging.ts";
import { messageChecks } from "./plugins/message_checks.ts";
import { mutations } from "./plugins/mutations.ts";
import { owner } from "./plugins/owner.ts";
import { pages } from "./plugins/pages.ts";
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
import { proxies } from "./plugins/proxies.ts";
import { rateLimits } from "./plugins/rate_limits.ts";
import { redis } from "./plugins/redis.ts";
import { rpc } from "./plugins/rpc.ts";
import { schedule } from "./plugins/schedule.ts";
import { command, declared, ifEnabled, type Loaded, reloading } from "./plugins/servers/configured.ts";
import { sqlEvents } from "./plugins/sql_events.ts";
import { sqliteBroker } from "./plugins/sqlite_broker.ts";
import { metricsRegistry, stats } from "./plugins/stats.ts";
import { trace } from "./plugins/trace.ts";
import { webhooks } from "./plugins/webhooks.ts";
import { workers } from "./plugins/workers.ts";

/** Plugs the server together. The options are described in `plugins/servers/configured/settings.ts`. */
export function plugboard(loaded: Loaded): Server {
  const { settings, options } = loaded;
  const { adminPort, dataDir, otelDeno: otel, redisUrl: urls, plugins: given } = settings;
  const operators = { listener: adminPort === undefined ? "main" : "admin" };
  const server = new Server(options.server);

  const log = server.use(logging({ ...given.logging, level: settings.logLevel }));
  const metrics = metricsRegistry();
  const store = server.use(persistence({ ...given.persistence, path: `${dataDir}/plugboard.db`, metrics }));
  const limits = server.use(rateLimits({ ...options.limits, metrics }));
  for (const listener of new Set(["main", operators.listener])) {
    server.use({ name: "requests", routes: (app) => void app.use(limits.middleware()) }, { listener });
  }
  const backend = options.proxies && server.use(proxies({ ...options.proxies, metrics }));
  const shared = urls.length > 0
    ? server.use(redis({ ...given.redis, urls, node: options.node }))
    : undefined;
  const revocations = store.keyValues<string>("revocations");
  const apiKeys = store.keyValues<string>("api_keys");
  const access = server.use(auth({
    ...options.auth,
    backend: backend?.signIn,
    limits: limits.signIns,
    keep: shared?.shared("revocations", revocations, mergeRevocations) ?? revocations,
    keyStore: shared?.shared("api_keys", apiKeys) ?? apiKeys,
    metrics,
  }));

  const cluster = { cluster: shared?.cluster ?? localCluster(options.node) };
  const owning = { ...given.owner, address: options.address, endpoints: ["tinybase", "pipe"] };
  const own = shared && server.use(owner({ ...owning, leases: shared.leases, store }));
  /** The database as clients use it: that of one node. Some plugins read when they start, and others are not checked. */
  const owned = own?.store(store) ?? store;
  const written = own?.writer(store) ?? store;
  const local = sqliteBroker({ ...given.sqlite_broker, store: written });
  const durable = own?.broker(local) ?? local;
  const bus = server.use(channels({
    ...settings.channels,
    namespaces: options.namespaces(durable),
    defaults: options.defaults,
    limits,
    access,
    extensions: [backend, own].flatMap((each) => each?.extension ?? []),
    ...(shared && { broker: shared.broker, cluster: shared.cluster }),
  }));
  server.use(messageChecks({ ...given.message_checks, channels: bus }));
  const later = server.use(schedule({ ...given.schedule, channels: bus, store }));
  const present = shared && { store: shared.presenceStore };
  const people = server.use(presence({ ...given.presence, channels: bus, ...present }));
  const occupancy = shared && { occupancy: shared.occupancy };
  const heard = { channels: bus, access, presence: people, ...occupancy };
  const hooking = { ...heard, receivers: options.receivers, store, metrics };
  const hooks = options.receivers.length > 0 ? server.use(webhooks(hooking)) : undefined;

  const allowTrace = access.allowRequest("admin", "trace");
  const recording = { recordFile: `${dataDir}/recording.jsonl`, ...given.trace, allow: allowTrace };
  const tracing = server.use(trace({ ...recording, channels: bus, otel }), operators);
  const checks = [() => store.problem, () => shared?.problem, () => backend?.problems[0]];
  const measured = {
    channels: bus,
    access,
    limits,
    metrics,
    otel,
    allow: access.allowRequest("admin", "metrics"),
  };
  const numbers = server.use(stats({ ...measured, checks, serveMetrics: adminPort === undefined }));
  if (adminPort !== undefined) server.use({ name: "metrics", routes: numbers.addMetrics }, operators);

  const cores = options.workers === 0
    ? undefined
    : server.use(workers({ ...given.workers, count: options.workers, metrics }));

  const calls = rpc({ ...given.rpc, limits, backend: backend?.methods, keep: store.keyValues("rpc") });
  const methods = tracing.traced("rpc", server.use(calls));
  server.use(sqlEvents({ ...given.sql_events, channels: bus, store: written }));
  const live = { ...given.live_queries, store: owned, channels: bus, metrics, clientSql: store.isolated() };
  const queries = server.use(liveQueries(live));
  const changes = server.use(mutations({ ...given.mutations, store: owned, rpc: methods, queries }));

  const declarations = server.use(declared({ settings, store, bus, queries, changes, methods, later }));
  const running = server.use(reloading({ loaded, bus, durable, access, limits, hooks, declarations }));
  if (settings.pages !== undefined) server.use(pages({ folder: settings.pages }));
  const clients = { channels: bus, presence: people, rpc: methods, access };
  const demo = access.open && { store, queries, changes };
  ifEnabled(given.home !== false && given.centrifuge !== false, () => server.use(home({ demo })));
  ifEnabled(given.http_api, (own) => {
    const backups = `${dataDir}/backups`;
    const watched = { stats: numbers, log, trace: tracing, settings: running.lines };
    const more = { queries, store, ...watched, schedule: later, webhooks: hooks, workers: cores };
    const { reload } = running;
    server.use(httpApi({ ...own, ...clients, ...more, ...cluster, backups, reload }), operators);
  });
  ifEnabled(given.centrifuge, (own) => {
    server.use(centrifuge({ ...own, ...clients, limits }));
    server.use(client());
  });
  ifEnabled(given.http_api !== false && given.centrifuge !== false && given.dashboard, (own) => {
    const parts = { channels: bus, stats: numbers, trace: tracing, store, access };
    server.use(dashboard({ ...own, ...parts, ...cluster }), operators);
    // The page's live data come from its own origin.
    if (adminPort !== undefined) server.use(centrifuge({ ...clients, limits }), operators);
  });
  ifEnabled(given.json, (own) => server.use(json({ ...own, ...clients, limits })));
  const tenants = { ...given.paths, allow: access.allowPath, identityOf: access.identityOf };
  ifEnabled(given.tinybase, (own) => {
    const createPersisterForPath = sqlitePersister(written);
    server.use(tinybase({ ...own, paths: server.use(paths(tenants)), createPersisterForPath }));
  });
  ifEnabled(given.pipe, (own) => {
    const mailed = server.use(paths({ ...tenants, mailStore: storedMail(written) }));
    server.use(pipe({ path: "/relay", ...own, paths: mailed }));
  });
  const hubbing = { path: "/hub", ...clients, apiKey: settings.hubApiKey };
  ifEnabled(given.hub, (own) => server.use(hub({ ...hubbing, ...own })));
  const chatting = {
    path: "/chat",
    channels: bus,
    access,
    limits,
    store: store.keyValues<string>("chat_rooms"),
  };
  ifEnabled(given.chat, (own) => server.use(chat({ ...chatting, ...own })));
  ifEnabled(given.echo, (own) => server.use(echo(own)));
  return server;
}

if (import.meta.main) await command(plugboard);
