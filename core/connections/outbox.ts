/**
 * Coalescing: messages that are sent to one connection within one turn of the event loop leave together.
 *
 * Under load the cost of a delivery is the cost of a frame (about 5 µs), so sixteen messages in one frame cost
 * little more than one. Connections that get the same messages in a turn, such as the subscribers of a channel,
 * share one {@linkcode Batch}: their frames are joined once for all of them.
 *
 * @module
 */

import { PlugboardError } from "../contract/errors.ts";
import type { Framing, Message } from "../contract/framing.ts";
import type { Outlet, Waiting } from "../contract/transport.ts";

/** Maximum length of a joined frame. One message may be longer. */
const FULL_FRAME = 65_536;

/**
 * The messages of a connection in this turn: a node in a tree that all connections of a lane share. The path from
 * the root is the sequence. One remembered child is enough for subscribers of the same channels.
 */
export class Batch {
  readonly #before: Batch | undefined;
  readonly #message: Message;
  #next: Batch | undefined;
  #frames: Frames | undefined;
  /** Of all its messages. */
  readonly length: number;

  private constructor(before: Batch | undefined, message: Message) {
    if (typeof message !== "string" && !(message instanceof Uint8Array)) {
      throw new PlugboardError("bad_message", `A message must be a string or bytes, got ${typeof message}`);
    }
    this.#before = before;
    this.#message = message;
    this.length = (before?.length ?? 0) + message.length;
  }

  /** The empty batch from which the sequences of a turn start. */
  static root(): Batch {
    return new Batch(undefined, "");
  }

  /** This batch and one more message. */
  with(message: Message): Batch {
    const next = this.#next;
    if (next !== undefined && next.#message === message) return next;
    return this.#next = new Batch(this, message);
  }

  /** Forgets the sequences that start with this one. */
  clear(): void {
    this.#next = undefined;
  }

  /** The frames to send. */
  frames(lane: Lane): Frames {
    return this.#frames ??= measured(toFrames(Batch.#sequence(this), lane));
  }

  static #sequence(last: Batch): Message[] {
    const messages: Message[] = [];
    for (let batch = last; batch.#before !== undefined; batch = batch.#before) messages.push(batch.#message);
    return messages.reverse();
  }
}

/** Frames that leave together. Connections that get the same ones share them. */
export interface Frames {
  readonly frames: readonly Message[];
  /** Their length in all. */
  readonly chars: number;
}

function measured(frames: readonly Message[]): Frames {
  return { frames, chars: frames.reduce((sum, { length }) => sum + length, 0) };
}

/** Joins neighbors of one kind, as long as the frame stays below its limit. */
function toFrames(messages: Message[], { join }: Lane): Message[] {
  if (join === undefined || messages.length === 1) return messages;
  const frames: Message[] = [];
  let start = 0;
  let length = -1;
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]!;
    length += message.length + 1; // One for a separator.
    if (i === start || typeof message === typeof messages[start] && length <= FULL_FRAME) continue;
    frames.push(frameOf(messages.slice(start, i), join));
    start = i;
    length = message.length;
  }
  frames.push(frameOf(start === 0 ? messages : messages.slice(start), join));
  return frames;
}

function frameOf(messages: Message[], join: NonNullable<Framing["join"]>): Message {
  return messages.length === 1 ? messages[0]! : join(messages);
}

/** Where the connections of one endpoint and format start their batches. */
export interface Lane {
  readonly root: Batch;
  readonly join: Framing["join"];
}

/** Makes a lane for connections that share a framing. */
export function makeLane(join: Framing["join"]): Lane {
  return { root: Batch.root(), join };
}

/** A connection with messages that wait for the end of the turn. */
export interface Sender extends Waiting {
  /** Sends what the network can take now. Returns whether frames still wait. */
  retry(): boolean;
}

/** How often to check whether a slow reader takes more. The runtime has no event for it. */
const RETRY_MS = 10;

/** All connections that have something to send. */
export class Outbox implements Outlet {
  #waiting: Waiting[] = [];
  readonly #blocked = new Set<Sender>();
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Flushes `sender` when the turn ends. `setImmediate` runs after all input of this turn was handled and before
   * the next wait: measured, it adds no latency to a single message, where a timer adds a millisecond.
   */
  add(sender: Waiting): void {
    if (this.#waiting.push(sender) === 1) setImmediate(() => this.#flush());
  }

  /** Retries `sender` until the network has taken everything. */
  block(sender: Sender): void {
    this.#blocked.add(sender);
    this.#retryTimer ??= setTimeout(() => this.#retry(), RETRY_MS);
  }

  /** Ends the retries. */
  unblock(sender: Sender): void {
    if (!this.#blocked.delete(sender) || this.#blocked.size > 0) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
  }

  #retry(): void {
    this.#retryTimer = undefined;
    for (const sender of this.#blocked) if (!sender.retry()) this.#blocked.delete(sender);
    if (this.#blocked.size > 0) this.#retryTimer ??= setTimeout(() => this.#retry(), RETRY_MS);
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let i = 0; i < waiting.length; i++) waiting[i]!.flush();
  }
}
