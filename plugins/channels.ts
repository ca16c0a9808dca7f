/**
 * Channels: publish and subscribe, with a history from which clients recover what they missed.
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

import { built, checkOptions, type Connection, type Plugin } from "../core/mod.ts";
import type { Broker } from "./channels/broker.ts";
import { ChannelNode } from "./channels/channel_node.ts";
import { ChannelClient } from "./channels/client.ts";
import { control } from "./channels/control.ts";
import type { ChannelExtension } from "./channels/extensions.ts";
import { LocalClients } from "./channels/local_clients.ts";
import { memoryBroker } from "./channels/memory_broker.ts";
import type { NamespaceOptions } from "./channels/namespace.ts";
import { decide, prepareNamespaces } from "./channels/namespaces.ts";
import type { Channels } from "./channels/service.ts";
import { type Cluster, localCluster } from "./shared/cluster.ts";
import type { Identity } from "./shared/identity.ts";
import { Payload } from "./shared/payload.ts";

export type * from "./channels/broker.ts";
export type {
  ChannelExtension,
  PublishChange,
  Publishing,
  SubscribeAddition,
} from "./channels/extensions.ts";
export { memoryBroker, type MemoryBrokerOptions } from "./channels/memory_broker.ts";
export type { Delta } from "./channels/deltas.ts";
export type * from "./channels/namespace.ts";
export type { NamespaceChange } from "./channels/namespaces.ts";
export { personalChannel } from "./channels/namespaces.ts";
export type * from "./channels/publications.ts";
export type * from "./channels/service.ts";
export type { CompiledFilter, TagFilter } from "./channels/tag_filter.ts";
export type * from "./channels/types.ts";
export type * from "./shared/cluster.ts";
export type { Repeatable, ResultOptions } from "./shared/idempotency.ts";
export type { Identity, Verb, Verdict } from "./shared/identity.ts";
export { localCluster, Payload };

/** Options of {@linkcode channels}. */
export interface ChannelsOptions {
  /** Stores histories and carries publications. @default {memoryBroker()} */
  broker?: Broker;
  /** Options by namespace: the part of a channel's name before the first `:`. */
  namespaces?: Record<string, NamespaceOptions>;
  /** Options of channels without a namespace, and defaults for the namespaces. */
  defaults?: NamespaceOptions;
  /** Refuses channels whose namespace is not listed. @default {false} */
  onlyKnown?: boolean;
  /** The maximum number of channels a client can be subscribed to. @default {128} */
  maxChannelsPerClient?: number;
  /** The maximum bytes of a channel's name. @default {255} */
  maxNameBytes?: number;
  /** How long an idempotency key is stored. @default {300000} five minutes */
  idempotencyMs?: number;
  /** Reaches the other nodes. @default {this node alone} */
  cluster?: Cluster;
  /** Limits what clients do: {@linkcode rateLimits}. */
  limits?: { readonly extension: ChannelExtension } | undefined;
  /** Decides about subscriptions, and may renew identities: {@linkcode auth}. */
  access?: ChannelAccess | undefined;
  /** Further extensions. */
  extensions?: readonly ChannelExtension[];
}

/** What channels use of the sign-in. */
export interface ChannelAccess {
  /** Decides about subscriptions. */
  readonly extension: ChannelExtension;
  /** Calls back when a connection has another identity. Returns the function that ends it. */
  onRenewed?(listener: (conn: Connection, identity: Identity) => void): () => void;
}

/** Ends subscriptions for good: the SDK does not subscribe again. */
const NAMESPACE_REMOVED = { code: 2001, reason: "namespace removed" };

/** Publishes and subscribes, and keeps histories. */
export function channels(options: ChannelsOptions = {}): Plugin<Channels> {
  const { broker = memoryBroker(), cluster = localCluster() } = options;
  const { maxChannelsPerClient = 128, maxNameBytes = 255, idempotencyMs = 300_000 } = options;
  const { limits, access, extensions = [] } = options;
  const check = checkOptions("channels");
  check.positiveInteger("maxChannelsPerClient", maxChannelsPerClient);
  check.positiveInteger("maxNameBytes", maxNameBytes);
  check.positiveInteger("idempotencyMs", idempotencyMs);
  const { defaults, namespaces, onlyKnown } = options;
  const prepared = prepareNamespaces({ broker, defaults, namespaces, onlyKnown, maxNameBytes });

  const clients = new LocalClients();
  const node = new ChannelNode(clients, prepared, { maxChannelsPerClient, idempotencyMs });
  const { localStats, start, ...remote } = control(node, clients, cluster);
  if (limits !== undefined) node.extensions.add(limits.extension);
  if (access !== undefined) node.extensions.add(access.extension);
  for (const extension of extensions) node.extensions.add(extension);
  let ends: (() => void)[] = [];

  const api: Channels = {
    // deno-lint-ignore require-await -- makes one promise, and turns a throw into a rejection
    async publish(channel, data, publishOptions) {
      return node.publish(channel, node.namespaceOf(channel), data, publishOptions);
    },
    broadcast(names, data, publishOptions) {
      let payload: Payload | undefined;
      const publish = (name: string) => api.publish(name, payload ??= Payload.of(data), publishOptions);
      return Promise.allSettled(names.map((name) => Promise.try(publish, name)));
    },
    subscribe: (channel, callback) => node.listen(channel, callback),
    history: (channel, query) => Promise.try(() => node.history(channel, node.namespaceOf(channel), query)),
    removeHistory: (channel) => node.removeHistory(channel),

    connect(conn, clientOptions) {
      const client = new ChannelClient(node, conn, clientOptions);
      clients.add(client);
      return client;
    },
    clientOf: (id) => clients.all.get(id),
    clients: clients.all,
    localStats,
    localChannels: () => node.channels.values().map(({ stats }) => stats),

    ...remote,
    extend: (extension) => node.extensions.add(extension),
    addNamespace: (name, namespaceOptions) => node.addNamespace(name, namespaceOptions),
    prepareNamespaces(change) {
      const replace = prepared.prepare(change);
      return () => {
        const gone = new Set(replace());
        for (const { name, namespace } of [...node.channels.values()]) {
          if (gone.has(namespace)) node.close(name, NAMESPACE_REMOVED);
        }
      };
    },
    hasNamespace: (name) => node.hasNamespace(name),
    namespaceOf: (channel) => node.namespaceOf(channel),
    verdict: (identity, action, channel) => decide(node.namespaceOf(channel), action, channel, identity),
  };

  return built({
    name: "channels",
    api,
    async start(host) {
      ends = [start(host.log)];
      const renewed = access?.onRenewed?.((conn, identity) => clients.all.get(conn.id)?.identify(identity));
      if (renewed !== undefined) ends.push(renewed);
      await node.start(host);
    },
    async stop() {
      for (const end of ends.splice(0)) end();
      await node.stop();
    },
    close(conn) {
      const client = clients.all.get(conn.id);
      if (client === undefined) return;
      for (const channel of client.subscriptions.keys()) client.unsubscribe(channel);
      clients.delete(client);
    },
  }, options);
}
