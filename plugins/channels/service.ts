/**
 * The service that channels offer to other plugins and to the app, in three parts.
 *
 * @module
 */

import type { CloseCode, Connection } from "../../core/mod.ts";
import type { Identity, Verdict } from "../shared/identity.ts";
import type { ChannelExtension } from "./extensions.ts";
import type { NamespaceChange } from "./namespaces.ts";
import type { ChannelAction, Namespace, NamespaceOptions } from "./namespace.ts";
import type {
  History,
  HistoryQuery,
  Position,
  Publication,
  Published,
  PublishOptions,
} from "./publications.ts";
import type { Client, ClientOptions, SubscribeGrant, UnsubscribeCode } from "./types.ts";

/** A function of this process that receives what is published in a channel. */
export type ChannelCallback = (data: unknown, publication: Publication & { channel: string }) => unknown;

/** Publishes and subscribes. */
export interface Bus {
  /**
   * Publishes to all subscribers on every node. Resolves when the publication is as safe as the broker promises. What
   * was published earlier to the same channel arrives earlier.
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** Publishes the same data to several channels; each has its own result, also for an idempotency key. */
  broadcast(
    channels: readonly string[],
    data: unknown,
    options?: PublishOptions,
  ): Promise<PromiseSettledResult<Published>[]>;
  /** Calls back for every publication, after the clients have been sent to. Returns the function that ends it. */
  subscribe(channel: string, callback: ChannelCallback): () => void;
  /** Reads a channel's history. */
  history(channel: string, query?: HistoryQuery): Promise<History>;
  /** Empties a channel's history. */
  removeHistory(channel: string): Promise<void>;
}

/** The clients of this node. */
export interface Clients {
  /** Makes a connection a client, once it has signed in. Protocols call it. */
  connect(conn: Connection, options: ClientOptions): Client;
  /** Returns the client of a connection. */
  clientOf(id: string): Client | undefined;
  /** All clients by the id of their connection. */
  readonly clients: ReadonlyMap<string, Client>;
  /** Returns what the channels in use on this node do, or one of them. */
  localStats(channel?: string): ChannelStats[];
  /** Iterates over the same. It can be paused, for work in slices. */
  localChannels(): Iterable<ChannelStats>;
}

/** Clients by user, by connection or by session. Of several, all must match. */
export type Target =
  & { readonly user?: string; readonly client?: string; readonly session?: string }
  & ({ readonly user: string } | { readonly client: string } | { readonly session: string })
  & {
    /** Connections that are left out. */
    readonly except?: readonly string[];
  };

/** A subscription that the server makes. */
export interface ServerSubscription extends SubscribeGrant {
  /** Sends what was published after this position. */
  readonly recover?: Position;
}

/**
 * Controls channels and clients on all nodes. The numbers reject with `unavailable`, naming the nodes that did not answer.
 */
export interface ChannelControl {
  /** Closes connections; resolves to their number. */
  disconnect(target: Target, why?: CloseCode): Promise<number>;
  /** Subscribes clients to a channel, unless they are; resolves to their number. */
  subscribeClients(target: Target, channel: string, subscription?: ServerSubscription): Promise<number>;
  /** Ends subscriptions of clients, to one channel or to all; resolves to their number. */
  unsubscribeClients(target: Target, channel?: string): Promise<number>;
  /** Ends all subscriptions to a channel; resolves to their number. */
  closeChannel(channel: string, why: UnsubscribeCode): Promise<number>;
  /**
   * Asks all rules again about the subscriptions of clients, and ends those that are not allowed any more: call it when a user
   * has lost a right. A change may set the end of the sign-in, or what others see of the clients. Resolves to their number.
   */
  refresh(target: Target, change?: IdentityChange): Promise<number>;
  /** Lists what the channels in use do, or one of them. */
  stats(channel?: string): Promise<StatsListing>;
  /** Takes part in what happens in channels. Returns the function that ends it. */
  extend(extension: ChannelExtension): () => void;
  /** Adds a namespace for a plugin with channels of its own. Call it in the plugin's `start`. */
  addNamespace(name: string, options: NamespaceOptions): Promise<void>;
  /**
   * Checks other namespaces and defaults. Returns the function that replaces those of the options; those that plugins have added
   * stay. The subscriptions of a namespace that is gone end with code 2001.
   */
  prepareNamespaces(change: NamespaceChange): () => void;
  /** Whether a namespace with this name was configured or added. */
  hasNamespace(name: string): boolean;
  /** Returns a channel's namespace; throws if the name is invalid. */
  namespaceOf(channel: string): Namespace;
  /** Tells whether an identity, connected or not, may do something, and by which rule. */
  verdict(identity: Identity, action: ChannelAction, channel: string): Verdict;
}

/** Everything that channels offer. */
export interface Channels extends Bus, Clients, ChannelControl {}

/** What a refresh changes. */
export interface IdentityChange {
  /** When the sign-in ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** What others see of the client, as JSON text. */
  readonly info?: string;
}

/** What one channel does. */
export interface ChannelStats {
  /** The channel's name. */
  readonly channel: string;
  /** The number of subscribed clients. */
  readonly subscribers: number;
  /** The number of callbacks. */
  readonly callbacks: number;
  /** The number of publications delivered since the channel is in use. */
  readonly publications: number;
  /** When the latest was published, in milliseconds since 1970. */
  readonly lastPublishedAt: number | undefined;
}

/** What the channels on all nodes do. */
export interface StatsListing {
  /** The channels; their numbers are sums over the nodes. */
  readonly channels: readonly ChannelStats[];
  /** The nodes that did not answer. */
  readonly silent: readonly string[];
}
