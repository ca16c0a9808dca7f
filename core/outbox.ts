/**
 * Coalescing: what is sent to one connection within one turn of the event loop leaves together.
 *
 * Under load the cost of a delivery is the cost of a frame (about 5 µs), so sixteen messages in one frame cost
 * little more than one. Connections that get the same messages in a turn, as the readers of a channel do, share
 * one {@linkcode Batch}: their frame is put together once, however many they are.
 *
 * @module
 */

import type { Message } from "./endpoint.ts";
import { PlugboardError } from "./errors.ts";

/** A frame takes no more messages once it has this many characters; one message may be larger. */
const FULL_FRAME = 65_536;

/**
 * The messages for a connection in this turn, as a node in a tree that all connections of an endpoint share:
 * the path from the root is the sequence. Remembering one child is enough for readers of the same channels.
 */
export class Batch {
  readonly #before: Batch | undefined;
  readonly #message: Message;
  #next: Batch | undefined;
  #frames: readonly Message[] | undefined;

  private constructor(before: Batch | undefined, message: Message) {
    if (typeof message !== "string" && !(message instanceof Uint8Array)) {
      throw new PlugboardError("bad_message", `A message must be a string or bytes, got ${typeof message}`);
    }
    this.#before = before;
    this.#message = message;
  }

  /** The empty batch an endpoint's turn starts from. */
  static root(): Batch {
    return new Batch(undefined, "");
  }

  /** This batch and one more message. */
  with(message: Message): Batch {
    const next = this.#next;
    if (next !== undefined && next.#message === message) return next;
    return this.#next = new Batch(this, message);
  }

  /** Forgets the sequences that were built on this one. */
  clear(): void {
    this.#next = undefined;
  }

  /** The frames to send: text messages joined by the separator where there is one. */
  frames(separator: string | undefined): readonly Message[] {
    return this.#frames ??= join(Batch.#sequence(this), separator);
  }

  static #sequence(last: Batch): Message[] {
    const messages: Message[] = [];
    for (let batch = last; batch.#before !== undefined; batch = batch.#before) messages.push(batch.#message);
    return messages.reverse();
  }
}

function join(messages: Message[], separator: string | undefined): Message[] {
  if (separator === undefined || messages.length === 1) return messages;
  const frames: Message[] = [];
  let open: string | undefined;
  for (const message of messages) {
    if (typeof message !== "string" || (open !== undefined && open.length + message.length > FULL_FRAME)) {
      if (open !== undefined) frames.push(open);
      open = undefined;
    }
    if (typeof message !== "string") frames.push(message);
    else open = open === undefined ? message : open + separator + message;
  }
  if (open !== undefined) frames.push(open);
  return frames;
}

/** Where the connections of one endpoint start their batches. */
export interface Lane {
  readonly root: Batch;
  readonly separator: string | undefined;
}

/** Something with messages waiting for the turn's end. */
export interface Sender {
  flush(): void;
  /** Tries again to send what the network did not take; `false` when nothing is left. */
  relieve(): boolean;
}

/** How often to look whether a slow reader takes more; the runtime has no event for it. */
const RETRY_MS = 10;

/** Everybody who has something to send. */
export class Outbox {
  #waiting: Sender[] = [];
  readonly #blocked = new Set<Sender>();
  readonly #lanes: Lane[] = [];
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  /** A lane for one endpoint. */
  lane(separator: string | undefined): Lane {
    const lane = { root: Batch.root(), separator };
    this.#lanes.push(lane);
    return lane;
  }

  /**
   * Has `sender` flushed when the turn ends. `setImmediate` runs after all input of this turn was handled and
   * before the next wait: measured, it adds no latency to a single message, where a timer adds a millisecond.
   */
  add(sender: Sender): void {
    if (this.#waiting.push(sender) === 1) setImmediate(() => this.#flush());
  }

  /** Has `sender` try again until the network has taken everything. */
  block(sender: Sender): void {
    this.#blocked.add(sender);
    this.#retryTimer ??= setTimeout(() => this.#retry(), RETRY_MS);
  }

  /** Has it try no more. */
  unblock(sender: Sender): void {
    if (!this.#blocked.delete(sender) || this.#blocked.size > 0) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
  }

  #retry(): void {
    this.#retryTimer = undefined;
    for (const sender of this.#blocked) if (!sender.relieve()) this.#blocked.delete(sender);
    if (this.#blocked.size > 0) this.#retryTimer ??= setTimeout(() => this.#retry(), RETRY_MS);
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let i = 0; i < waiting.length; i++) waiting[i]!.flush();
    // Messages sent while flushing belong to the next turn; what they built on a root is simply built again.
    for (const lane of this.#lanes) lane.root.clear();
  }
}
