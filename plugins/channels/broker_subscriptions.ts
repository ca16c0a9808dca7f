import type { Clock, MaybePromise } from "../../core/mod.ts";
import { backoffMs } from "../shared/backoff.ts";
import { Turns } from "../shared/turns.ts";
import type { Channel } from "./channel.ts";
import type { OnFailure } from "./extensions.ts";

/** The delay before the first retry, and the longest one. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 12_800;

/** Subscribes at brokers, and retries while a channel is in use. */
export class BrokerSubscriptions {
  /** A broker gets one call at a time for each channel. */
  readonly #turns = new Turns();
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
    const { name, namespace: { broker } } = channel;
    try {
      const call = this.#turns.run(name, () => broker.subscribe(name));
      if (call instanceof Promise) {
        return channel.subscribed = call.then(() => void (channel.subscribed = true), failed);
      }
      channel.subscribed = true;
    } catch (error) {
      failed(error);
    }
  }

  /** Ends the subscription to a channel that is no longer in use. */
  async release(channel: Channel): Promise<void> {
    this.#cancelRetry(channel);
    const { name, namespace: { broker } } = channel;
    try {
      await this.#turns.run(name, () => broker.unsubscribe(name));
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
}
