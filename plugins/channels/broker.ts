/**
 * Brokers: where a channel's log lives and how publications get to the nodes that have subscribers.
 *
 * @module
 */

import type { Clock, MaybePromise } from "../../core/mod.ts";
import type { ClientInfo, Draft, History, HistoryQuery, Position, Publication } from "./types.ts";

/** How much of a channel is kept. */
export interface Retention {
  /** Publications. */
  readonly size: number;
  /** For how long, each. */
  readonly ageMs: number;
}

/**
 * What a broker calls on this node. All of it is synchronous: when `publication` returns, everybody here was told.
 */
export interface BrokerEvents {
  /** A publication for the subscribers here, in the order of the log; gives their number. */
  publication(channel: string, publication: Publication, epoch: string): number;
  /** Somebody joined or left, here or on another node. */
  presence(channel: string, kind: "join" | "leave", info: ClientInfo): void;
  /** Publications may have been lost on the way to this node, of one channel or (without a name) of all. */
  interrupted(channel?: string): void;
}

/**
 * Does the work of channels. A local broker answers at once, a remote one with promises; the channel service waits
 * only for promises, so that a local one costs nothing extra. Any method may fail: the caller is told.
 */
export interface Broker {
  /** Opens it; `events` are for the subscribers of this node. */
  start?(events: BrokerEvents, clock: Clock): MaybePromise<void>;
  /** Closes it. */
  stop?(): MaybePromise<void>;
  /**
   * Appends to the channel's log, if it keeps one, and sends to every node that is subscribed. Settles when the
   * publication is as safe as this broker promises, with its position (offset 0 without a log) and the number of
   * receivers on this node. Publications of one channel keep the order of the calls.
   */
  publish(
    channel: string,
    draft: Draft,
    keep: Retention | undefined,
  ): MaybePromise<Position & { receivers: number }>;
  /** Sends a join or leave to every node that is subscribed. */
  announce(channel: string, kind: "join" | "leave", info: ClientInfo): MaybePromise<void>;
  /** Has publications of a channel sent to this node; when it settles, none published later is missed. */
  subscribe(channel: string): MaybePromise<void>;
  /** Ends that. */
  unsubscribe(channel: string): MaybePromise<void>;
  /** Reads the log. An unknown channel is empty, with an epoch. A `since` of another epoch reads nothing. */
  history(channel: string, query: HistoryQuery, keep: Retention): MaybePromise<History>;
  /** Empties the log; offsets go on. */
  removeHistory(channel: string): MaybePromise<void>;
}
