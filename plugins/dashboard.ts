/**
 * Dashboard: the page at `/admin` for operators and developers. It shows who is connected, what flows, what is slow and who
 * may do what, and acts on it.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { auth } from "@plugboard/server/auth";
 * import { centrifuge } from "@plugboard/server/centrifuge";
 * import { channels } from "@plugboard/server/channels";
 * import { dashboard } from "@plugboard/server/dashboard";
 * import { httpApi } from "@plugboard/server/http_api";
 * import { stats } from "@plugboard/server/stats";
 *
 * const server = new Server({ port: 0 });
 * const access = server.use(auth());
 * const bus = server.use(channels({ access }));
 * const numbers = server.use(stats({ channels: bus }));
 * server.use(centrifuge({ channels: bus, access }));
 * server.use(httpApi({ channels: bus, access, stats: numbers }));
 * server.use(dashboard({ channels: bus, stats: numbers, access }));
 * ```
 *
 * The page reads and acts by the HTTP API, and gets live data from channels of the namespace `admin`, so it needs
 * `http_api` and `centrifuge` on its listener. Its files are public and hold no data. The data needs an API key with the
 * permission `admin`, which the page keeps as long as its tab is open; on a server without sign-in it asks for none.
 *
 * @module
 */

import { built, checkOptions, type Host, PlugboardError, type Plugin } from "../core/mod.ts";
import type { Access } from "./auth.ts";
import type { ChannelExtension, Channels, Cluster } from "./channels.ts";
import { FEEDS } from "./dashboard/feed.ts";
import { files } from "./dashboard/files.ts";
import { answerFigures, type FeedParts, LiveFeeds } from "./dashboard/live_feeds.ts";
import type { Store } from "./persistence.ts";
import { localCluster } from "./shared/cluster.ts";
import type { Stats } from "./stats.ts";
import type { Trace } from "./trace.ts";

/** Options of {@linkcode dashboard}. */
export interface DashboardOptions {
  /** The channels that carry live data. */
  channels: Pick<Channels, "addNamespace" | "extend">;
  /** The figures of the charts. */
  stats: Pick<Stats, "onFigures" | "figures">;
  /** Follows channels and clients. @default {no tail} */
  trace?: Pick<Trace, "follow">;
  /** Tells which tables change. @default {tables are not live} */
  store?: Pick<Store, "watch">;
  /** Reaches the other nodes. @default {this node alone} */
  cluster?: Cluster;
  /** Whether there is sign-in. @default {there is} */
  access?: Pick<Access, "open">;
  /** The path. @default {"/admin"} */
  path?: string;
  /** The path of the HTTP API. @default {"/api"} */
  apiPath?: string;
}

/** Backends can subscribe any client to any channel. These show the messages of all, so the client must be allowed too. */
const guard: ChannelExtension = {
  name: "dashboard",
  beforeSubscribe({ identity }, channel) {
    if (!channel.startsWith(FEEDS) || identity.can("read", channel)) return;
    throw new PlugboardError("permission_denied", "Permission denied");
  },
};

/** Serves the page. */
export function dashboard(options: DashboardOptions): Plugin {
  const { channels, stats, trace, store, cluster = localCluster() } = options;
  const { path = "/admin", apiPath = "/api" } = options;
  const check = checkOptions("dashboard");
  for (const [name, value] of Object.entries({ path, apiPath })) {
    check.that(/^(\/[\w.-]+)+$/.test(value), name, "a path such as /admin", value);
  }
  let release = () => {};

  return built({
    name: "dashboard",
    async start({ clock, log }: Host) {
      const parts: FeedParts = { stats, trace, store, cluster, clock, log };
      const feeds = new LiveFeeds(parts);
      const endAnswers = answerFigures(parts);
      const endGuard = channels.extend(guard);
      release = () => {
        endGuard();
        endAnswers();
        feeds.stop();
      };
      await channels.addNamespace("admin", {
        broker: feeds,
        historySize: 0,
        presence: false,
        joinLeave: "off",
        recovery: "off",
        publish: "nobody",
        maxNameBytes: 2_048,
      });
    },
    stop: () => release(),
    routes(app) {
      const open = options.access?.open === true;
      for (const [route, answer] of files({ path, apiPath, open })) app.get(route, (c) => answer(c.req.raw));
    },
  }, options);
}
