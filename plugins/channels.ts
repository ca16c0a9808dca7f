/**
 * Channels: publish and subscribe, with a log that lets a client that was away catch up.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels({ namespaces: { chat: { historySize: 1000 } } }));
 *
 * const unsubscribe = bus.subscribe("chat:lobby", (message) => console.log(message));
 * const { offset } = await bus.publish("chat:lobby", { text: "hello" });
 * unsubscribe();
 * ```
 *
 * @module
 */

import { checkOptions, closeCode, type Host, type Plugin } from "../core/mod.ts";
import type { Broker } from "./channels/broker.ts";
import { ChannelClient, unsubscribeCodes } from "./channels/client.ts";
import type { ChannelExtension } from "./channels/extensions.ts";
import { Hub } from "./channels/hub.ts";
import { memoryBroker } from "./channels/memory_broker.ts";
import type { NamespaceOptions } from "./channels/namespace.ts";
import { prepareNamespaces } from "./channels/namespaces.ts";
import type { Channels, Target } from "./channels/service.ts";

export type * from "./channels/broker.ts";
export type { ChannelExtension, Publishing, SubscribeAddition } from "./channels/extensions.ts";
export { memoryBroker, type MemoryBrokerOptions } from "./channels/memory_broker.ts";
export type * from "./channels/namespace.ts";
export { personalChannel } from "./channels/namespaces.ts";
export type * from "./channels/publications.ts";
export type * from "./channels/service.ts";
export type * from "./channels/types.ts";
export type { Identity, Verb, Verdict } from "./shared/identity.ts";
export { Payload } from "./shared/payload.ts";

/** Options of {@linkcode channels}. */
export interface ChannelsOptions {
  /** Where logs live and publications travel. @default {memoryBroker()} */
  broker?: Broker;
  /** Options by namespace: the part of a channel's name before the first `:`. */
  namespaces?: Record<string, NamespaceOptions>;
  /** Options of channels without a namespace, and of namespaces that say nothing else. */
  defaults?: NamespaceOptions;
  /** Refuse channels whose namespace is not listed. @default {false} */
  onlyKnown?: boolean;
  /** Channels one client may be subscribed to at once. @default {128} */
  maxChannelsPerClient?: number;
  /** Bytes of a channel's name. @default {255} */
  maxNameBytes?: number;
  /** Limits what clients do: {@linkcode rateLimits}. */
  limits?: { readonly extension: ChannelExtension } | undefined;
  /** Decides about subscriptions: {@linkcode auth}. */
  access?: { readonly extension: ChannelExtension } | undefined;
  /** Further extensions. */
  extensions?: readonly ChannelExtension[];
}

const forceDisconnect = closeCode(3503, "force disconnect");

/** Publishes, subscribes, and keeps logs. */
export function channels(options: ChannelsOptions = {}): Plugin<Channels> {
  const { broker = memoryBroker(), maxChannelsPerClient = 128, maxNameBytes = 255 } = options;
  const { defaults, namespaces, onlyKnown, limits, access, extensions = [] } = options;
  const check = checkOptions("channels");
  check.positiveInteger("maxChannelsPerClient", maxChannelsPerClient);
  check.positiveInteger("maxNameBytes", maxNameBytes);

  let host: Host | undefined;
  const hub = new Hub({
    maxChannelsPerClient,
    namespaces: prepareNamespaces({ broker, defaults, namespaces, onlyKnown, maxNameBytes }),
    host: () => host,
  });
  for (const { extension } of [limits, access].filter((each) => each !== undefined)) {
    hub.extensions.add(extension);
  }
  for (const extension of extensions) hub.extensions.add(extension);
  const users = new Map<string, Set<ChannelClient>>();

  function targeted(target: Target): ChannelClient[] {
    if ("user" in target) return [...users.get(target.user) ?? []];
    const client = hub.clients.get(target.client);
    return client === undefined ? [] : [client];
  }

  const api: Channels = {
    // deno-lint-ignore require-await -- makes one promise, and turns a throw into a rejection
    async publish(channel, data, publishOptions) {
      return hub.publish(channel, hub.namespaceOf(channel), data, publishOptions);
    },
    broadcast: (names, data) => Promise.allSettled(names.map((name) => api.publish(name, data))),
    subscribe: (channel, callback) => hub.listen(channel, callback),
    history: (channel, query) => Promise.try(() => hub.history(channel, hub.namespaceOf(channel), query)),
    removeHistory: (channel) => hub.removeHistory(channel),

    connect(conn, clientOptions) {
      const client = new ChannelClient(hub, conn, clientOptions);
      hub.clients.set(conn.id, client);
      const { user } = client.identity;
      if (user === "") return client;
      const own = users.get(user);
      if (own === undefined) users.set(user, new Set([client]));
      else own.add(client);
      return client;
    },
    clientOf: (id) => hub.clients.get(id),
    clients: hub.clients,
    async subscribeClients(target, channel, grant) {
      const all = targeted(target);
      const request = { serverSide: true, ...(grant !== undefined && { grant }) };
      await Promise.all(all.map(async (client) => {
        await client.subscribe(channel, request, (subscribed) => {
          client.conn.send(client.encoder.subscribed(channel, subscribed));
        });
      }));
      return all.length;
    },
    unsubscribeClients: (target, channel) =>
      Promise.try(() => {
        const ended = targeted(target).flatMap((client) => {
          const names = channel === undefined ? [...client.subscriptions.keys()] : [channel];
          return names.filter((name) => client.expel(name, unsubscribeCodes.server));
        });
        return ended.length;
      }),
    closeChannel: (channel, why) => Promise.try(() => hub.close(channel, why)),
    disconnect: (target, why = forceDisconnect) =>
      Promise.try(() => {
        const all = targeted(target);
        for (const { conn } of all) conn.close(why);
        return all.length;
      }),
    refresh: (target, change) =>
      Promise.try(() => {
        const all = targeted(target);
        for (const client of all) client.identify({ ...client.identity, ...change });
        return all.length;
      }),
    stats: (channel) => Promise.try(() => ({ channels: api.localStats(channel), silent: [] })),
    localStats(channel) {
      const all = channel === undefined ? [...hub.channels.values()] : [hub.channels.get(channel)];
      return all.flatMap((each) => each === undefined ? [] : [each.stats]);
    },

    extend: (extension) => hub.extensions.add(extension),
    addNamespace: (name, namespaceOptions) => hub.addNamespace(name, namespaceOptions),
    namespaceOf: (channel) => hub.namespaceOf(channel),
  };

  return {
    name: "channels",
    api,
    async start(given) {
      host = given;
      await hub.start(given);
    },
    stop: () => hub.stop(),
    close(conn) {
      const client = hub.clients.get(conn.id);
      if (client === undefined) return;
      client.leave();
      hub.clients.delete(conn.id);
      const { user } = client.identity;
      const own = users.get(user);
      own?.delete(client);
      if (own?.size === 0) users.delete(user);
    },
  };
}
