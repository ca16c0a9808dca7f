/**
 * The subscribers of a channel that asked for more than plain publications: deltas, tag filters, numbers in place of the
 * channel's name. Subscribers that get the same message are a group, so that it is encoded once.
 *
 * @module
 */

import { Audience, type Connection } from "../../core/mod.ts";
import type { Payload } from "../shared/payload.ts";
import { deltaBetween } from "./deltas.ts";
import type { Publication } from "./publications.ts";
import type { CompiledFilter } from "./tag_filter.ts";
import type { PushForm, Subscription } from "./types.ts";

/** Sends a publication in a form to the connections that it is for; returns the number of receivers. */
export type Send = (audience: Audience, form: PushForm) => number;

/** Connections that get the same publications, by the channel's name or by its number. */
class Group {
  #named: Audience | undefined;
  #numbered: Audience | undefined;

  get size(): number {
    return (this.#named?.size ?? 0) + (this.#numbered?.size ?? 0);
  }

  *[Symbol.iterator](): Generator<Connection> {
    if (this.#named !== undefined) yield* this.#named;
    if (this.#numbered !== undefined) yield* this.#numbered;
  }

  add(conn: Connection, channelId: number): void {
    if (channelId === 0) (this.#named ??= new Audience()).add(conn);
    else (this.#numbered ??= new Audience()).add(conn);
  }

  delete(conn: Connection): void {
    this.#named?.delete(conn);
    this.#numbered?.delete(conn);
  }

  /** Moves a connection to another group. */
  move(conn: Connection, to: Group): void {
    if (this.#named?.delete(conn)) (to.#named ??= new Audience()).add(conn);
    if (this.#numbered?.delete(conn)) (to.#numbered ??= new Audience()).add(conn);
  }

  send(send: Send, channelId: number, form: Omit<PushForm, "channelId">): number {
    let receivers = 0;
    if (this.#named !== undefined) receivers += send(this.#named, { channelId: 0, ...form });
    if (this.#numbered !== undefined) receivers += send(this.#numbered, { channelId, ...form });
    return receivers;
  }
}

/** Subscribers with deltas. */
class DeltaGroup {
  /** Have received `#base`, and get the next publication as a delta. */
  readonly #following = new Group();
  /** Get the next publication as it is. */
  readonly #fresh = new Group();
  /** The latest payload, or `undefined` if the next cannot be sent as a delta. */
  #base: Payload | undefined;

  get size(): number {
    return this.#following.size + this.#fresh.size;
  }

  *[Symbol.iterator](): Generator<Connection> {
    yield* this.#following;
    yield* this.#fresh;
  }

  add(conn: Connection, channelId: number): void {
    this.#fresh.add(conn, channelId);
  }

  delete(conn: Connection): void {
    this.#following.delete(conn);
    this.#fresh.delete(conn);
    if (this.#following.size === 0) this.#base = undefined;
  }

  /** A new member has received this payload, and will receive what is published next. */
  received(conn: Connection, payload: Payload): void {
    if (this.#following.size === 0) this.#base = payload;
    else if (this.#base?.content !== payload.content) return;
    this.#fresh.move(conn, this.#following);
  }

  /** Sends a publication. `ahead` are the members that it is not sent to, since they have it. */
  send(
    { payload, offset }: Publication,
    send: Send,
    channelId: number,
    ahead: ReadonlySet<Connection> | undefined,
  ): number {
    // What the history does not have is sent to some members only, or between what others have read ahead.
    const base = offset > 0 && this.#following.size > 0 ? this.#base : undefined;
    const delta = base && deltaBetween(base, payload);
    let receivers = this.#following.send(send, channelId, { deltas: true, ...(delta && { delta }) });
    if (this.#fresh.size > 0) {
      receivers += this.#fresh.send(send, channelId, { deltas: true });
      if (offset > 0) {
        for (const conn of this.#fresh) if (!ahead?.has(conn)) this.#fresh.move(conn, this.#following);
      }
    }
    this.#base = offset > 0 ? payload : undefined;
    return receivers;
  }
}

/** The groups of a channel. */
export class Groups {
  readonly #channelId: number;
  readonly #numbered = new Group();
  readonly #deltas = new DeltaGroup();
  #filtered: Map<string, { readonly filter: CompiledFilter; readonly group: Group }> | undefined;
  #size = 0;

  /** `channelId` is the channel's number. */
  constructor(channelId: number) {
    this.#channelId = channelId;
  }

  /** The number of connections. */
  get size(): number {
    return this.#size;
  }

  /** The number of different filters. */
  get filters(): number {
    return this.#filtered?.size ?? 0;
  }

  /** Whether a subscriber has this filter. */
  hasFilter({ text }: CompiledFilter): boolean {
    return this.#filtered?.has(text) === true;
  }

  /** All connections. */
  *[Symbol.iterator](): Generator<Connection> {
    yield* this.#numbered;
    yield* this.#deltas;
    for (const { group } of this.#filtered?.values() ?? []) yield* group;
  }

  add(conn: Connection, { delta, filter, channelId }: Subscription): void {
    this.#size++;
    if (filter !== undefined) {
      (this.#filtered ??= new Map())
        .getOrInsertComputed(filter.text, () => ({ filter, group: new Group() }))
        .group.add(conn, channelId);
    } else (delta ? this.#deltas : this.#numbered).add(conn, channelId);
  }

  delete(conn: Connection, { delta, filter }: Subscription): void {
    this.#size--;
    const filtered = filter && this.#filtered?.get(filter.text);
    if (filtered === undefined) return (delta ? this.#deltas : this.#numbered).delete(conn);
    filtered.group.delete(conn);
    if (filtered.group.size === 0) this.#filtered!.delete(filter!.text);
  }

  /** A new subscriber with deltas has received this payload, and will receive what is published next. */
  received(conn: Connection, payload: Payload): void {
    this.#deltas.received(conn, payload);
  }

  /** Sends a publication to all connections that want it. */
  send(publication: Publication, send: Send, ahead: ReadonlySet<Connection> | undefined): number {
    const id = this.#channelId;
    let receivers = this.#numbered.send(send, id, { deltas: false });
    if (this.#deltas.size > 0) receivers += this.#deltas.send(publication, send, id, ahead);
    for (const { filter, group } of this.#filtered?.values() ?? []) {
      if (filter.matches(publication.tags)) receivers += group.send(send, id, { deltas: false });
    }
    return receivers;
  }
}
