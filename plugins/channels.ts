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

import {
  checkOptions,
  type CloseCode,
  closeCode,
  type Connection,
  type Host,
  type Plugin,
} from "../core/mod.ts";
import type { Broker } from "./channels/broker.ts";
import type { ChannelCallback } from "./channels/channel.ts";
import { ChannelClient, unsubscribeCodes } from "./channels/client.ts";
import { Hub } from "./channels/hub.ts";
import { memoryBroker } from "./channels/memory_broker.ts";
import { type Namespace, type NamespaceOptions, prepareNamespaces } from "./channels/namespaces.ts";
import type {
  ChannelExtension,
  ChannelStats,
  Client,
  ClientOptions,
  History,
  HistoryQuery,
  Published,
  PublishOptions,
  SubscribeGrant,
  UnsubscribeCode,
} from "./channels/types.ts";
import type { Identity } from "./shared/identity.ts";

export type { Broker, BrokerEvents, Retention } from "./channels/broker.ts";
export type { ChannelCallback } from "./channels/channel.ts";
export { memoryBroker, type MemoryBrokerOptions } from "./channels/memory_broker.ts";
export { type Namespace, type NamespaceOptions, personalChannel, type Rule } from "./channels/namespaces.ts";
export type * from "./channels/types.ts";
export type { Identity, Verb } from "./shared/identity.ts";

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
}

/** Clients, by user or by connection. */
export type Target = { readonly user: string } | { readonly client: string };

/** What channels offer to other plugins and to the app. */
export interface Channels {
  /**
   * Publishes to everybody subscribed, on every node. Resolves when the publication is as safe as the broker
   * promises; what was published earlier to the same channel arrives earlier.
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** Publishes the same to several channels; each has its own result. */
  broadcast(channels: readonly string[], data: unknown): Promise<PromiseSettledResult<Published>[]>;
  /** Calls back for every publication, outside of the publisher's way. Returns the function that ends it. */
  subscribe(channel: string, callback: ChannelCallback): () => void;
  /** Reads a channel's log. */
  history(channel: string, query?: HistoryQuery): Promise<History>;
  /** Empties a channel's log. */
  removeHistory(channel: string): Promise<void>;

  /** Makes a connection a client of the channels, once it has signed in. Protocols call it. */
  connect(conn: Connection, options: ClientOptions): Client;
  /** The client of a connection. */
  clientOf(id: string): Client | undefined;
  /** Everybody who has signed in. */
  readonly clients: ReadonlyMap<string, Client>;
  /** Has clients subscribed by the server; resolves to their number. */
  subscribeClients(target: Target, channel: string, grant?: SubscribeGrant): Promise<number>;
  /** Ends subscriptions of clients, of one channel or of all; returns their number. */
  unsubscribeClients(target: Target, channel?: string): number;
  /** Ends everybody's subscription of a channel; returns their number. */
  closeChannel(channel: string, why: UnsubscribeCode): number;
  /** Closes connections; returns their number. */
  disconnect(target: Target, why?: CloseCode): number;
  /** Gives clients another identity, or a longer one; returns their number. */
  refresh(target: Target, change: (identity: Identity) => Identity): number;

  /** Takes part in what happens here. Returns the function that ends it. */
  extend(extension: ChannelExtension): () => void;
  /** Adds a namespace, for a plugin that brings channels of its own; to be called in its `start`. */
  addNamespace(name: string, options: NamespaceOptions): Promise<void>;
  /** What a channel offers, and to whom; throws if its name is unfit. */
  namespaceOf(channel: string): Namespace;
  /** What the channels in use on this node are doing, or one of them. */
  stats(channel?: string): ChannelStats[];
}

const forceDisconnect = closeCode(3503, "force disconnect");

/** Publishes, subscribes, and keeps logs. */
export function channels(options: ChannelsOptions = {}): Plugin<Channels> {
  const { broker = memoryBroker(), maxChannelsPerClient = 128, maxNameBytes = 255 } = options;
  const { defaults, namespaces, onlyKnown } = options;
  const check = checkOptions("channels");
  check.positiveInteger("maxChannelsPerClient", maxChannelsPerClient);
  check.positiveInteger("maxNameBytes", maxNameBytes);

  let host: Host | undefined;
  const hub = new Hub({
    maxChannelsPerClient,
    namespaces: prepareNamespaces({ broker, defaults, namespaces, onlyKnown, maxNameBytes }),
    host: () => host,
  });
  const users = new Map<string, Set<ChannelClient>>();

  function targeted(target: Target): ChannelClient[] {
    if ("user" in target) return [...users.get(target.user) ?? []];
    const client = hub.clients.get(target.client);
    return client === undefined ? [] : [client];
  }

  const api: Channels = {
    publish: (channel, data, publishOptions) => hub.publish(channel, data, publishOptions),
    broadcast: (names, data) => Promise.allSettled(names.map((name) => hub.publish(name, data))),
    subscribe: (channel, callback) => hub.listen(channel, callback),
    history: (channel, query) => hub.history(channel, query),
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
    unsubscribeClients(target, channel) {
      const ended = targeted(target).flatMap((client) => {
        const names = channel === undefined ? [...client.subscriptions.keys()] : [channel];
        return names.filter((name) => client.expel(name, unsubscribeCodes.server));
      });
      return ended.length;
    },
    closeChannel: (channel, why) => hub.close(channel, why),
    disconnect(target, why = forceDisconnect) {
      const all = targeted(target);
      for (const { conn } of all) conn.close(why);
      return all.length;
    },
    refresh(target, change) {
      const all = targeted(target);
      for (const client of all) client.identify(change(client.identity));
      return all.length;
    },

    extend: (extension) => hub.extensions.add(extension),
    addNamespace: (name, namespaceOptions) => hub.addNamespace(name, namespaceOptions),
    namespaceOf: (channel) => hub.namespaceOf(channel),
    stats(channel) {
      const all = channel === undefined ? [...hub.channels.values()] : [hub.channels.get(channel)];
      return all.flatMap((each) => each === undefined ? [] : [each.stats]);
    },
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
