/**
 * A client of the channel service: a connection that has signed in, with its subscriptions.
 *
 * @module
 */

import { closeCode, type Connection, type MaybePromise, PlugboardError } from "../../core/mod.ts";
import type { Identity, Verdict } from "../shared/identity.ts";
import type { Channel } from "./channel.ts";
import type { Extensions } from "./extensions.ts";
import type { ChannelAction, Namespace } from "./namespace.ts";
import { decide } from "./namespaces.ts";
import type { ClientInfo, History, HistoryQuery, Published, PublishOptions } from "./publications.ts";
import { denied, type Prepared } from "./subscribing.ts";
import type {
  ChannelEncoder,
  Client,
  ClientOptions,
  Subscribed,
  SubscribeRequest,
  Subscription,
  UnsubscribeCode,
} from "./types.ts";

/** What a client needs of the service. */
export interface ClientHub {
  readonly maxChannelsPerClient: number;
  readonly extensions: Pick<Extensions, "beforeRead">;
  namespaceOf(channel: string): Namespace;
  prepare(client: ChannelClient, channel: string, request: SubscribeRequest): Promise<Prepared>;
  joined(client: ChannelClient, channel: Channel, subscription: Subscription): void;
  recovered(client: ChannelClient, channel: string, complete: boolean): void;
  identified(client: ChannelClient): void;
  /** The join may be announced: whoever joined has been answered. */
  announceJoin(channel: Channel, subscription: Subscription): void;
  left(client: ChannelClient, subscription: Subscription): void;
  /** Somebody was about to subscribe and did not. */
  abandoned(channel: Channel): void;
  publish(
    channel: string,
    namespace: Namespace,
    data: unknown,
    options?: PublishOptions,
    client?: ChannelClient,
  ): MaybePromise<Published>;
  history(channel: string, namespace: Namespace, query?: HistoryQuery): MaybePromise<History>;
}

/** Unsubscribe codes that this service sends. */
export const unsubscribeCodes = {
  /** The server ended it; the SDK stays away. */
  server: { code: 2000, reason: "server unsubscribe" },
  /** Publications may be missing; the SDK subscribes again and recovers. */
  insufficient: { code: 2500, reason: "insufficient state" },
  /** The subscription's proof has expired; the SDK fetches another. */
  expired: { code: 2501, reason: "expired" },
} as const satisfies Record<string, UnsubscribeCode>;

/** The same for subscriptions the server made: their client has no way to subscribe again but to reconnect. */
const disconnectCodes = new Map<UnsubscribeCode, ReturnType<typeof closeCode>>([
  [unsubscribeCodes.insufficient, closeCode(3010, "insufficient state")],
  [unsubscribeCodes.expired, closeCode(3006, "subscription expired")],
]);

/** A connection that has signed in. */
export class ChannelClient implements Client {
  readonly conn: Connection;
  readonly encoder: ChannelEncoder;
  readonly subscriptions = new Map<string, Subscription>();
  readonly #hub: ClientHub;
  readonly #refreshed: ((expiresAt: number | undefined) => void) | undefined;
  #identity: Identity;
  #pending: Set<string> | undefined;

  constructor(hub: ClientHub, conn: Connection, { identity, encoder, refreshed }: ClientOptions) {
    this.#hub = hub;
    this.conn = conn;
    this.#identity = identity;
    this.encoder = encoder;
    this.#refreshed = refreshed;
  }

  get id(): string {
    return this.conn.id;
  }

  get identity(): Identity {
    return this.#identity;
  }

  get info(): ClientInfo {
    const { user, info } = this.#identity;
    return { user, client: this.id, ...(info !== undefined && { connInfo: info }) };
  }

