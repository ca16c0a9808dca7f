/**
 * The HTTP API: backends in any language publish, read and control over HTTP.
 *
 * The methods of Centrifugo's server API have its names, parameters, results and errors, so that its client libraries
 * work. Further methods list connections, end sign-ins, and read and back up the database. Every method is a `POST` of a
 * JSON object, and names the permission that it needs.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { auth } from "@plugboard/server/auth";
 * import { channels } from "@plugboard/server/channels";
 * import { httpApi } from "@plugboard/server/http_api";
 *
 * const server = new Server({ port: 0 });
 * const access = server.use(auth({
 *   apiKeys: [{ name: "shop", key: "a-long-random-text", permissions: ["write:orders:*"] }],
 * }));
 * const bus = server.use(channels({ access }));
 * server.use(httpApi({ channels: bus, access }));
 * ```
 *
 * A request needs an API key, or credentials with the permission `admin:api`: what users may do as clients, they may not do
 * as a backend.
 *
 * @module
 */

import { built, checkOptions, type Host, type Plugin, systemClock } from "../core/mod.ts";
import type { Access } from "./auth.ts";
import type { Channels, Cluster } from "./channels.ts";
import { batchMethod, type CommandParts } from "./http_api/batch.ts";
import { rpcMethods } from "./http_api/calling.ts";
import { controlMethods } from "./http_api/control.ts";
import { databaseMethods } from "./http_api/database.ts";
import { inspectingMethods } from "./http_api/inspecting.ts";
import { listingMethods } from "./http_api/listing.ts";
import { answerQuestions } from "./http_api/nodes.ts";
import { openApi } from "./http_api/openapi.ts";
import { publishingMethods } from "./http_api/publishing.ts";
import { queryMethods } from "./http_api/queries.ts";
import { readingMethods } from "./http_api/reading.ts";
import { type Reloaded, reloadMethod } from "./http_api/reloading.ts";
import { addRoutes } from "./http_api/routes.ts";
import { schedulingMethods } from "./http_api/scheduling.ts";
import { signInMethods } from "./http_api/sign_in.ts";
import { watchingMethods } from "./http_api/watching.ts";
import { webhookMethods } from "./http_api/webhooks.ts";
import { addPage } from "./http_api/page.ts";
import type { Method } from "./http_api/types.ts";
import type { LiveQueries } from "./live_queries.ts";
import type { Logging } from "./logging.ts";
import type { Store } from "./persistence.ts";
import type { Presence } from "./presence.ts";
import type { Rpc } from "./rpc.ts";
import type { Schedule } from "./schedule.ts";
import { localCluster } from "./shared/cluster.ts";
import { Deadlines } from "./shared/deadlines.ts";
import type { Stats } from "./stats.ts";
import type { Trace } from "./trace.ts";
import type { Webhooks } from "./webhooks.ts";
import type { Workers } from "./workers.ts";

export type { Reloaded } from "./http_api/reloading.ts";

/** Options of {@linkcode httpApi}. */
export interface HttpApiOptions {
  /** The channels. */
  channels: Channels;
  /** Signs backends in. */
  access: Pick<
    Access,
    | "authorizeBackend"
    | "revoke"
    | "apiKeys"
    | "createApiKey"
    | "revokeApiKey"
    | "signInOf"
    | "verify"
    | "anonymous"
  >;
  /** Lists who is in a channel. @default {not available} */
  presence?: Pick<Presence, "list" | "count">;
  /** The methods that can be called. @default {none} */
  rpc?: Pick<Rpc, "call" | "methods" | "schemaOf">;
  /** The queries that can be run. @default {none} */
  queries?: Pick<LiveQueries, "read" | "describe" | "instances" | "explain">;
  /** The database. @default {none} */
  store?: Pick<Store, "all" | "table" | "write" | "backup" | "path" | "problem">;
  /** The statistics. @default {none} */
  stats?: Pick<Stats, "summary" | "figures" | "metrics" | "journal">;
  /** The latest warnings and errors. @default {not available} */
  log?: Pick<Logging, "recent">;
  /** The workers. @default {none} */
  workers?: Workers | undefined;
  /** The flight recorder. @default {not available} */
  trace?: Pick<Trace, "recorder">;
  /** Returns the options in force, as lines without secrets. @default {not available} */
  settings?: () => readonly string[];
  /** Publishes later. @default {not available} */
  schedule?: Schedule;
  /** Whose dead letters are listed and retried. @default {none} */
  webhooks?: Webhooks | undefined;
  /** Loads the configuration again. @default {not available} */
  reload?: () => Promise<Reloaded>;
  /** The folder that backups are written to. @default {no backups} */
  backups?: string;
  /** Reaches the other nodes. @default {this node alone} */
  cluster?: Cluster;
  /** The path. @default {"/api"} */
  path?: string;
  /** Maximum bytes of a request. @default {1048576} */
  maxBodyBytes?: number;
  /** How long a request's body may take to arrive. @default {30000} */
  readTimeoutMs?: number;
}

/** Serves the API. */
export function httpApi(options: HttpApiOptions): Plugin {
  const { channels, access, presence, rpc, queries, store, stats, schedule, backups } = options;
  const { webhooks, log, trace, settings, reload, workers } = options;
  const { cluster = localCluster() } = options;
  const { path = "/api", maxBodyBytes = 1_048_576, readTimeoutMs = 30_000 } = options;
  const check = checkOptions("http_api");
  check.that(/^(\/[\w.-]+)+$/.test(path), "path", "a path such as /api", path);
  check.positiveInteger("maxBodyBytes", maxBodyBytes);
  check.positiveInteger("readTimeoutMs", readTimeoutMs);

  let host: Host | undefined;
  let startedAt = 0;
  let end = () => {};
  const clock = () => host?.clock ?? systemClock;
  const deadlines = new Deadlines(clock, readTimeoutMs);
  const failed = (method: string, error: unknown) => host?.log.error(`${method} failed`, { error });

  const methods = new Map<string, Method>();
  const commands: CommandParts = { methods, failed };
  const all = [
    ...publishingMethods({ channels, schedule, failed }),
    ...controlMethods(channels),
    ...readingMethods({ channels, presence }),
    ...listingMethods(cluster),
    ...inspectingMethods({ cluster, channels, access }),
    ...rpcMethods(rpc),
    batchMethod(commands),
    ...schedulingMethods(schedule),
    ...webhookMethods(webhooks),
    ...signInMethods(access),
    ...queryMethods({ queries, channels }),
    ...databaseMethods({ store, backups, wallTime: () => clock().wallTime() }),
    ...watchingMethods({
      cluster,
      stats,
      log,
      recorder: trace?.recorder,
      settings,
      problems: () => host?.problems ?? [],
    }),
    reloadMethod(reload),
  ];
  for (const method of all) methods.set(method.name, method);

  return built({
    name: "http_api",
    start(given) {
      host = given;
      startedAt = given.clock.monotonicTime();
      const uptime = () => Math.floor((given.clock.monotonicTime() - startedAt) / 1000);
      end = answerQuestions(cluster, channels, {
        uptime,
        figures: (after) => stats?.figures(after) ?? [],
        journal: (of) => stats?.journal(of) ?? [],
        signInOf: access.signInOf,
        workers,
      });
    },
    stop() {
      end();
      deadlines.stop();
    },
    routes(app) {
      const limits = { maxBytes: maxBodyBytes, timeoutMs: readTimeoutMs, clock: deadlines };
      addRoutes(app, { ...commands, path, access, limits });
      addPage(app, path, () => openApi(methods.values(), path));
    },
  }, options);
}
