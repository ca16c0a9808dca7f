/**
 * The one description of every option of a configuration file. Everything else comes from it: `deno task schema` makes the
 * JSON Schema, and that makes the flags, the environment variables, `--help` and the checks.
 *
 * An option is a property with a sentence. Beside `@default`, the tags `@secret` (never printed), `@reference` (must come from
 * the environment), `@minimum`, `@maximum` and `@pattern` have a meaning. Numbers are whole and at least 1 without `@minimum`.
 * The file has the name `dataDir`, the environment `DATA_DIR`, and the flag is `--data-dir`.
 *
 * @module
 */

import type { NamespaceOptions } from "../../channels.ts";
import type { Limits } from "../../rate_limits.ts";
import type { WebhookOptions } from "../../webhooks.ts";
import type { MutationSettings, QuerySettings, ScheduledSettings } from "./declarations.ts";
import type {
  ChannelsSettings,
  PluginSettings,
  ProxySettings,
  ServerSettings,
  SignInSettings,
} from "./plugin_settings.ts";

/** All options. Those that are not optional have a default. */
export interface Settings {
  /** The JSON Schema of this file, for editors. */
  $schema?: string;
  /** Port to listen on; 0 picks a free one. @default {8080} @minimum 0 @maximum 65535 */
  port: number;
  /** Address to listen on; a non-loopback address needs sign-in or `allowAnonymous`. @default {"127.0.0.1"} */
  host: string;
  /** Another port for the API, metrics and traces, instead of `port`. @minimum 0 @maximum 65535 */
  adminPort?: number;
  /** Address of that port. @default {"127.0.0.1"} */
  adminHost: string;
  /** Certificate file, in PEM. */
  tlsCert?: string;
  /** Private key file, in PEM. */
  tlsKey?: string;
  /** Folder of the database. @default {"data"} */
  dataDir: string;
  /** Namespaces whose channels are stored on disk. @default {[]} */
  durable: readonly string[];
  /**
   * Redis servers that several nodes share, one or more, or nodes of a Redis Cluster, with user, password and prefix:
   * `redis://user:password@host:6379/0?prefix=app`; with sentinels: `redis+sentinel://host:26379/primary`.
   * @default {[]} @secret
   */
  redisUrl: readonly string[];
  /**
   * Host and port at which a proxy reaches this node, with `redisUrl`: other nodes refuse with it what only the owner of the
   * database serves. @default {`host` and `port`}
   */
  nodeAddress?: string;
  /**
   * Name of this node in the dashboard and the API. Eight random digits are added, so that two nodes may have the same name.
   * @pattern ^[\w.-]{1,64}$ @examples ["web-1"] @default {random}
   */
  nodeName?: string;
  /** Lowest level to log. @default {"info"} */
  logLevel: "debug" | "info" | "warn" | "error";
  /** Secret that tokens are signed with. @secret */
  jwtSecret?: string;
  /** URL of the key set that tokens are signed with. */
  jwksUrl?: string;
  /**
   * API keys of backends, by name. In the environment as `name:key:permission+permission`, separated by commas.
   * @default {{}} @names ^[^:,]+$
   */
  apiKeys: Readonly<Record<string, ApiKeySettings>>;
  /** API key for the hub, in addition to the `apiKeys` with the permission `admin`. @secret */
  hubApiKey?: string;
  /** Allow clients without a token. @default {false} */
  allowAnonymous: boolean;
  /** Origins that may connect, in addition to the server's own. @default {[]} */
  allowedOrigins: readonly string[];
  /** Proxies whose `X-Forwarded-For` is trusted: addresses, networks, `loopback`, `private`. @default {[]} */
  trustedProxies: readonly string[];
  /** Maximum milliseconds for a graceful stop. @default {10000} @minimum 0 */
  drainMs: number;
  /** Worker threads that hold the sockets, to use more cores; `auto` for all cores but one. @pattern ^(auto|\d{1,2})$ @examples ["auto", "4"] @default {"0"} */
  workers: string;
  /** Maximum memory of the process, such as `512MB` or `2GB`. @pattern ^[1-9]\d{0,8} ?[KMGkmg]?[Bb]?$ @examples ["512MB", "2GB"] @default {three quarters of the machine's} */
  maxMemory?: string;
  /** URL of your backend that gets events; further ones are in `webhooks`. @secret */
  webhookUrl?: string;
  /** Secrets that sign these events, each as `whsec_` and base64. @default {[]} @secret */
  webhookSecrets: readonly string[];
  /** Export metrics and traces through OpenTelemetry. Set it in the environment, the runtime reads it too. @default {false} */
  otelDeno: boolean;
  /** Limits for clients, or `off` for load tests. @default {"on"} */
  limits: "on" | "off" | Readonly<Partial<Limits>>;
  /** Folder with `.sql` files that make the app's tables, in the order of their names; each runs once. */
  migrations?: string;
  /** Folder with the pages of the app, which are served at `/`. */
  pages?: string;
  /** Options by namespace: the part of a channel's name before the first `:`. @default {{}} @names ^[\p{L}\p{N}_-]+([ .][\p{L}\p{N}_-]+)*$ */
  namespaces: Readonly<Record<string, NamespaceSettings>>;
  /** Options of all channels. @default {{}} */
  channels: ChannelsSettings;
  /** Live queries by name. Clients subscribe to `live:NAME`. @default {{}} @names ^(?!sql(\.|$))[\w.-]+$ */
  queries: Readonly<Record<string, QuerySettings>>;
  /** Methods that write to the database, by name. Clients call them. @default {{}} @names ^[\w.-]+$ */
  mutations: Readonly<Record<string, MutationSettings>>;
  /** Publications that recur, by id. @default {{}} @names ^[\w.-]{1,100}$ */
  schedule: Readonly<Record<string, ScheduledSettings>>;
  /** URLs that get signed events, by name. @default {{}} @names ^[\w.-]+$ */
  webhooks: Readonly<Record<string, WebhookSettings>>;
  /** URLs of a backend that decides who clients are and what they may do. @default {{}} */
  proxies: ProxySettings;
  /** Further options of the sign-in. @default {{}} */
  signIn: SignInSettings;
  /** Further options of the server. @default {{}} */
  server: ServerSettings;
  /**
   * Options of the plugins; `false` disables one, where it can be. In the environment as `-chat,-hub`. @default {{}}
   */
  plugins: PluginSettings;
}

