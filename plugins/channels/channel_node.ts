import { attempt, chain, type Host, type MaybePromise, PlugboardError, systemClock } from "../../core/mod.ts";
import type { Broker, BrokerEvents, BrokerPublishOptions } from "./broker.ts";
import { BrokerSubscriptions } from "./broker_subscriptions.ts";
import { callbackQueue } from "./callbacks.ts";
import { Channel } from "./channel.ts";
import { type ClientNode, unsubscribeCodes } from "./client.ts";
import { Decisions } from "./decisions.ts";
import { RecoveryDeltas } from "./deltas.ts";
import { Expiries } from "./expiries.ts";
import { Extensions, type OnFailure, type Publishing } from "./extensions.ts";
import type { LocalClients } from "./local_clients.ts";
import type { Namespace, NamespaceOptions } from "./namespace.ts";
import type { Namespaces } from "./namespaces.ts";
import type {
  Announcement,
  Draft,
  History,
  HistoryQuery,
  Publication,
  Published,
  PublishOptions,
} from "./publications.ts";
import { Pages } from "./pages.ts";
import { payloadFor } from "./payloads.ts";
import { brokerOptions } from "./publish_options.ts";
import type { ChannelCallback } from "./service.ts";
import { sendPublication } from "./sending.ts";
import { prepare, type Prepared } from "./subscribing.ts";
import type { Client, SubscribeRequest, Subscription, UnsubscribeCode } from "./types.ts";

