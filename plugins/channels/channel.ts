/**
 * One channel on this node: who listens, and how far they have been told.
 *
 * @module
 */

import { Audience, type Connection } from "../../core/mod.ts";
import type { Namespace } from "./namespace.ts";
import type { Position, Publication } from "./publications.ts";
import type { ChannelCallback, ChannelStats } from "./service.ts";
import type { Subscription } from "./types.ts";

/** Publications that arrive while a subscription is being prepared. */
export type Buffer = { publication: Publication; epoch: string }[];

/** A channel that somebody on this node listens to, or is about to. */
export class Channel {
  readonly name: string;
  readonly namespace: Namespace;
  /** Its subscribed clients' connections. */
  readonly audience = new Audience();
  readonly callbacks = new Set<ChannelCallback>();
  /** Resolves when the broker sends this channel's publications here; absent once it does. */
  ready: Promise<void> | undefined;
  /** Subscribers that want to hear of joins and leaves. */
  #curious: Audience | undefined;
  #buffers: Set<Buffer> | undefined;
  /** The latest publication that subscribers were told of; absent before the first one took a position. */
  #told: Position | undefined;
  /** Subscribers that know more than that, and up to which offset. */
  #ahead: Map<Connection, number> | undefined;
  #publications = 0;
  #lastPublishedAt: number | undefined;

  constructor(name: string, namespace: Namespace) {
    this.name = name;
    this.namespace = namespace;
  }

  /** Whether nobody listens, and nobody is about to. */
  get vacant(): boolean {
    return this.audience.size === 0 && this.callbacks.size === 0 && this.#buffers === undefined;
  }

  /**
   * Takes in a publication: `deliver` it; it is `old`, told before; or some before it are `missing`.
   */
  take(publication: Publication, epoch: string): "deliver" | "old" | "missing" {
    const { offset } = publication;
    if (this.#buffers !== undefined && offset > 0) {
      for (const buffer of this.#buffers) buffer.push({ publication, epoch });
    }
    if (offset > 0 && this.#told !== undefined) {
      const told = this.#told;
      if (told.epoch === epoch && offset <= told.offset) return "old";
      const next = told.epoch === epoch && offset === told.offset + 1;
      this.#told = { offset, epoch };
      if (!next) return "missing";
    }
    this.#publications++;
    this.#lastPublishedAt = publication.time;
    return "deliver";
  }

  /**
   * A subscriber stands here; from now on gaps are noticed. It may know more than the others were told: what a
   * broker has stored can be read before it is delivered. What it knows is not delivered to it again.
   */
  stand(conn: Connection, position: Position): void {
    const told = this.#told ??= position;
    if (told.epoch === position.epoch && told.offset < position.offset) {
      (this.#ahead ??= new Map()).set(conn, position.offset);
    }
  }

  /** Who knows a publication already. */
  knowing({ offset }: Publication): ReadonlySet<Connection> | undefined {
    if (this.#ahead === undefined || offset === 0) return;
    const knowing = new Set<Connection>();
    for (const [conn, known] of this.#ahead) {
      if (known >= offset) knowing.add(conn);
      if (known <= offset) this.#ahead.delete(conn);
    }
    if (this.#ahead.size === 0) this.#ahead = undefined;
    return knowing;
  }

  /** Nobody knows what was missed; the next subscriber's position counts. */
  lose(): void {
    this.#told = undefined;
  }

  /** Keeps what arrives from now on, for a subscription that is being prepared. */
  buffer(): Buffer {
    const buffer: Buffer = [];
    (this.#buffers ??= new Set()).add(buffer);
    return buffer;
  }

  /** Ends a buffer. */
  release(buffer: Buffer): void {
    this.#buffers?.delete(buffer);
    if (this.#buffers?.size === 0) this.#buffers = undefined;
  }

  add(conn: Connection, subscription: Subscription): void {
    this.audience.add(conn);
    if (subscription.joinLeave) (this.#curious ??= new Audience()).add(conn);
  }

  delete(conn: Connection): void {
    this.audience.delete(conn);
    this.#ahead?.delete(conn);
    this.#curious?.delete(conn);
    if (this.#curious?.size === 0) this.#curious = undefined;
  }

  /** Whether joins and leaves are still announced, with so many subscribers. */
  get announces(): boolean {
    const { joinLeave, joinLeaveLimit } = this.namespace;
    return joinLeave !== "off" && this.audience.size <= joinLeaveLimit;
  }

  /** Who hears of joins and leaves. */
  get curious(): Audience | undefined {
    return this.#curious;
  }

  get stats(): ChannelStats {
    return {
      channel: this.name,
      subscribers: this.audience.size,
      callbacks: this.callbacks.size,
      publications: this.#publications,
      lastPublishedAt: this.#lastPublishedAt,
    };
  }
}
