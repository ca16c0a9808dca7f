/**
 * The options and the API of webhooks.
 *
 * @module
 */

import type { Log } from "../../core/mod.ts";

/** What a receiver can get. */
export type WebhookEvent =
  | "connect"
  | "disconnect"
  | "subscribe"
  | "unsubscribe"
  | "publish"
  | "occupied"
  | "vacated"
  | "presence"
  | "cache_miss";

/** What an occupancy tells. */
export interface OccupancyEvents {
  /** The log. */
  readonly log: Log;
  /** A channel has its first subscriber on any node. */
  occupied(channel: string): void;
  /** A channel has lost its last subscriber on any node. */
  vacated(channel: string): void;
}

/** Knows which channels have subscribers on any node. Each event is reported on one node. */
export interface Occupancy {
  /** Begins to count. */
  start(events: OccupancyEvents): void;
  /** This node has its first subscriber to a channel, or has lost its last one. */
  set(channel: string, occupied: boolean): void;
  /** Ends, after it has reported what the last changes cause. */
  stop(): Promise<void>;
}

/** A URL that gets events. */
export interface WebhookOptions {
  /** Where the events go. Redirects are not followed. @secret */
  readonly url: string;
  /**
   * The secrets that sign each request, in the form `whsec_` and base64. Several are for rotation: a receiver accepts a
   * request if one signature is valid.
   */
  readonly secrets: readonly string[];
  /** The name of the queue. A new URL with the same name gets what the old one did not. @default {the URL} */
  readonly name?: string;
  /** What it gets. @default {["connect", "disconnect", "subscribe", "unsubscribe", "occupied", "vacated"]} */
  readonly events?: readonly WebhookEvent[];
  /** The namespaces of the channels whose events it gets; an empty text stands for channels without one. @default {all} */
  readonly namespaces?: readonly string[];
  /** Further headers of each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The maximum events of one request. @default {100} */
  readonly maxBatch?: number;
  /** How long an event waits for others to share a request with. @default {100} @minimum 0 */
  readonly batchMs?: number;
  /** How long an answer may take. @default {10000} */
  readonly timeoutMs?: number;
  /** How long a request is repeated before its events become dead letters. @default {86400000} a day @minimum 0 */
  readonly giveUpMs?: number;
  /** The maximum events that wait; further ones become dead letters. @default {100000, or 10000 without a store} */
  readonly maxQueued?: number;
  /** The maximum dead letters; further events are dropped. @default {10000} */
  readonly maxDeadLetters?: number;
  /** The maximum characters that the events, and the dead letters, take. @default {67108864, or 16777216 without a store} */
  readonly maxChars?: number;
}

/** An event that was not delivered. */
export interface DeadLetter {
  /** Its number in the list of its receiver. */
  readonly id: number;
  /** The event, as the receiver would have got it. */
  readonly event: unknown;
  /** Why it was not delivered. */
  readonly reason: string;
}

/** What waits for a receiver. */
export interface WebhookStats {
  /** The receiver's name. */
  readonly name: string;
  /** The events that wait. */
  readonly queued: number;
  /** The dead letters. */
  readonly deadLetters: number;
  /** The events that were dropped since the start. */
  readonly dropped: number;
}

/** What webhooks offer to the app. */
export interface Webhooks {
  /**
   * Checks other receivers. Returns the function that replaces the current ones. A receiver of the same name keeps its queue; the
   * events of one that is gone stay stored until there is one of its name again.
   */
  prepare(receivers: readonly WebhookOptions[]): () => void;
  /** Tells what waits for each receiver. */
  stats(): WebhookStats[];
  /** Lists dead letters of a receiver, the oldest first. */
  deadLetters(name: string, page?: { readonly after?: number; readonly limit?: number }): DeadLetter[];
  /** Queues dead letters again, as far as there is room; all without `ids`. Resolves to their number. */
  retry(name: string, ids?: readonly number[]): Promise<number>;
  /** Deletes dead letters; all without `ids`. Resolves to their number. */
  empty(name: string, ids?: readonly number[]): Promise<number>;
}
