/**
 * The hub: all channels of this node, between the broker and the clients.
 *
 * @module
 */

import { type Connection, type Host, type MaybePromise, PlugboardError } from "../../core/mod.ts";
import { Payload } from "../shared/payload.ts";
import type { Broker, BrokerEvents } from "./broker.ts";
import { callbackQueue } from "./callbacks.ts";
import { Channel } from "./channel.ts";
import { type ChannelClient, type ClientHub, unsubscribeCodes } from "./client.ts";
import { Extensions, inBackground, type OnFailure, type Publishing } from "./extensions.ts";
import type { Namespace, NamespaceOptions } from "./namespace.ts";
import type { Namespaces } from "./namespaces.ts";
import type {
  ClientInfo,
  Draft,
  History,
  HistoryQuery,
  Publication,
  Published,
  PublishOptions,
} from "./publications.ts";
import type { ChannelCallback } from "./service.ts";
import { prepare, type Prepared } from "./subscribing.ts";
import type { SubscribeRequest, Subscription, UnsubscribeCode } from "./types.ts";

/** How often expired subscriptions are looked for, and how long a client has to renew one. */
const EXPIRY_SWEEP_MS = 1_000;
const EXPIRY_GRACE_MS = 25_000;

/** All channels of this node. */
export class Hub implements ClientHub, BrokerEvents {
  readonly maxChannelsPerClient: number;
  /** Channels somebody listens to, or is about to. */
  readonly channels = new Map<string, Channel>();
  readonly clients = new Map<string, ChannelClient>();
  readonly extensions: Extensions;
  readonly #namespaces: Namespaces;
  readonly #host: () => Host | undefined;
  readonly #failed: OnFailure = (what, error) => this.#host()?.log.error(`${what} failed`, { error });
  readonly #callbacks = callbackQueue(this.#failed);
  readonly #started = new Set<Broker>();
  readonly #expiring = new Map<Subscription, ChannelClient>();
  #endSweep: (() => void) | undefined;

