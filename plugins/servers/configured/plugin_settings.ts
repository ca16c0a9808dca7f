/**
 * The options of plugins that a file can contain: all except services and functions. An option that a plugin gets is in
 * the file, too.
 *
 * @module
 */

import type { ServerOptions } from "../../../core/mod.ts";
import type { AuthOptions } from "../../auth.ts";
import type { JwtOptions } from "../../auth/tokens.ts";
import type { ChannelsOptions, NamespaceOptions } from "../../channels.ts";
import type { DashboardOptions } from "../../dashboard.ts";
import type { HttpApiOptions } from "../../http_api.ts";
import type { LiveQueriesOptions } from "../../live_queries.ts";
import type { LoggingOptions } from "../../logging.ts";
import type { MessageChecksOptions } from "../../message_checks.ts";
import type { MutationsOptions } from "../../mutations.ts";
import type { OwnerOptions } from "../../owner.ts";
import type { PathsOptions } from "../../paths.ts";
import type { PersistenceOptions } from "../../persistence.ts";
import type { PresenceOptions } from "../../presence.ts";
import type { CentrifugeOptions } from "../../protocols/centrifuge.ts";
import type { ChatOptions } from "../../protocols/chat.ts";
import type { EchoOptions } from "../../protocols/echo.ts";
import type { HubOptions } from "../../protocols/hub.ts";
import type { JsonOptions } from "../../protocols/json.ts";
import type { PipeOptions } from "../../protocols/pipe.ts";
import type { TinyBaseOptions } from "../../protocols/tinybase.ts";
import type { ProxiesOptions } from "../../proxies.ts";
import type { RateLimitsOptions } from "../../rate_limits.ts";
import type { RedisOptions } from "../../redis.ts";
import type { RpcOptions } from "../../rpc.ts";
import type { ScheduleOptions } from "../../schedule.ts";
import type { SqlEventsOptions } from "../../sql_events.ts";
import type { SqliteBrokerOptions } from "../../sqlite_broker.ts";
import type { TraceOptions } from "../../trace.ts";
import type { WorkersOptions } from "../../workers.ts";

/** Options of the server that have no name of their own. */
export type ServerSettings = Omit<
  ServerOptions,
  "port" | "hostname" | "tls" | "listeners" | "drainMs" | "maxMemoryBytes" | "clientIp" | "clock"
>;

/** Options of the sign-in that have no name of their own. */
export interface SignInSettings extends Pick<AuthOptions, "permissions" | "warnMs" | "graceMs"> {
  /** Clients without a token: their permissions, and their user id. */
  anonymous?: Exclude<AuthOptions["anonymous"], boolean | undefined>;
  /** How tokens are checked, in addition to their signature. */
  jwt?: Omit<JwtOptions, "secret" | "jwks">;
}

/** Options of all channels. */
export interface ChannelsSettings
  extends Pick<ChannelsOptions, "onlyKnown" | "maxChannelsPerClient" | "maxNameBytes" | "idempotencyMs"> {
  /** Options of channels without a namespace, and defaults for the namespaces. */
  defaults?: Omit<NamespaceOptions, "broker">;
}

/** The backend that decides. */
export type ProxySettings = Omit<ProxiesOptions, "metrics">;

/** Names of options that are services. */
export type Service =
  | "access"
  | "channels"
  | "cluster"
  | "limits"
  | "log"
  | "metrics"
  | "paths"
  | "presence"
  | "queries"
  | "rpc"
  | "stats"
  | "store"
  | "trace";

/** Options of plugins. */
export interface PluginSettings {
  /** Official SDKs. */
  centrifuge?: boolean | Omit<CentrifugeOptions, Service | "onMessage" | "codecs">;
  /** Chat rooms. */
  chat?: boolean | ChatSettings;
  /** The page for operators at `/admin`. */
  dashboard?: boolean | Omit<DashboardOptions, Service>;
  /** Sends every message back. */
  echo?: boolean | EchoOptions;
  /** The page at `/`. */
  home?: boolean;
  /** The server API. */
  http_api?:
    | boolean
    | Omit<HttpApiOptions, Service | "schedule" | "webhooks" | "workers" | "backups" | "settings">;
  /** Messages of backends to users and sessions. */
  hub?: boolean | HubSettings;
  /** Channels for a plain WebSocket. */
  json?: boolean | Omit<JsonOptions, Service>;
  /** Frames between the clients of a path. */
  pipe?: boolean | Omit<PipeOptions, Service | "createServerClient">;
  /** Stores of TinyBase. */
  tinybase?:
    | boolean
    | Omit<TinyBaseOptions, Service | "createPersisterForPath" | "onStore">;
  /** Live queries. */
  live_queries?: Omit<LiveQueriesOptions, Service | "clientSql">;
  /** The log. */
  logging?: Omit<LoggingOptions, "level" | "logger" | "write">;
  /** Checks of payloads. */
  message_checks?: Omit<MessageChecksOptions, Service>;
  /** Mutations. */
  mutations?: Omit<MutationsOptions, Service>;
  /** The owner of the database among several nodes. */
  owner?: Omit<OwnerOptions, Service | "leases" | "address" | "endpoints">;
  /** Paths, of `pipe` and `tinybase`. */
  paths?: Omit<PathsOptions, "mailStore" | "allow" | "identityOf">;
  /** The database. */
  persistence?: Omit<PersistenceOptions, Service | "path">;
  /** Presence. */
  presence?: Omit<PresenceOptions, Service>;
  /** Limits for clients. */
  rate_limits?: Omit<RateLimitsOptions, Service | "enabled">;
  /** Redis. */
  redis?: Omit<RedisOptions, "urls" | "node" | "clock">;
  /** Calls. */
  rpc?: Omit<RpcOptions, Service | "backend" | "keep">;
  /** Publications at a later time. */
  schedule?: Omit<ScheduleOptions, Service | "leads">;
  /** Events of SQL. */
  sql_events?: Omit<SqlEventsOptions, Service>;
  /** Channels on disk. */
  sqlite_broker?: Omit<SqliteBrokerOptions, Service | "onError">;
  /** Traces. */
  trace?: Omit<TraceOptions, Service | "otel" | "allow" | "output">;
  /** Workers. */
  workers?: Omit<WorkersOptions, Service | "count">;
}

/** Options of the chat. */
export interface ChatSettings extends Omit<ChatOptions, Service | "trace" | "history" | "mayCreate"> {
  /** How messages are stored. */
  history?: Omit<NonNullable<ChatOptions["history"]>, "broker">;
}

/** Options of the hub. */
export interface HubSettings extends Omit<HubOptions, Service | "apiKey" | "keep"> {
  /** Keeps messages for sessions that are away. */
  keep?: Omit<NonNullable<HubOptions["keep"]>, "store">;
}
