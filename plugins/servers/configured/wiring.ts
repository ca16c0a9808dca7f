/**
 * What `main.ts` gives to the plugins, from the options.
 *
 * @module
 */

import { type ServerOptions, setting } from "../../../core/mod.ts";
import type { ApiKey, AuthOptions } from "../../auth.ts";
import type { Broker, NamespaceOptions } from "../../channels.ts";
import type { Limits, RateLimitsOptions } from "../../rate_limits.ts";
import type { ProxiesOptions } from "../../proxies.ts";
import { clientIpFrom } from "../../shared/client_ip.ts";
import type { WebhookOptions } from "../../webhooks.ts";
import type { Settings } from "./settings.ts";

/** What `main.ts` gives to the plugins. */
export interface WiringOptions {
  /** Of the server. */
  readonly server: ServerOptions;
  /** Of the sign-in, without services. */
  readonly auth: AuthOptions;
  /** Of the limits. */
  readonly limits: RateLimitsOptions;
  /** Defaults of the namespaces. */
  readonly defaults: NamespaceOptions;
  /** Where other nodes reach this one. */
  readonly address: string;
  /** The name of this node, unlike that of any other. */
  readonly node: string;
  /** URLs that get events. */
  readonly receivers: readonly WebhookOptions[];
  /** The backend that decides, if there is one. */
  readonly proxies: ProxiesOptions | undefined;
  /** How many workers, 0 for none. */
  readonly workers: number | "auto";
  /** The namespaces; `durable` is the broker of those on disk. */
  namespaces(durable: Broker | undefined): Record<string, NamespaceOptions>;
}

/**
 * Returns what `main.ts` gives to the plugins.
 *
 * ```ts ignore
 * const server = new Server(wiringOptions(settings).server);
 * ```
 */
export function wiringOptions(settings: Settings): WiringOptions {
  return {
    server: serverOptions(settings),
    auth: authOptions(settings),
    limits: {
      ...settings.plugins.rate_limits,
      enabled: settings.limits !== "off",
      limits: limitsOf(settings),
    },
    defaults: namespaceDefaults(settings),
    address: settings.nodeAddress ?? `${settings.host}:${settings.port}`,
    node: nodeOf(settings),
    receivers: receiversOf(settings),
    proxies: Object.keys(settings.proxies).length > 0 ? settings.proxies : undefined,
    workers: settings.workers === "auto" ? "auto" : Number(settings.workers),
    namespaces: (durable) => namespacesOf(settings, durable),
  };
}

/** Returns the options of the server. */
function serverOptions(settings: Settings): ServerOptions {
  const { port, host, adminPort, adminHost, tlsCert = "", tlsKey = "", maxMemory } = settings;
  const tls = tlsCert || tlsKey ? { certFile: tlsCert, keyFile: tlsKey } : undefined;
  return {
    ...(settings.limits === "off" && { maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 }),
    ...settings.server,
    port,
    hostname: host,
    tls,
    drainMs: settings.drainMs,
    ...(maxMemory !== undefined && { maxMemoryBytes: setting.optionalBytes("").parse(maxMemory)! }),
    ...(adminPort !== undefined && { listeners: { admin: { port: adminPort, hostname: adminHost, tls } } }),
    clientIp: clientIpFrom({ trusted: settings.trustedProxies }),
  };
}

/** Returns a name that no other node has, nor this one after a restart. */
function nodeOf({ nodeName }: Settings): string {
  const random = crypto.randomUUID();
  return nodeName === undefined ? random : `${nodeName}-${random.slice(0, 8)}`;
}

/** Returns the options of the sign-in that are no services. */
function authOptions(settings: Settings): AuthOptions {
  const { jwtSecret: secret, jwksUrl: jwks, allowAnonymous, signIn } = settings;
  const { jwt, anonymous = true, ...more } = signIn;
  return {
    ...more,
    jwt: secret || jwks || jwt?.publicKey ? { ...jwt, secret, jwks } : undefined,
    apiKeys: apiKeysOf(settings),
    anonymous: allowAnonymous && anonymous,
    origins: settings.allowedOrigins,
  };
}

/** Returns the API keys. */
function apiKeysOf({ apiKeys }: Settings): ApiKey[] {
  return Object.entries(apiKeys).map(([name, { key, hash = "", ...about }]) =>
    key === undefined ? { name, ...about, hash: hash.replace("sha256:", "") } : { name, ...about, key }
  );
}

/** Returns the namespaces; `durable` is the broker of those on disk. */
function namespacesOf(settings: Settings, durable: Broker | undefined): Record<string, NamespaceOptions> {
  const listed = settings.durable.map((name) => [name, { durable: true }] as const);
  const all = { ...Object.fromEntries(listed), ...settings.namespaces };
  return Object.fromEntries(
    Object.entries(all).map(([name, { durable: own, ...options }]) => {
      const onDisk = own ?? settings.durable.includes(name);
      return [name, onDisk && durable !== undefined ? { ...options, broker: durable } : options];
    }),
  );
}

/** Returns the defaults of namespaces. */
function namespaceDefaults({ channels }: Settings): NamespaceOptions {
  return { delta: "fossil", maxTagFilters: 1_000, ...channels.defaults };
}

/** Returns the limits of clients other than the defaults. */
function limitsOf({ limits }: Settings): Partial<Limits> {
  return typeof limits === "string" ? {} : limits;
}

/** Returns the URLs that get events. */
function receiversOf({ webhooks, webhookUrl, webhookSecrets }: Settings): WebhookOptions[] {
  const own = webhookUrl === undefined ? [] : [{ name: "backend", url: webhookUrl, secrets: webhookSecrets }];
  return [...own, ...Object.entries(webhooks).map(([name, options]) => ({ ...options, name }))];
}

/**
 * Plugs a plugin in, unless it is disabled.
 *
 * ```ts ignore
 * ifEnabled(settings.plugins.echo, (options) => server.use(echo(options)));
 * ```
 */
export function ifEnabled<Options extends object>(
  given: boolean | Options | undefined,
  plug: (options: Options) => unknown,
): void {
  const options = enabled(given);
  if (options !== undefined) plug(options);
}

/**
 * Returns the options of a plugin; `undefined` if it is disabled.
 *
 * ```ts
 * import { enabled } from "@plugboard/server/configured";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([enabled(true), enabled(false), enabled({ path: "/chat" })], [{}, undefined, { path: "/chat" }]);
 * ```
 */
export function enabled<Options extends object>(given: boolean | Options | undefined): Options | undefined {
  if (given === false) return undefined;
  return typeof given === "object" ? given : {} as Options;
}