  async subscribe(
    channel: string,
    request: SubscribeRequest,
    reply: (subscribed: Subscribed) => void,
  ): Promise<void> {
    const prepared = await this.#prepare(channel, request);
    if (!this.conn.open) return this.#abandon(prepared);
    reply(this.#begin(prepared));
    this.#follow(prepared);
  }

  async subscribeAll(
    requests: ReadonlyMap<string, SubscribeRequest>,
    reply: (subscribed: ReadonlyMap<string, Subscribed>) => void,
  ): Promise<void> {
    const settled = await Promise.allSettled([...requests].map((each) => this.#prepare(...each)));
    const prepared = settled.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
    if (!this.conn.open) return prepared.forEach((each) => this.#abandon(each));
    reply(new Map(prepared.map((each) => [each.subscription.channel, this.#begin(each)])));
    for (const each of prepared) this.#follow(each);
  }

  unsubscribe(channel: string): boolean {
    const subscription = this.subscriptions.get(channel);
    if (subscription === undefined) return false;
    this.subscriptions.delete(channel);
    this.#hub.left(this, subscription);
    return true;
  }

  publish(channel: string, data: unknown, options?: PublishOptions): MaybePromise<Published> {
    const namespace = this.#hub.namespaceOf(channel);
    this.#check("publish", channel, namespace);
    return this.#hub.publish(channel, namespace, data, options, this);
  }

  history(channel: string, query?: HistoryQuery): MaybePromise<History> {
    const namespace = this.#hub.namespaceOf(channel);
    this.#check("history", channel, namespace);
    return this.#hub.history(channel, namespace, query);
  }

  verdict(action: ChannelAction, channel: string): Verdict {
    const namespace = this.#hub.namespaceOf(channel);
    if (!offers(namespace, action)) return { allowed: false, rule: `no ${action} in this namespace` };
    return this.#decide(action, channel, namespace);
  }

  check(action: ChannelAction, channel: string): void {
    this.#check(action, channel, this.#hub.namespaceOf(channel));
  }

  #check(action: ChannelAction, channel: string, namespace: Namespace): void {
    if (!offers(namespace, action)) {
      throw new PlugboardError("not_available", `The channel has no ${action}`);
    }
    if (!this.#decide(action, channel, namespace).allowed) throw denied();
    if (action === "history" || action === "presence") this.#hub.extensions.beforeRead(this, action, channel);
  }

  #decide(action: ChannelAction, channel: string, namespace: Namespace): Verdict {
    return decide(namespace, action, channel, this.#identity, this.subscriptions.has(channel));
  }

  identify(identity: Identity): void {
    this.#identity = identity;
    this.#refreshed?.(identity.expiresAt);
    for (const { channel, namespace, serverSide } of this.subscriptions.values()) {
      const stays = serverSide || decide(namespace, "subscribe", channel, identity, false).allowed;
      if (!stays) this.expel(channel, unsubscribeCodes.server);
    }
    this.#hub.identified(this);
  }

  expel(channel: string, why: UnsubscribeCode): boolean {
    const subscription = this.subscriptions.get(channel);
    if (subscription === undefined) return false;
    const disconnect = subscription.serverSide ? disconnectCodes.get(why) : undefined;
    if (disconnect !== undefined) {
      this.conn.close(disconnect);
      return true;
    }
    this.unsubscribe(channel);
    this.conn.send(this.encoder.unsubscribed(channel, why));
    return true;
  }

  /** The connection has ended. */
  leave(): void {
    for (const channel of this.subscriptions.keys()) this.unsubscribe(channel);
  }

  async #prepare(channel: string, request: SubscribeRequest): Promise<Prepared> {
    const namespace = this.#hub.namespaceOf(channel);
    this.#checkSubscribe(namespace, channel, request);
    const pending = this.#pending ??= new Set();
    pending.add(channel);
    try {
      return await this.#hub.prepare(this, channel, request);
    } finally {
      pending.delete(channel);
      if (pending.size === 0) this.#pending = undefined;
    }
  }

  #checkSubscribe(namespace: Namespace, channel: string, { grant, serverSide }: SubscribeRequest): void {
    if (this.subscriptions.has(channel) || this.#pending?.has(channel)) {
      throw new PlugboardError("already_subscribed", "Already subscribed");
    }
    if (
      !serverSide && this.subscriptions.size + (this.#pending?.size ?? 0) >= this.#hub.maxChannelsPerClient
    ) {
      throw new PlugboardError("limit_exceeded", `More than ${this.#hub.maxChannelsPerClient} channels`);
    }
    if (grant !== undefined || serverSide) return;
    const needsGrant = channel.startsWith("$");
    if (needsGrant || !decide(namespace, "subscribe", channel, this.#identity, false).allowed) throw denied();
  }

  /** The connection has ended meanwhile. */
  #abandon({ channel, abandon }: Prepared): void {
    abandon();
    this.#hub.abandoned(channel);
  }

  #begin({ channel, subscription, begin }: Prepared): Subscribed {
    this.subscriptions.set(subscription.channel, subscription);
    this.#hub.joined(this, channel, subscription);
    const subscribed = begin();
    if (subscribed.wasRecovering) this.#hub.recovered(this, channel.name, subscribed.recovered);
    return subscribed;
  }

  #follow({ channel, subscription, newer }: Prepared): void {
    for (const publication of newer()) {
      this.conn.send(this.encoder.publication(subscription.channel, publication));
    }
    if (this.conn.open) this.#hub.announceJoin(channel, subscription);
  }
}

function offers({ keep, presence }: Namespace, action: ChannelAction): boolean {
  return action === "history" ? keep !== undefined : action !== "presence" || presence;
}
