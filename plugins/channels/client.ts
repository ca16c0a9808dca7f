/**
 * A client: a connection that has signed in, with its subscriptions.
 *
 * @module
 */

import { chain, closeCode, type Connection, type MaybePromise, PlugboardError } from "../../core/mod.ts";
import type { Identity, Verdict } from "../shared/identity.ts";
import type { Channel } from "./channel.ts";
import type { Extensions } from "./extensions.ts";
import type { ChannelAction, Namespace } from "./namespace.ts";
import { decide, offers } from "./namespaces.ts";
import type { ClientInfo, History, HistoryQuery, Published, PublishOptions } from "./publications.ts";
import type { Pages } from "./pages.ts";
import { denied, type Prepared } from "./subscribing.ts";
import type {
  ChannelEncoder,
  Client,
  ClientOptions,
  Subscribed,
  SubscribeGrant,
  SubscribeRequest,
  Subscription,
  UnsubscribeCode,
} from "./types.ts";

/** What a client needs of its node. */
export interface ClientNode {
  readonly maxChannelsPerClient: number;
  readonly extensions: Pick<Extensions, "beforeRead" | "emit">;
  readonly pages: Pick<Pages, "of">;
  namespaceOf(channel: string): Namespace;
  wallTime(): number;
  prepare(client: Client, channel: string, request: SubscribeRequest): MaybePromise<Prepared>;
  joined(client: Client, channel: Channel, subscription: Subscription): void;
  /** Ends the subscription after its `expiresAt`. */
  expires(client: Client, subscription: Subscription): void;
  /** Sends the join to others, once the client has its answer. */
  announceJoin(channel: Channel, subscription: Subscription): void;
  left(client: Client, subscription: Subscription): void;
  /** Releases a channel if it has no subscribers. */
  releaseIfUnused(channel: Channel): void;
  publish(
    channel: string,
    namespace: Namespace,
    data: unknown,
    options?: PublishOptions,
    client?: Client,
  ): MaybePromise<Published>;
  history(channel: string, namespace: Namespace, query?: HistoryQuery): MaybePromise<History>;
}

/** The unsubscribe codes that this service sends. */
export const unsubscribeCodes = {
  /** The server ends it. The SDK does not subscribe again. */
  server: { code: 2000, reason: "server unsubscribe" },
  /** Publications may be missing. The SDK subscribes again and recovers. */
  insufficient: { code: 2500, reason: "insufficient state" },
  /** The subscription's token has expired. The SDK gets a new one. */
  expired: { code: 2501, reason: "expired" },
} as const satisfies Record<string, UnsubscribeCode>;

/** The close codes for subscriptions that the server made: a client can only repeat them by reconnecting. */
const disconnectCodes = new Map<UnsubscribeCode, ReturnType<typeof closeCode>>([
  [unsubscribeCodes.insufficient, closeCode(3010, "insufficient state")],
  [unsubscribeCodes.expired, closeCode(3006, "subscription expired")],
]);

const NONE = new Map<string, never>();

/** A connection that has signed in. */
export class ChannelClient implements Client {
  readonly conn: Connection;
  readonly encoder: ChannelEncoder;
  readonly session: string | undefined;
  readonly subscriptions = new Map<string, Subscription>();
  readonly #node: ClientNode;
  readonly #refreshed: ((expiresAt: number | undefined) => void) | undefined;
  #identity: Identity;
  #info: ClientInfo | undefined;
  #preparing: Set<string> | undefined;

  constructor(node: ClientNode, conn: Connection, { identity, encoder, session, refreshed }: ClientOptions) {
    this.#node = node;
    this.conn = conn;
    this.#identity = identity;
    this.encoder = encoder;
    this.session = session;
    this.#refreshed = refreshed;
  }

  get id(): string {
    return this.conn.id;
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** The same object until the identity changes, so that codecs encode it once. */
  get info(): ClientInfo {
    const { user, info } = this.#identity;
    return this.#info ??= { user, client: this.id, ...(info !== undefined && { connInfo: info }) };
  }

  subscribe(
    channel: string,
    request: SubscribeRequest,
    reply: (subscribed: Subscribed) => void,
  ): MaybePromise<void> {
    const prepared = this.#prepare(channel, request);
    return chain(prepared instanceof Promise ? this.#hold(channel, prepared) : prepared, (ready) => {
      if (!this.conn.open) return this.#cancel(ready);
      const subscribed = this.#begin(ready);
      reply(subscribed);
      this.#follow(ready, subscribed);
    });
  }

  subscribeAll(
    requests: ReadonlyMap<string, SubscribeRequest>,
    reply: (subscribed: ReadonlyMap<string, Subscribed>) => void,
  ): MaybePromise<void> {
    return requests.size === 0 ? reply(NONE) : this.#subscribeEach(requests, reply);
  }

