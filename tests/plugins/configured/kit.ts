import { type Plugin, Server } from "../../../core/mod.ts";
import { auth } from "../../../plugins/auth.ts";
import { channels } from "../../../plugins/channels.ts";
import { liveQueries } from "../../../plugins/live_queries.ts";
import { mutations } from "../../../plugins/mutations.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { rateLimits } from "../../../plugins/rate_limits.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { schedule } from "../../../plugins/schedule.ts";
import { declared } from "../../../plugins/servers/configured/declared.ts";
import { load } from "../../../plugins/servers/configured/load.ts";
import { reloading } from "../../../plugins/servers/configured/reload.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { webhooks } from "../../../plugins/webhooks.ts";

/** Starts a server from a file's content. `reload` loads another content. */
export async function startReloadable(first: unknown, env: Record<string, string> = {}) {
  let content = first;
  const loaded = load({
    args: ["--port", "0"],
    env: (name) => env[name],
    dotEnv: () => undefined,
    read: (path) =>
      path === "plugboard.json" ? typeof content === "string" ? content : JSON.stringify(content) : undefined,
  });
  const { settings, options } = loaded;
  const server = new Server(options.server);
  const use = <T>(plugin: Plugin<T>): T => server.use(plugin) as T;
  const store = use(persistence({ path: ":memory:" }));
  const limits = use(rateLimits(options.limits));
  const access = use(auth({ ...options.auth, limits: limits.signIns }));
  const durable = sqliteBroker({ store });
  const namespaces = options.namespaces(durable);
  const bus = use(channels({ ...settings.channels, namespaces, defaults: options.defaults, limits, access }));
  const later = use(schedule({ channels: bus, store }));
  const methods = use(rpc());
  const queries = use(liveQueries({ store, channels: bus }));
  const changes = use(mutations({ store, rpc: methods, queries }));
  const { receivers } = options;
  const hooks = receivers.length > 0 ? use(webhooks({ receivers, channels: bus, store })) : undefined;
  const declarations = use(declared({ settings, store, bus, queries, changes, methods, later }));
  const { reload, lines } = use(reloading({ loaded, bus, durable, access, limits, hooks, declarations }));
  use(json({ channels: bus, rpc: methods, access }));
  use(centrifuge({ channels: bus, rpc: methods, access }));
  await server.start();
  return {
    url: server.address.url,
    access,
    bus,
    changes,
    queries,
    methods,
    later,
    lines,
    store,
    reload(next: unknown) {
      content = next;
      return reload();
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
