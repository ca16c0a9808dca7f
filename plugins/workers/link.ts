/**
 * The way to a worker: orders of one turn leave together, and equal frames cross once.
 *
 * @module
 */

import type { Message, Outlet, Waiting } from "../../core/mod.ts";
import {
  AWAITED,
  type Batch,
  CREDIT_BYTES,
  DONE,
  type Numbers,
  type Order,
  type Progress,
} from "./messages.ts";

/** Shorter lists of numbers are copied: moving one costs some microseconds. */
const MIN_MOVED = 64;

/** A connection as the receiver of frames. */
export interface Receiver {
  readonly number: number;
  /** The latest group that it is in. */
  group: number;
}

/** Frames that cross once, for all connections that get them next. */
interface Group {
  /** Groups are counted, so that a connection gets its frames in order. */
  readonly serial: number;
  readonly frames: readonly Message[];
  readonly numbers: number[];
}

/** Posts orders to a worker. */
export class Link implements Outlet {
  readonly #post: (batch: Batch, moved: Transferable[]) => void;
  #batch: Batch = [];
  /** Those of this turn, and where the next one with the same frames goes. */
  #groups: Group[] = [];
  readonly #groupOf = new Map<readonly Message[], Group>();
  #latest: Group | undefined;
  #serial = 0;
  /** Connections with messages that wait until the worker has sent what it has. */
  #waiting: Waiting[] = [];
  /** Those of them with much. */
  #hastened = new Set<Waiting>();
  /** The latest post with frames. */
  #framesPost = 0;
  /** Orders that follow the frames. */
  #after: Batch = [];
  /** Credit for bytes of messages, without a post so far. */
  #took = 0;
  #scheduled = false;
  #posts: number;
  readonly #progress: Progress;
  /** As many posts of `#unconfirmed` as were removed. */
  #removed: number;
  /** When the posts were made that the worker has not confirmed yet. */
  readonly #unconfirmed: number[] = [];

  constructor(progress: Progress, post: (batch: Batch, moved: Transferable[]) => void) {
    this.#progress = progress;
    this.#post = post;
    this.#posts = this.#removed = Atomics.load(progress, DONE);
  }

  /** The number of the next post. */
  get next(): number {
    return this.#posts + 1;
  }

  /** How many posts the worker has carried out. The shared number has 32 bits, which a busy worker fills in days. */
  get done(): number {
    return this.#posts - (this.#posts - Atomics.load(this.#progress, DONE) | 0);
  }

  /** How long the worker has taken so far for the oldest post. */
  lag(now: number): number {
    this.#forgetDone();
    const [oldest] = this.#unconfirmed;
    return oldest === undefined ? 0 : now - oldest;
  }

  /** Gives an order that may precede the frames of this turn. */
  order(...order: Order): void {
    this.#batch.push(order[0], order[1], order[2]);
    this.#schedule();
  }

  /** Gives an order that follows the frames of this turn. */
  orderLast(...order: Order): void {
    this.#after.push(order[0], order[1], order[2]);
    this.#schedule();
  }

  /** Gives credit for so many bytes of messages, with the next post unless it is much. */
  take(bytes: number): void {
    this.#took += bytes;
    if (this.#took >= CREDIT_BYTES / 4) this.#schedule();
  }

  /**
   * Flushes `waiting` at the end of the turn, or later when the worker has sent what it has. What is sent meanwhile leaves
   * together, as without workers, where a server that writes reads no messages. So a busy server joins many in one frame.
   */
  add(waiting: Waiting): void {
    if (this.#waiting.push(waiting) > 1) return;
    if (this.done < this.#framesPost) this.awaitReport();
    if (this.done >= this.#framesPost) setImmediate(() => this.release());
  }

  hasten(waiting: Waiting): void {
    if (this.#hastened.size === 0) setImmediate(() => this.#releaseHastened());
    this.#hastened.add(waiting);
  }

  /** The worker reports when it has carried out its posts. It may already have done so, then no report comes. */
  awaitReport(): void {
    Atomics.store(this.#progress, AWAITED, 1);
  }

  /** The worker has carried out its posts. */
  proceed(): void {
    if (this.#waiting.length > 0) setImmediate(() => this.release());
  }

  /** Flushes all that wait. */
  release(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (let i = 0; i < waiting.length; i++) waiting[i]!.flush();
  }

  #releaseHastened(): void {
    const hastened = this.#hastened;
    this.#hastened = new Set();
    for (const each of hastened) each.flush();
  }

  /** Sends frames to one connection. */
  send(to: Receiver, frames: readonly Message[]): void {
    let group = this.#latest;
    if (group === undefined || group.frames !== frames || to.group >= group.serial) {
      group = this.#latest = this.#groupFor(to, frames);
    }
    to.group = group.serial;
    group.numbers.push(to.number);
  }

  #forgetDone(): void {
    const count = this.done - this.#removed;
    if (count === 0) return;
    this.#unconfirmed.splice(0, count);
    this.#removed += count;
  }

  #groupFor(to: Receiver, frames: readonly Message[]): Group {
    const known = this.#groupOf.get(frames);
    if (known !== undefined && known.serial > to.group) return known;
    const group: Group = { serial: ++this.#serial, frames, numbers: [] };
    this.#groups.push(group);
    this.#groupOf.set(frames, group);
    this.#schedule();
    return group;
  }

  /** A microtask runs when the outbox has sent all messages of the turn. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const [batch, moved] = [this.#batch, [] as Transferable[]];
    this.#batch = [];
    if (this.#groups.length > 0) this.#addFrames(batch, moved);
    for (let i = 0; i < this.#after.length; i++) batch.push(this.#after[i]);
    this.#after = [];
    if (this.#took > 0) batch.push("took", this.#took, undefined);
    this.#took = 0;
    this.#posts++;
    this.#forgetDone();
    this.#unconfirmed.push(performance.now());
    this.#post(batch, moved);
  }

  #addFrames(batch: Batch, moved: Transferable[]): void {
    for (const { numbers, frames } of this.#groups) {
      batch.push(
        "send",
        toNumbers(numbers, moved),
        frames.length === 1 ? exactly(frames[0]!) : frames.map(exactly),
      );
    }
    this.#groups = [];
    this.#groupOf.clear();
    this.#latest = undefined;
    this.#framesPost = this.#posts + 1;
  }
}

/** Bytes cross with their whole buffer, so a part of a large one is copied before. */
export function exactly<Data extends Message>(data: Data): Data {
  if (typeof data === "string" || data.buffer.byteLength === data.byteLength) return data;
  return new Uint8Array(data) as Data;
}

function toNumbers(numbers: number[], moved: Transferable[]): Numbers {
  if (numbers.length === 1) return numbers[0]!;
  const array = new Uint32Array(numbers);
  if (numbers.length >= MIN_MOVED) moved.push(array.buffer);
  return array;
}