  constructor(
    options: {
      maxChannelsPerClient: number;
      namespaces: Namespaces;
      host: () => Host | undefined;
    },
  ) {
    this.maxChannelsPerClient = options.maxChannelsPerClient;
    this.#namespaces = options.namespaces;
    this.#host = options.host;
    this.extensions = new Extensions(this.#failed);
  }

  async start(host: Host): Promise<void> {
    for (const broker of this.#namespaces.brokers) await this.#startBroker(broker, host);
    this.#endSweep = host.clock.every(EXPIRY_SWEEP_MS, () => this.#sweepExpired());
  }

  async stop(): Promise<void> {
    this.#endSweep?.();
    this.#callbacks.stop();
    for (const broker of this.#started) await broker.stop?.();
    this.#started.clear();
  }

  /** Adds a namespace; its broker is started too if the others are. */
  async addNamespace(name: string, options: NamespaceOptions): Promise<void> {
    const { broker } = this.#namespaces.add(name, options);
    const host = this.#host();
    if (host !== undefined) await this.#startBroker(broker, host);
  }

  namespaceOf(channel: string): Namespace {
    return this.channels.get(channel)?.namespace ?? this.#namespaces.of(channel);
  }

  publish(
    channel: string,
    namespace: Namespace,
    data: unknown,
    options: PublishOptions = {},
    client?: ChannelClient,
  ): MaybePromise<Published> {
    const startedAt = performance.now();
    const { tags, except, ephemeral } = options;
    if (except !== undefined && !ephemeral) {
      throw new PlugboardError("bad_request", "Only an ephemeral publication can leave somebody out");
    }
    const draft: Draft = {
      payload: Payload.of(data),
      ...(client !== undefined && { info: client.subscriptions.get(channel)?.info ?? client.info }),
      ...(tags !== undefined && { tags }),
      ...(except !== undefined && { except }),
    };
    const publishing: Publishing = { channel, namespace, client, draft, startedAt };
    this.extensions.beforePublish(publishing);
    const result = namespace.broker.publish(channel, draft, { keep: ephemeral ? undefined : namespace.keep });
    if (result instanceof Promise) return result.then((published) => this.#published(publishing, published));
    return this.#published(publishing, result);
  }

  #published(publishing: Publishing, published: Published): Published {
    this.extensions.tell("published", publishing, published);
    return published;
  }

  history(channel: string, { keep, broker }: Namespace, query: HistoryQuery = {}): MaybePromise<History> {
    if (keep === undefined) throw new PlugboardError("not_available", "The channel keeps no history");
    const { since, reverse } = query;
    if (reverse && since?.offset === 0) {
      throw new PlugboardError("bad_request", "Nothing lies before offset 0");
    }
    const page = broker.history(channel, query, keep);
    return page instanceof Promise ? page.then((page) => sameEpoch(page, since)) : sameEpoch(page, since);
  }

  async removeHistory(channel: string): Promise<void> {
    await this.namespaceOf(channel).broker.removeHistory(channel);
  }

  /** Adds a callback of this process; gives the function that removes it. */
  listen(name: string, callback: ChannelCallback): () => void {
    const channel = this.#channelNamed(name);
    // A function of its own, so that the same callback may listen twice.
    const own: ChannelCallback = (data, publication) => callback(data, publication);
    channel.callbacks.add(own);
    return () => {
      channel.callbacks.delete(own);
      this.abandoned(channel);
    };
  }

  async prepare(client: ChannelClient, name: string, request: SubscribeRequest): Promise<Prepared> {
    const addition = await this.extensions.beforeSubscribe(client, name, request);
    const channel = this.#channelNamed(name);
    try {
      const now = this.#host()?.clock.now() ?? Date.now();
      return await prepare(channel, request, client, now, addition);
    } catch (error) {
      this.abandoned(channel);
      throw error;
    }
  }

  joined(client: ChannelClient, channel: Channel, subscription: Subscription): void {
    const first = channel.audience.size === 0;
    channel.add(client.conn, subscription);
    if (subscription.expiresAt !== undefined) this.#expiring.set(subscription, client);
    if (first) this.extensions.tell("occupied", channel.name);
    this.extensions.tell("joined", client, subscription);
  }

  recovered(client: ChannelClient, channel: string, complete: boolean): void {
    this.extensions.tell("recovered", client, channel, complete);
  }

  identified(client: ChannelClient): void {
    this.extensions.tell("identified", client);
  }

  announceJoin(channel: Channel, { info }: Subscription): void {
    this.#announce(channel, "join", info);
  }

  left(client: ChannelClient, subscription: Subscription): void {
    const channel = this.channels.get(subscription.channel)!;
    channel.delete(client.conn);
    this.#expiring.delete(subscription);
    this.extensions.tell("left", client, subscription);
    this.#announce(channel, "leave", subscription.info);
    if (channel.audience.size === 0) this.extensions.tell("vacated", channel.name);
    this.abandoned(channel);
  }

  /** Ends all clients' subscriptions of a channel; gives their number. */
  close(name: string, why: UnsubscribeCode): number {
    const listening = [...this.channels.get(name)?.audience ?? []];
    return listening.filter(({ id }) => this.clients.get(id)!.expel(name, why)).length;
  }

  /** Lets go of a channel that nobody listens to any more. */
  abandoned(channel: Channel): void {
    if (!channel.vacant || this.channels.get(channel.name) !== channel) return;
    this.channels.delete(channel.name);
    inBackground(
      "unsubscribing from the broker",
      this.#failed,
      () => channel.namespace.broker.unsubscribe(channel.name),
    );
  }

  /** A publication has come from the broker. */
  publication(name: string, publication: Publication, epoch: string): number {
    const channel = this.channels.get(name);
    if (channel === undefined) return 0;
    const verdict = channel.take(publication, epoch);
    if (verdict === "old") return 0;
    if (verdict === "missing") this.#expelPositioned(channel);
    let receivers = this.#send(channel, publication);
    if (channel.callbacks.size > 0) {
      receivers += channel.callbacks.size;
      this.#callbacks.add(name, channel.callbacks, publication);
    }
    this.extensions.tell("delivered", channel, publication, receivers);
    return receivers;
  }

  #send(channel: Channel, publication: Publication): number {
    const { audience, name } = channel;
    const encode = ({ id }: Connection) => this.#encoderOf(id).publication(name, publication);
    const { except } = publication;
    const knowing = channel.knowing(publication);
    if (knowing === undefined) {
      return audience.send(encode, except === undefined ? undefined : this.clients.get(except)?.conn);
    }
    return [...audience].filter((conn) => !knowing.has(conn) && conn.send(encode(conn))).length;
  }

  /** Somebody's join or leave has come from the broker. */
  presence(name: string, kind: "join" | "leave", info: ClientInfo): void {
    this.channels.get(name)?.curious?.send(({ id }) => this.#encoderOf(id)[kind](name, info));
  }

  /** The broker does not know what this node has missed. */
  interrupted(name?: string): void {
    for (const channel of name === undefined ? this.channels.values() : [this.channels.get(name)]) {
      if (channel === undefined) continue;
      this.#expelPositioned(channel);
      channel.lose();
    }
  }

  async #startBroker(broker: Broker, host: Host): Promise<void> {
    if (this.#started.has(broker)) return;
    this.#started.add(broker);
    await broker.start?.(this, host);
  }

  #encoderOf(id: string) {
    return this.clients.get(id)!.encoder;
  }

  /** The channel; a new one is made known to the broker. */
  #channelNamed(name: string): Channel {
    const found = this.channels.get(name);
    if (found !== undefined) return found;
    const channel = new Channel(name, this.#namespaces.of(name));
    const subscribing = channel.namespace.broker.subscribe(name);
    this.channels.set(name, channel);
    if (subscribing instanceof Promise) {
      channel.ready = subscribing.then(() => channel.ready = undefined);
      channel.ready.catch((error) => this.#failed(`subscribing to ${name} at the broker`, error));
    }
    return channel;
  }

  /** Those who count on missing nothing subscribe again, and recover. */
  #expelPositioned(channel: Channel): void {
    for (const { id } of channel.audience) {
      const client = this.clients.get(id)!;
      if (client.subscriptions.get(channel.name)?.positioned) {
        client.expel(channel.name, unsubscribeCodes.insufficient);
      }
    }
  }

  #announce(channel: Channel, kind: "join" | "leave", info: ClientInfo): void {
    if (channel.announces) {
      inBackground(
        `announcing a ${kind}`,
        this.#failed,
        () => channel.namespace.broker.announce(channel.name, kind, info),
      );
    }
  }

  #sweepExpired(): void {
    const due = this.#host()!.clock.now() - EXPIRY_GRACE_MS;
    for (const [{ channel, expiresAt }, client] of this.#expiring) {
      if (expiresAt !== undefined && expiresAt <= due) client.expel(channel, unsubscribeCodes.expired);
    }
  }
}

function sameEpoch(page: History, since: HistoryQuery["since"]): History {
  if (since === undefined || since.epoch === "" || since.epoch === page.top.epoch) return page;
  throw new PlugboardError("unrecoverable_position", "The log has begun anew since this position");
}
