import type { Clock } from "../../core/mod.ts";
import type { Client, Subscription } from "./types.ts";

/** How often expired subscriptions are ended, and how long a client has to renew one. */
const SWEEP_MS = 1_000;
const GRACE_MS = 25_000;

/** Subscriptions that expire. */
export class Expiries {
  readonly #clients = new Map<Subscription, Client>();

  /** Calls `expired` for each subscription that was not renewed in time. Returns the function that ends it. */
  start(clock: Clock, expired: (client: Client, channel: string) => void): () => void {
    return clock.every(SWEEP_MS, () => {
      const due = clock.wallTime() - GRACE_MS;
      for (const [{ channel, expiresAt }, client] of this.#clients) {
        if (expiresAt !== undefined && expiresAt <= due) expired(client, channel);
      }
    });
  }

  /** Notes when a subscription expires, if it does. */
  set(client: Client, subscription: Subscription): void {
    if (subscription.expiresAt === undefined) this.#clients.delete(subscription);
    else this.#clients.set(subscription, client);
  }

  delete(subscription: Subscription): void {
    this.#clients.delete(subscription);
  }
}
