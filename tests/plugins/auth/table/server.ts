import { type App, Server } from "../../../../core/mod.ts";
import { auth, parseApiKeys } from "../../../../plugins/auth.ts";
import { channels } from "../../../../plugins/channels.ts";
import { client } from "../../../../plugins/client.ts";
import { httpApi } from "../../../../plugins/http_api.ts";
import { dashboard } from "../../../../plugins/dashboard.ts";
import { home } from "../../../../plugins/home.ts";
import { liveQueries } from "../../../../plugins/live_queries.ts";
import { mutations } from "../../../../plugins/mutations.ts";
import { paths } from "../../../../plugins/paths.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { presence } from "../../../../plugins/presence.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { chat } from "../../../../plugins/protocols/chat.ts";
import { echo } from "../../../../plugins/protocols/echo.ts";
import { hub } from "../../../../plugins/protocols/hub.ts";
import { json } from "../../../../plugins/protocols/json.ts";
import { pipe } from "../../../../plugins/protocols/pipe.ts";
import { tinybase } from "../../../../plugins/protocols/tinybase.ts";
import { rpc } from "../../../../plugins/rpc.ts";
import { schedule } from "../../../../plugins/schedule.ts";
import { stats } from "../../../../plugins/stats.ts";
import { trace } from "../../../../plugins/trace.ts";
import { started, type TestServer } from "../../../kit/mod.ts";
import { SECRET } from "../kit.ts";
import { memoryDocuments, persisterOf } from "../../tinybase/kit.ts";
import { API_KEYS, type Mode } from "./callers.ts";

/** The protocols of {@linkcode serveAll}, by the name of their file. */
export const PROTOCOLS: readonly string[] = [
  "centrifuge",
  "chat",
  "echo",
  "hub",
  "json",
  "pipe",
  "tinybase",
];

/** A server with everything that has a socket or a route, as `main.ts` wires it. */
export async function serveAll(mode: Mode): Promise<TestServer & { readonly places: readonly string[] }> {
  const server = new Server({ port: 0, drainMs: 1_000, pingIntervalMs: 600_000 });
  const store = server.use(persistence({ path: ":memory:" }));
  const access = server.use(auth({
    ...(mode !== "open" && { jwt: { secret: SECRET }, apiKeys: parseApiKeys(API_KEYS) }),
    anonymous: mode === "anonymous",
  }));
  const bus = server.use(channels({ access }));
  const people = server.use(presence({ channels: bus }));
  server.use(trace({ channels: bus, allow: access.allowRequest("admin", "trace") }));
  const numbers = server.use(stats({ channels: bus, allow: access.allowRequest("admin", "metrics") }));
  const methods = server.use(rpc());
  methods.define("who", { run: () => "somebody" });
  const queries = server.use(liveQueries({ store, channels: bus }));
  queries.define("items", { sql: "SELECT 1 AS n" });
  const changes = server.use(mutations({ store, rpc: methods, queries }));
  server.use(client());
  server.use(home({ demo: access.open && { store, queries, changes } }));
  const clients = { channels: bus, presence: people, rpc: methods, access };
  const later = server.use(schedule({ channels: bus, store }));
  server.use(dashboard({ channels: bus, stats: numbers, access }));
  server.use(httpApi({ ...clients, queries, store, stats: numbers, schedule: later }));
  server.use(centrifuge(clients));
  server.use(json(clients));
  const documents = memoryDocuments();
  server.use(tinybase({
    paths: server.use(paths({ allow: access.allowPath })),
    createPersisterForPath: persisterOf(documents),
  }));
  server.use(pipe({ paths: server.use(paths({ allow: access.allowPath })), path: "/relay" }));
  server.use(hub({ channels: bus, access, path: "/hub", apiKey: "a key of the hub, long enough" }));
  server.use(chat({ channels: bus, access, path: "/chat" }));
  server.use(echo());
  let app: App | undefined;
  server.use({ name: "places", routes: (given) => void (app = given) });
  const running = await started(server);
  const { routes } = app as unknown as { routes: readonly { method: string; path: string }[] };
  const places = routes.filter(({ method }) => method !== "ALL" && method !== "OPTIONS")
    .map(({ method, path }) => `${method} ${path}`);
  return Object.assign(running, { places: [...new Set(places)] });
}