/** What a configuration file contains. */
export type Configuration = Partial<Settings>;

/** An API key: `key` or `hash` is required. `keys NAME` makes one. */
export interface ApiKeySettings {
  /** The SHA-256 of the key, as `keys NAME` prints it. @pattern ^sha256:[0-9a-f]{64}$ @examples ["sha256:0123…"] */
  hash?: string;
  /** The key, from the environment: `${SHOP_KEY}`. @secret @reference */
  key?: string;
  /** What it may do: `read:news`, `write:chat:*`, `admin`, `*`. */
  permissions: readonly Permission[];
  /** The user id of the key's holder. */
  user?: string;
}

/** A permission: `read:`, `write:`, `query:` or `admin:` and a resource, or `admin`, or `*`. @pattern ^(\*|admin|(read|write|query|admin):.+)$ @examples ["read:news", "write:chat:*", "admin"] */
export type Permission = string;

/** Options of a namespace. */
export interface NamespaceSettings extends Omit<NamespaceOptions, "broker"> {
  /** Whether its channels are stored on disk. @default {false} */
  durable?: boolean;
}

/** A URL that gets events. */
export interface WebhookSettings extends Omit<WebhookOptions, "name" | "secrets" | "headers"> {
  /** The secrets that sign each request, in the form `whsec_` and base64; several during a rotation. @secret */
  secrets: readonly string[];
  /** Further headers of each request. @secret */
  headers?: Readonly<Record<string, string>>;
}
