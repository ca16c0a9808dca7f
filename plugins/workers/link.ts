/**
 * The way to a worker: orders of one turn leave together, and equal frames cross once.
 *
 * @module
 */

import type { Message } from "../../core/mod.ts";
import { type Batch, CREDIT_BYTES, type Numbers, type Order } from "./messages.ts";

/** Shorter lists of numbers are copied: moving one costs some microseconds. */
const MIN_MOVED = 64;

/** A connection with frames that wait for the end of the turn. */
export interface Sender {
  readonly number: number;
  /** Its frames in this turn. */
  frames: Sequence | undefined;
}

/**
 * The frames of a connection in this turn: a node in a tree. Connections that get the same frames share the node, so
 * that the frames cross once for all of them.
 */
export class Sequence {
  readonly #before: Sequence | undefined;
  readonly #frame: Message;
  /** The latest child. Enough for the readers of a channel with one encoding. */
  #next: Sequence | undefined;
  #others: Map<Message, Sequence> | undefined;
  /** The connections whose frames these are, at the end of the turn. */
  readonly numbers: number[] = [];

  private constructor(before: Sequence | undefined, frame: Message) {
    this.#before = before;
    this.#frame = frame;
  }

  static root(): Sequence {
    return new Sequence(undefined, "");
  }

  /** These frames and one more. */
  with(frame: Message): Sequence {
    const next = this.#next;
    if (next === undefined) return this.#next = new Sequence(this, frame);
    if (next.#frame === frame) return next;
    const others = this.#others ??= new Map([[next.#frame, next]]);
    return this.#next = others.getOrInsertComputed(frame, () => new Sequence(this, frame));
  }

  /** The frames; a single one is not in an array. */
  get frames(): Message | readonly Message[] {
    if (this.#before!.#before === undefined) return this.#frame;
    return Sequence.#toRoot(this).reverse();
  }

  static #toRoot(last: Sequence): Message[] {
    const frames: Message[] = [];
    for (let each = last; each.#before !== undefined; each = each.#before) frames.push(each.#frame);
    return frames;
  }
}

/** A post that the worker has not confirmed yet. */
interface Post {
  readonly at: number;
  readonly bytes: number;
}

/** Posts orders to a worker. */
export class Link {
  readonly #post: (batch: Batch, moved: Transferable[]) => void;
  #batch: Batch = [];
  #root = Sequence.root();
  #senders: Sender[] = [];
  /** Orders that follow the frames. */
  #after: Batch = [];
  /** Credit for bytes of messages, without a post so far. */
  #took = 0;
  #scheduled = false;
  #posts = 0;
  #done = 0;
  readonly #unconfirmed: Post[] = [];
  #unconfirmedBytes = 0;

  constructor(post: (batch: Batch, moved: Transferable[]) => void) {
    this.#post = post;
  }

  /** The number of the next post. */
  get next(): number {
    return this.#posts + 1;
  }

  /** How many posts the worker has carried out. */
  get done(): number {
    return this.#done;
  }

  /** Bytes of frames that the worker has not written yet, each frame once. */
  get unconfirmedBytes(): number {
    return this.#unconfirmedBytes;
  }

  /** How long the worker has taken so far for the oldest post. */
  lag(now: number): number {
    const [oldest] = this.#unconfirmed;
    return oldest === undefined ? 0 : now - oldest.at;
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

  /** Sends a frame to one connection. */
  send(sender: Sender, frame: Message): void {
    const before = sender.frames;
    if (before === undefined) this.#senders.push(sender);
    sender.frames = (before ?? this.#root).with(frame);
    this.#schedule();
  }

  /** The worker has carried out so many posts. */
  confirm(posts: number): void {
    for (const { bytes } of this.#unconfirmed.splice(0, posts - this.#done)) this.#unconfirmedBytes -= bytes;
    this.#done = posts;
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
    const bytes = this.#senders.length === 0 ? 0 : this.#addFrames(batch, moved);
    for (let i = 0; i < this.#after.length; i++) batch.push(this.#after[i]);
    this.#after = [];
    if (this.#took > 0) batch.push("took", this.#took, undefined);
    this.#took = 0;
    this.#posts++;
    this.#unconfirmed.push({ at: performance.now(), bytes });
    this.#unconfirmedBytes += bytes;
    this.#post(batch, moved);
  }

  #addFrames(batch: Batch, moved: Transferable[]): number {
    const sequences: Sequence[] = [];
    for (const sender of this.#senders) {
      const sequence = sender.frames!;
      sender.frames = undefined;
      if (sequence.numbers.push(sender.number) === 1) sequences.push(sequence);
    }
    this.#senders = [];
    this.#root = Sequence.root();
    let bytes = 0;
    for (const { numbers, frames } of sequences) {
      const many = typeof frames !== "string" && !(frames instanceof Uint8Array);
      batch.push("send", toNumbers(numbers, moved), many ? frames.map(exactly) : exactly(frames));
      bytes += many ? frames.reduce((sum, { length }) => sum + length, 0) : frames.length;
    }
    return bytes;
  }
}

/** Bytes cross with their whole buffer, so a part of a large one is copied before. */
export function exactly<Data extends Message>(data: Data): Data {
  if (typeof data === "string" || data.buffer.byteLength === data.byteLength) return data;
  return new Uint8Array(data) as Data;
}

function toNumbers(numbers: number[], moved: Transferable[]): Numbers {
  if (numbers.length === 1) return numbers[0]!;
  const array = Uint32Array.from(numbers);
  if (numbers.length >= MIN_MOVED) moved.push(array.buffer);
  return array;
}
