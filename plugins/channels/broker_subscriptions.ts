/**
 * This node's subscriptions at the brokers: one for each channel in use.
 *
 * @module
 */

import type { Clock, MaybePromise } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import type { Channel } from "./channel.ts";
import type { OnFailure } from "./extensions.ts";

/** The delay before the first retry, and the longest one. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;

/** Subscribes at brokers, and retries while a channel is in use. */
export class BrokerSubscriptions {
  /** The latest call for each channel. A broker gets them one after the other. */
  readonly #calls = new Map<string, Promise<void>>();
  readonly #retries = new Map<Channel, () => void>();
  readonly #clock: () => Clock;
  readonly #failed: OnFailure;
  #stopped = false;

  constructor(clock: () => Clock, failed: OnFailure) {
    this.#clock = clock;
    this.#failed = failed;
  }

  /** Subscribes to a channel; no promise where the broker answers at once. A failure is retried until the release. */
  subscribe(channel: Channel, failures = 0): MaybePromise<void> {
    if (channel.subscribed !== false) return channel.subscribed === true ? undefined : channel.subscribed;
    this.#cancelRetry(channel);
    const failed = (error: unknown): never => {
      channel.subscribed = false;
      this.#failed(`subscribing to ${channel.name} at the broker`, error);
      if (!channel.unused && !this.#stopped) this.#retryLater(channel, failures);
      throw error;
    };
    let call: Promise<void> | undefined;
    try {
      call = this.#callInTurn(channel.name, () => channel.namespace.broker.subscribe(channel.name));
    } catch (error) {
      failed(error);
    }
    channel.subscribed = call?.then(() => void (channel.subscribed = true), failed) ?? true;
    return channel.subscribed === true ? undefined : channel.subscribed;
  }

  /** Ends the subscription to a channel that is no longer in use. */
  async release(channel: Channel): Promise<void> {
    this.#cancelRetry(channel);
    const { name, namespace } = channel;
    try {
      await this.#callInTurn(name, () => namespace.broker.unsubscribe(name));
    } catch (error) {
      this.#failed(`unsubscribing from ${name} at the broker`, error);
    }
  }

  /** Ends all retries. */
  stop(): void {
    this.#stopped = true;
    for (const channel of this.#retries.keys()) this.#cancelRetry(channel);
  }

  #retryLater(channel: Channel, failures: number): void {
    const retry = async () => {
      try {
        await this.subscribe(channel, failures + 1);
      } catch { /* It is reported and retried. */ }
    };
    this.#retries.set(channel, this.#clock().after(backoffMs(failures, RETRY_MS, MAX_RETRY_MS), retry));
  }

  #cancelRetry(channel: Channel): void {
    this.#retries.get(channel)?.();
    this.#retries.delete(channel);
  }

  #callInTurn(name: string, work: () => MaybePromise<void>): Promise<void> | undefined {
    const earlier = this.#calls.get(name);
    const result = earlier === undefined ? work() : earlier.then(work, work);
    if (!(result instanceof Promise)) return;
    const call = result.finally(() => {
      if (this.#calls.get(name) === call) this.#calls.delete(name);
    });
    this.#calls.set(name, call);
    return call;
  }
}
