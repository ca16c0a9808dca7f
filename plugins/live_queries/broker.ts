/**
 * The broker of the live channels: sends the diffs of instances to their subscribers. A channel's history is the kept
 * diffs of its instance.
 *
 * @module
 */

import { type Clock, PlugboardError } from "../../core/mod.ts";
import type { Broker, BrokerEvents, History, HistoryQuery, Publication } from "../channels.ts";
import type { Instance } from "./query.ts";

/** Length of all results without subscribers. */
const MAX_LINGERING_CHARS = 33_554_432;

/** Options of a {@linkcode LiveBroker}. */
export interface LiveBrokerOptions {
  readonly clock: Clock;
  /** How long an instance without subscribers is kept, so that clients that reconnect can recover. */
  readonly lingerMs: number;
  /** Called after that time. */
  readonly expired: (instance: Instance) => void;
}

/** Maps channels to instances. */
export class LiveBroker implements Broker {
  readonly #options: LiveBrokerOptions;
  readonly #instances = new Map<string, Instance>();
  /** Channels that have subscribers, or are about to get the first. */
  readonly #subscribed = new Set<string>();
  /** Instances without subscribers, the oldest first: their timers, and the lengths of their results. */
  readonly #lingering = new Map<Instance, { readonly cancel: () => void; chars: number }>();
  #lingeringChars = 0;
  #events: BrokerEvents | undefined;

  constructor(options: LiveBrokerOptions) {
    this.#options = options;
  }

  /** Returns the instance of a channel. */
  find(channel: string): Instance | undefined {
    return this.#instances.get(channel);
  }

  /** Makes an instance publish to a channel. */
  attach(channel: string, instance: Instance): void {
    this.#instances.set(channel, instance);
    instance.channels.add(channel);
    this.#lingerUnlessSubscribed(instance);
  }

  /** Removes an instance. */
  detach(instance: Instance): void {
    this.#keep(instance);
    for (const channel of instance.channels) this.#instances.delete(channel);
  }

  /** Notes that the result of an instance has another length. */
  resized(instance: Instance): void {
    const lingering = this.#lingering.get(instance);
    if (lingering === undefined) return;
    this.#lingeringChars += instance.chars - lingering.chars;
    lingering.chars = instance.chars;
    this.#trim(instance);
  }

  /** Sends a diff to the subscribers of all channels of its instance. */
  send(diff: Publication, { channels, epoch }: Instance): void {
    for (const channel of channels) this.#events?.publication(channel, diff, epoch);
  }

  stop(): void {
    for (const { cancel } of this.#lingering.values()) cancel();
  }

  start(events: BrokerEvents): void {
    this.#events = events;
  }

  subscribe(channel: string): void {
    this.#subscribed.add(channel);
    const instance = this.find(channel);
    if (instance !== undefined) this.#keep(instance);
  }

  unsubscribe(channel: string): void {
    this.#subscribed.delete(channel);
    const instance = this.find(channel);
    if (instance === undefined) return;
    instance.channels.delete(channel);
    this.#instances.delete(channel);
    this.#lingerUnlessSubscribed(instance);
  }

  history(channel: string, { limit, since, reverse }: HistoryQuery): History {
    const { offset, epoch } = this.find(channel) ?? { offset: 0, epoch: "" };
    const sameEpoch = since === undefined || since.epoch === "" || since.epoch === epoch;
    const diffs = sameEpoch && !reverse ? this.find(channel)?.since(since?.offset ?? 0) ?? [] : [];
    return { publications: diffs.slice(0, limit), top: { offset, epoch } };
  }

  publish(): never {
    throw new PlugboardError("permission_denied", "Only the server publishes the changes of a live query");
  }

  announce(): void {}

  removeHistory(): void {}

  /** Stops the timer that would drop an instance. */
  #keep(instance: Instance): void {
    const lingering = this.#lingering.get(instance);
    if (lingering === undefined) return;
    lingering.cancel();
    this.#lingeringChars -= lingering.chars;
    this.#lingering.delete(instance);
  }

  #lingerUnlessSubscribed(instance: Instance): void {
    const { clock, lingerMs, expired } = this.#options;
    this.#keep(instance);
    for (const channel of instance.channels) if (this.#subscribed.has(channel)) return;
    const { chars } = instance;
    this.#lingering.set(instance, { cancel: clock.after(lingerMs, () => expired(instance)), chars });
    this.#lingeringChars += chars;
    this.#trim(instance);
  }

  /** Drops the oldest results, so that those which nobody reads any more do not fill the memory. */
  #trim(latest: Instance): void {
    for (const oldest of this.#lingering.keys()) {
      if (this.#lingeringChars <= MAX_LINGERING_CHARS || oldest === latest) return;
      this.#options.expired(oldest);
    }
  }
}
