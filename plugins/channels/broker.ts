/**
 * Brokers store the history of channels and carry publications to the nodes that have subscribers.
 *
 * @module
 */

import type { Clock, Log, MaybePromise } from "../../core/mod.ts";
import type { Repeatable } from "../shared/idempotency.ts";
import type { Announcement, Draft, History, HistoryQuery, Publication, Published } from "./publications.ts";

/** How much of a channel's history is kept. */
export interface Retention {
  /** The number of publications. */
  readonly size: number;
  /** The maximum age of a publication, in milliseconds. */
  readonly ageMs: number;
}

/** What a broker calls on this node. All of it is synchronous: subscribers have been sent to when a call returns. */
export interface BrokerEvents {
  /** Delivers a publication, in the order of the history; returns the number of receivers on this node. */
  publication(channel: string, publication: Publication, epoch: string): number;
  /** A client joined or left, on this node or on another. */
  presence(channel: string, announcement: Announcement): void;
  /** This node may have missed publications, of one channel or (without a name) of all. */
  interrupted(channel?: string): void;
}

/** What a broker gets from the server. */
export interface BrokerHost {
  /** The server's clock. */
  readonly clock: Clock;
  /** The log. */
  readonly log: Log;
}

/** The version of what a publication tells. */
export interface PublicationVersion {
  /** Counts from 1. */
  readonly number: number;
  /** Versions of different epochs are not compared. */
  readonly epoch: string;
}

/** How a broker publishes. */
export interface BrokerPublishOptions {
  /** The history to append to; absent where none is kept. */
  readonly keep: Retention | undefined;
  /**
   * Publishes once: while the key is stored, a repeated publish has no effect and returns the position of the first,
   * also when both run at once. A broker whose histories survive a restart stores keys in the same way. The memory for
   * keys is bounded, and shared fairly between the owners.
   */
  readonly repeatable?: Repeatable;
  /**
   * Drops the publication if the latest one with a version is of the same epoch and not older; returns the position of
   * the history. A dropped publication also uses up its key. Requires `keep`.
   */
  readonly version?: PublicationVersion;
}

/**
 * A local broker returns values, a remote one promises; the channel service waits only for promises. Any method may
 * fail: the caller gets the error.
 */
export interface Broker {
  /** Opens the broker. `events` receives what is published from then on. */
  start?(events: BrokerEvents, host: BrokerHost): MaybePromise<void>;
  /** Closes the broker. */
  stop?(): MaybePromise<void>;
  /**
   * Appends to the channel's history, if it keeps one, and sends to every subscribed node. Settles when the publication
   * is as safe as this broker promises. The offset is 0 without a history. Publications of one channel keep the order
   * of the calls.
   */
  publish(channel: string, draft: Draft, options: BrokerPublishOptions): MaybePromise<Published>;
  /** Sends a join or leave to every subscribed node. */
  announce(channel: string, announcement: Announcement): MaybePromise<void>;
  /**
   * Subscribes this node to a channel; once it settles, no later publication is missed. It is called again after a
   * failure, while the channel is in use. Of one channel, no call of `subscribe` or `unsubscribe` overlaps another.
   */
  subscribe(channel: string): MaybePromise<void>;
  /** Ends this node's subscription. */
  unsubscribe(channel: string): MaybePromise<void>;
  /** Reads the history. An unknown channel is empty, with an epoch. A `since` of another epoch reads nothing. */
  history(channel: string, query: HistoryQuery, keep: Retention): MaybePromise<History>;
  /** Empties the history; offsets go on. */
  removeHistory(channel: string): MaybePromise<void>;
}