  async #subscribeEach(
    requests: ReadonlyMap<string, SubscribeRequest>,
    reply: (subscribed: ReadonlyMap<string, Subscribed>) => void,
  ): Promise<void> {
    const preparing = Array.from(requests, async ([channel, request]) => {
      const prepared = this.#prepare(channel, request);
      return await this.#hold(channel, Promise.resolve(prepared)); // Each counts for the limit of the next.
    });
    const settled = await Promise.allSettled(preparing);
    const prepared = settled.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
    if (!this.conn.open) return prepared.forEach((each) => this.#cancel(each));
    const begun = new Map(prepared.map((each) => [each, this.#begin(each)]));
    reply(new Map(Array.from(begun, ([{ subscription }, subscribed]) => [subscription.channel, subscribed])));
    for (const each of begun) this.#follow(...each);
  }

  unsubscribe(channel: string): boolean {
    const subscription = this.subscriptions.get(channel);
    if (subscription === undefined) return false;
    this.subscriptions.delete(channel);
    this.#node.left(this, subscription);
    return true;
  }

  publish(channel: string, data: unknown, options?: PublishOptions): MaybePromise<Published> {
    const namespace = this.#node.namespaceOf(channel);
    this.#check("publish", channel, namespace);
    return this.#node.publish(channel, namespace, data, options, this);
  }

  history(channel: string, query?: HistoryQuery): MaybePromise<History> {
    const namespace = this.#node.namespaceOf(channel);
    this.#check("history", channel, namespace);
    const { pages } = this.#node;
    return chain(this.#node.history(channel, namespace, query), (history) => pages.of(channel, history));
  }

  verdict(action: ChannelAction, channel: string): Verdict {
    const namespace = this.#node.namespaceOf(channel);
    return decide(namespace, action, channel, this.#identity, this.subscriptions.get(channel));
  }

  check(action: ChannelAction, channel: string): void {
    this.#check(action, channel, this.#node.namespaceOf(channel));
  }

  identify(identity: Identity): void {
    this.#identity = identity;
    this.#info = undefined;
    this.#refreshed?.(identity.expiresAt);
    for (const subscription of this.subscriptions.values()) {
      const { channel, namespace, granted, info } = subscription;
      const allowed = granted || decide(namespace, "subscribe", channel, identity).allowed;
      if (allowed) this.#inform(subscription, info.chanInfo);
      else this.expel(channel, unsubscribeCodes.server);
    }
    this.#node.extensions.emit("identified", this);
  }

  renew(channel: string, { expiresAt, chanInfo }: SubscribeGrant): void {
    const subscription = this.subscriptions.get(channel);
    if (subscription === undefined) return;
    subscription.expiresAt = expiresAt;
    this.#node.expires(this, subscription);
    this.#inform(subscription, chanInfo);
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

  /** A client whose sign-in has expired can only refresh it. */
  #checkExpiry(): void {
    if ((this.#identity.expiresAt ?? Infinity) > this.#node.wallTime()) return;
    throw new PlugboardError("token_expired", "Token expired");
  }

  #check(action: ChannelAction, channel: string, namespace: Namespace): void {
    this.#checkExpiry();
    if (!offers(namespace, action)) {
      throw new PlugboardError("not_available", `The channel has no ${action}`);
    }
    if (!this.verdict(action, channel).allowed) throw denied();
    if (action === "history" || action === "presence") {
      this.#node.extensions.beforeRead(this, action, channel);
    }
  }

  #prepare(channel: string, request: SubscribeRequest): MaybePromise<Prepared> {
    this.#checkSubscribe(this.#node.namespaceOf(channel), channel, request);
    return this.#node.prepare(this, channel, request);
  }

  /** Counts a subscription while it is being prepared. */
  #hold(channel: string, prepared: Promise<Prepared>): Promise<Prepared> {
    const preparing = this.#preparing ??= new Set();
    preparing.add(channel);
    return prepared.finally(() => {
      preparing.delete(channel);
      if (preparing.size === 0) this.#preparing = undefined;
    });
  }

  #checkSubscribe(
    namespace: Namespace,
    channel: string,
    { grant, serverSide, filter }: SubscribeRequest,
  ): void {
    if (this.subscriptions.has(channel) || this.#preparing?.has(channel)) {
      throw new PlugboardError("already_subscribed", "Already subscribed");
    }
    const { maxChannelsPerClient } = this.#node;
    const count = this.subscriptions.size + (this.#preparing?.size ?? 0);
    if (!serverSide && count >= maxChannelsPerClient) {
      throw new PlugboardError("limit_exceeded", `More than ${maxChannelsPerClient} channels`);
    }
    if (serverSide) return;
    this.#checkExpiry();
    const allowed = grant !== undefined || decide(namespace, "subscribe", channel, this.#identity).allowed;
    if (!allowed) throw denied();
    if (filter !== undefined && namespace.maxTagFilters === 0) {
      throw new PlugboardError("bad_request", "The channel has no tag filters");
    }
  }

  /** Shows others what the latest tokens say about the client. */
  #inform(subscription: Subscription, chanInfo: string | undefined): void {
    const { info } = subscription;
    if (info.connInfo === this.#identity.info && info.chanInfo === chanInfo) return;
    subscription.info = chanInfo === undefined ? this.info : { ...this.info, chanInfo };
    this.#node.extensions.emit("informed", this, subscription);
  }

  #cancel({ channel, cancel }: Prepared): void {
    cancel();
    this.#node.releaseIfUnused(channel);
  }

  #begin(prepared: Prepared): Subscribed {
    const { channel, subscription, begin } = prepared;
    try {
      channel.checkFilters(subscription);
    } catch (error) {
      this.#cancel(prepared);
      throw error;
    }
    this.subscriptions.set(subscription.channel, subscription);
    this.#node.joined(this, channel, subscription);
    this.#inform(subscription, subscription.info.chanInfo); // The identity may have changed meanwhile.
    const subscribed = begin();
    const { wasRecovering, recovered, lost } = subscribed;
    if (wasRecovering) this.#node.extensions.emit("recovered", this, channel.name, recovered, lost);
    return subscribed;
  }

  #follow({ channel, subscription, later }: Prepared, { publications }: Subscribed): void {
    const { delta, channelId } = subscription;
    const form = delta || channelId > 0 ? { deltas: delta, channelId } : undefined;
    let last = publications.at(-1);
    for (last of later()) this.conn.send(this.encoder.publication(channel.name, last, form));
    if (delta && last !== undefined) channel.received(this.conn, last.payload);
    if (this.conn.open) this.#node.announceJoin(channel, subscription);
  }
}
