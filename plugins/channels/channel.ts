/**
 * One channel on this node: its subscribers, and the position up to which they have been sent to.
 *
 * @module
 */

import { Audience, type Connection, PlugboardError } from "../../core/mod.ts";
import type { Payload } from "../shared/payload.ts";
import { Groups } from "./groups.ts";
import type { Namespace } from "./namespace.ts";
import type { Position, Publication } from "./publications.ts";
import type { ChannelCallback, ChannelStats } from "./service.ts";
import type { Subscription } from "./types.ts";

/** Publications that arrive while a subscription is prepared. */
export type Buffer = { publication: Publication; epoch: string }[];

/** A channel that has subscribers on this node, or is about to. */
export class Channel {
  readonly name: string;
  readonly namespace: Namespace;
  /** Stands for the name, to clients that understand it. */
  readonly id: number;
  /** The connections that get plain publications. */
  readonly audience = new Audience();
  readonly callbacks = new Set<ChannelCallback>();
  /** The state of this node's subscription at the broker: `true`, or a promise while it is being made. */
  subscribed: boolean | Promise<void> = false;
  #groups: Groups | undefined;
  #joinLeaveAudience: Audience | undefined;
  #buffers: Set<Buffer> | undefined;
  /** The position of the latest delivery; absent until a subscriber has a position. */
  #latest: Position | undefined;
  /** Subscribers that have read further than that, with their offsets. */
  #ahead: Map<Connection, number> | undefined;
  #publications = 0;
  #lastPublishedAt: number | undefined;

  constructor(name: string, namespace: Namespace, id: number) {
    this.name = name;
    this.namespace = namespace;
    this.id = id;
  }

  /** The number of subscribed clients. */
  get size(): number {
    return this.audience.size + (this.#groups?.size ?? 0);
  }

  /** The connections of the subscribed clients. */
  *connections(): Generator<Connection> {
    yield* this.audience;
    if (this.#groups !== undefined) yield* this.#groups;
  }

  /** The connections that get other publications than {@linkcode audience}. */
  get groups(): Groups | undefined {
    return this.#groups;
  }

  /** Whether it has no subscribers, and no subscription is being prepared. */
  get unused(): boolean {
    return this.size === 0 && this.callbacks.size === 0 && this.#buffers === undefined;
  }

  /** Records a publication and decides what to do with it. With a `gap`, earlier publications are missing. */
  accept(publication: Publication, epoch: string): "deliver" | "duplicate" | "gap" {
    const { offset, time } = publication;
    if (this.#buffers !== undefined && offset > 0) {
      for (const buffer of this.#buffers) buffer.push({ publication, epoch });
    }
    const latest = this.#latest;
    const same = latest?.epoch === epoch;
    if (offset > 0 && latest !== undefined) {
      if (same && offset <= latest.offset) return "duplicate";
      this.#latest = { offset, epoch };
    }
    this.#publications++;
    this.#lastPublishedAt = time;
    return offset === 0 || latest === undefined || same && offset === latest.offset + 1 ? "deliver" : "gap";
  }

  /**
   * Records the position of a new subscriber. From now on gaps are detected. It can be ahead of the deliveries: some
   * brokers store a publication before they deliver it, so that it can be read before. It is not sent again.
   */
  setPosition(conn: Connection, position: Position): void {
    const latest = this.#latest ??= position;
    if (latest.epoch === position.epoch && latest.offset < position.offset) {
      (this.#ahead ??= new Map()).set(conn, position.offset);
    }
  }

  /** Returns the subscribers that have read a publication before its delivery. */
  connectionsAhead({ offset }: Publication): ReadonlySet<Connection> | undefined {
    if (this.#ahead === undefined || offset === 0) return;
    const ahead = new Set<Connection>();
    for (const [conn, read] of this.#ahead) {
      if (read >= offset) ahead.add(conn);
      if (read <= offset) this.#ahead.delete(conn);
    }
    if (this.#ahead.size === 0) this.#ahead = undefined;
    return ahead;
  }

  /** Forgets the position after an interruption. The next subscriber sets it. */
  clearPosition(): void {
    this.#latest = undefined;
  }

  /** Starts to collect what arrives, for a subscription that is being prepared. */
  startBuffer(): Buffer {
    const buffer: Buffer = [];
    (this.#buffers ??= new Set()).add(buffer);
    return buffer;
  }

  /** Ends a buffer. */
  endBuffer(buffer: Buffer): void {
    this.#buffers?.delete(buffer);
    if (this.#buffers?.size === 0) this.#buffers = undefined;
  }

  /** Throws `limit_exceeded` if the subscription has one filter too many. */
  checkFilters({ filter }: Subscription): void {
    const { maxTagFilters } = this.namespace;
    const filters = this.#groups?.filters ?? 0;
    if (filter === undefined || filters < maxTagFilters || this.#groups?.hasFilter(filter)) return;
    throw new PlugboardError("limit_exceeded", `More than ${maxTagFilters} different filters`);
  }

  add(conn: Connection, subscription: Subscription): void {
    const { joinLeave, delta, filter, channelId } = subscription;
    if (delta || filter !== undefined || channelId > 0) {
      (this.#groups ??= new Groups(this.id)).add(conn, subscription);
    } else this.audience.add(conn);
    if (joinLeave) (this.#joinLeaveAudience ??= new Audience()).add(conn);
  }

  /** A new subscriber with deltas has received this payload with the answer. */
  received(conn: Connection, payload: Payload): void {
    // One that has read ahead gets the next publications of others later.
    if (!this.#ahead?.has(conn)) this.#groups?.received(conn, payload);
  }

  delete(conn: Connection, subscription: Subscription): void {
    if (!this.audience.delete(conn)) this.#groups?.delete(conn, subscription);
    if (this.#groups?.size === 0) this.#groups = undefined;
    this.#ahead?.delete(conn);
    this.#joinLeaveAudience?.delete(conn);
    if (this.#joinLeaveAudience?.size === 0) this.#joinLeaveAudience = undefined;
  }

  /** Whether joins and leaves are sent, with the current number of subscribers. */
  get announces(): boolean {
    const { joinLeave, joinLeaveLimit } = this.namespace;
    return joinLeave !== "off" && this.size <= joinLeaveLimit;
  }

  /** The subscribers that receive joins and leaves. */
  get joinLeaveAudience(): Audience | undefined {
    return this.#joinLeaveAudience;
  }

  get stats(): ChannelStats {
    return {
      channel: this.name,
      subscribers: this.size,
      callbacks: this.callbacks.size,
      publications: this.#publications,
      lastPublishedAt: this.#lastPublishedAt,
    };
  }
}