/** All channels of this node. */
export class ChannelNode implements ClientNode, BrokerEvents {
  readonly maxChannelsPerClient: number;
  readonly #idempotencyMs: number;
  /** The channels in use. */
  readonly channels = new Map<string, Channel>();
  readonly extensions: Extensions;
  readonly pages = new Pages();
  readonly #clients: LocalClients;
  readonly #namespaces: Namespaces;
  readonly #failed: OnFailure = (what, error) => this.#host?.log.error(`${what} failed`, { error });
  readonly #callbacks = callbackQueue(this.#failed);
  readonly #started = new Set<Broker>();
  readonly #subscriptions = new BrokerSubscriptions(() => this.#clock, this.#failed);
  readonly #deltas = new RecoveryDeltas();
  readonly #decisions = new Decisions((decided, options) =>
    this.#toBroker(decided, brokerOptions(options, decided, this.#idempotencyMs))
  );
  readonly #expiries = new Expiries();
  #host: Host | undefined;
  #endSweep: (() => void) | undefined;
  #lastChannelId = 0;

  constructor(
    clients: LocalClients,
    namespaces: Namespaces,
    options: { readonly maxChannelsPerClient: number; readonly idempotencyMs: number },
  ) {
    this.#clients = clients;
    this.#namespaces = namespaces;
    this.maxChannelsPerClient = options.maxChannelsPerClient;
    this.#idempotencyMs = options.idempotencyMs;
    this.extensions = new Extensions(this.#failed);
  }

  async start(host: Host): Promise<void> {
    this.#host = host;
    for (const broker of this.#namespaces.brokers) await this.#startBroker(broker, host);
    this.#endSweep = this.#expiries.start(
      host.clock,
      (client, channel) => client.expel(channel, unsubscribeCodes.expired),
    );
  }

  async stop(): Promise<void> {
    this.#endSweep?.();
    this.#callbacks.stop();
    this.#subscriptions.stop();
    for (const broker of this.#started) await broker.stop?.();
    this.#started.clear();
  }

  /** Adds a namespace, and starts its broker if the others are started. */
  async addNamespace(name: string, options: NamespaceOptions): Promise<void> {
    const { broker } = this.#namespaces.add(name, options);
    if (this.#host !== undefined) await this.#startBroker(broker, this.#host);
  }

  hasNamespace(name: string): boolean {
    return this.#namespaces.has(name);
  }

  namespaceOf(channel: string): Namespace {
    return this.channels.get(channel)?.namespace ?? this.#namespaces.of(channel);
  }

  wallTime(): number {
    return this.#clock.wallTime();
  }

  publish(
    channel: string,
    namespace: Namespace,
    data: unknown,
    options: PublishOptions = {},
    client?: Client,
  ): MaybePromise<Published> {
    const startedAt = performance.now();
    const { tags, except } = options;
    const draft: Draft = {
      payload: payloadFor(namespace, data),
      ...(client !== undefined && { info: client.subscriptions.get(channel)?.info ?? client.info }),
      ...(tags !== undefined && { tags }),
      ...(except !== undefined && { except }),
    };
    const publishing: Publishing = { channel, namespace, client, draft, startedAt };
    const how = brokerOptions(options, publishing, this.#idempotencyMs);
    this.extensions.beforePublish(publishing);
    const decision = client && this.extensions.decidePublish(publishing);
    if (decision === undefined) return this.#toBroker(publishing, how);
    return this.#decisions.next(publishing, options, decision);
  }

  #toBroker(publishing: Publishing, how: BrokerPublishOptions): MaybePromise<Published> {
    const { channel, namespace, draft } = publishing;
    const result = namespace.broker.publish(channel, draft, how);
    return chain(result, (published) => {
      this.extensions.emit("published", publishing, published);
      return published;
    });
  }

  history(channel: string, { keep, broker }: Namespace, query: HistoryQuery = {}): MaybePromise<History> {
    if (keep === undefined) throw new PlugboardError("not_available", "The channel keeps no history");
    const { since, reverse } = query;
    if (reverse && since?.offset === 0) {
      throw new PlugboardError("bad_request", "There are no publications before offset 0");
    }
    return chain(broker.history(channel, query, keep), (page) => {
      if (since === undefined || since.epoch === "" || since.epoch === page.top.epoch || page.continued) {
        return page;
      }
      throw new PlugboardError("unrecoverable_position", "The position is of another history");
    });
  }

  async removeHistory(channel: string): Promise<void> {
    await this.namespaceOf(channel).broker.removeHistory(channel);
  }

  /** Adds a callback. Returns the function that removes it. */
  listen(name: string, callback: ChannelCallback): () => void {
    const channel = this.#use(name);
    // A function of its own, so that the same callback can be added twice.
    const own: ChannelCallback = (data, publication) => callback(data, publication);
    channel.callbacks.add(own);
    Promise.try(() => this.#subscriptions.subscribe(channel)).catch(() => {}); // It is reported and retried.
    return () => {
      channel.callbacks.delete(own);
      this.releaseIfUnused(channel);
    };
  }

  prepare(client: Client, name: string, request: SubscribeRequest): MaybePromise<Prepared> {
    const asked = this.extensions.beforeSubscribe(client, name, request, this.namespaceOf(name));
    return chain(asked, (addition) => {
      const channel = this.#use(name);
      const subscribe = () => this.#subscriptions.subscribe(channel);
      const now = this.#clock.wallTime();
      const deltas = this.#deltas;
      return attempt(
        () => prepare({ channel, request, client, now, addition, subscribe, deltas }),
        (error) => {
          this.releaseIfUnused(channel);
          throw error;
        },
      );
    });
  }

  joined(client: Client, channel: Channel, subscription: Subscription): void {
    const first = channel.size === 0;
    channel.add(client.conn, subscription);
    this.expires(client, subscription);
    if (first) this.extensions.emit("occupied", channel.name);
    this.extensions.emit("joined", client, subscription);
  }

  expires(client: Client, subscription: Subscription): void {
    this.#expiries.set(client, subscription);
  }

  announceJoin(channel: Channel, { info }: Subscription): void {
    this.#announce(channel, "join", info);
  }

  left(client: Client, subscription: Subscription): void {
    const channel = this.channels.get(subscription.channel)!;
    channel.delete(client.conn, subscription);
    this.#expiries.delete(subscription);
    this.extensions.emit("left", client, subscription);
    this.#announce(channel, "leave", subscription.info);
    if (channel.size === 0) this.extensions.emit("vacated", channel.name);
    this.releaseIfUnused(channel);
  }

  /** Ends all clients' subscriptions to a channel; returns their number. */
  close(name: string, why: UnsubscribeCode): number {
    const subscribers = [...this.channels.get(name)?.connections() ?? []];
    return subscribers.filter(({ id }) => this.#clientOf(id).expel(name, why)).length;
  }

  releaseIfUnused(channel: Channel): void {
    if (!channel.unused || this.channels.get(channel.name) !== channel) return;
    this.channels.delete(channel.name);
    void this.#subscriptions.release(channel);
  }

  /** Delivers a publication from the broker; returns the number of receivers. */
  publication(name: string, publication: Publication, epoch: string): number {
    const channel = this.channels.get(name);
    if (channel === undefined) return 0;
    const accepted = channel.accept(publication, epoch);
    if (accepted === "duplicate") return 0;
    if (accepted === "gap") this.#expelPositioned(channel);
    let receivers = sendPublication(channel, publication, this.#clients);
    if (channel.callbacks.size > 0) {
      receivers += channel.callbacks.size;
      this.#callbacks.add(name, channel.callbacks, publication);
    }
    this.extensions.emit("delivered", channel, publication, receivers);
    return receivers;
  }

  /** Delivers a join or leave from the broker. */
  presence(name: string, { kind, info, people }: Announcement): void {
    const audience = this.channels.get(name)?.joinLeaveAudience;
    audience?.send(({ id }) => this.#clientOf(id).encoder[kind](name, info, people));
  }

  /** Handles a broker's report that publications may be missing. */
  interrupted(name?: string): void {
    for (const channel of name === undefined ? this.channels.values() : [this.channels.get(name)]) {
      if (channel === undefined) continue;
      this.#expelPositioned(channel);
      channel.clearPosition();
    }
  }

  get #clock() {
    return this.#host?.clock ?? systemClock;
  }

  #clientOf(id: string): Client {
    return this.#clients.all.get(id)!;
  }

  async #startBroker(broker: Broker, host: Host): Promise<void> {
    if (this.#started.has(broker)) return;
    this.#started.add(broker);
    await broker.start?.(this, host);
  }

  #use(name: string): Channel {
    let channel = this.channels.get(name);
    if (channel === undefined) {
      this.channels.set(name, channel = new Channel(name, this.#namespaces.of(name), ++this.#lastChannelId));
    }
    return channel;
  }

  /** Ends the subscriptions that must not have a gap. Their clients subscribe again and recover. */
  #expelPositioned(channel: Channel): void {
    for (const { id } of channel.connections()) {
      const client = this.#clientOf(id);
      if (client.subscriptions.get(channel.name)?.positioned) {
        client.expel(channel.name, unsubscribeCodes.insufficient);
      }
    }
  }

  #announce(channel: Channel, kind: "join" | "leave", info: Subscription["info"]): void {
    if (!channel.announces) return;
    const { name, namespace: { broker } } = channel;
    const announce = (people: number | undefined) =>
      broker.announce(name, { kind, info, ...(people !== undefined && { people }) });
    try {
      const announced = chain(this.extensions.people(name, info), announce);
      if (announced instanceof Promise) {
        announced.catch((error) => this.#failed(`announcing a ${kind}`, error));
      }
    } catch (error) {
      this.#failed(`announcing a ${kind}`, error);
    }
  }
}
