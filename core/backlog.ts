/**
 * What a connection has to send and the network does not take yet.
 *
 * @module
 */

import type { Message, Transport } from "./endpoint.ts";

/** Bounds of one connection. */
export interface Limits {
  /** Bytes that may wait for a slow reader. */
  readonly maxQueuedBytes: number;
  /** Bytes of one message from a client. */
  readonly maxMessageBytes: number;
  /** Messages from a client that may wait behind the one being handled. */
  readonly maxWaitingMessages: number;
  /** Their bytes. */
  readonly maxWaitingBytes: number;
}

/**
 * A transport that holds this much gets no more for now: what the runtime holds for a reader that has stopped
 * cannot be taken back (Deno has no way to end such a socket), what waits here can.
 */
const HANDED_OVER = 131_072;

/** Feeds a transport no faster than it empties, and holds the rest within a limit. */
export class Backlog {
  readonly transport: Transport;
  readonly #maxQueuedBytes: number;
  /** At least what the transport holds; asked anew only when it might be too much. */
  #held = 0;
  #waiting: Message[] | undefined;
  #waitingBytes = 0;
  #handedOver = 0;
  #lastCheck = { held: 0, handedOver: 0 };

  constructor(transport: Transport, limits: Limits) {
    this.transport = transport;
    this.#maxQueuedBytes = limits.maxQueuedBytes;
  }

  /** Whether frames wait here. */
  get waits(): boolean {
    return this.#waiting !== undefined;
  }

  /** Sends a frame or lets it wait; `false` if too much waits. A frame that nothing is before is always taken. */
  send(frame: Message): boolean {
    if (this.#waiting === undefined && this.#hasRoom()) {
      this.#handOver(frame);
      return true;
    }
    (this.#waiting ??= []).push(frame);
    this.#waitingBytes += frame.length;
    return this.#waitingBytes + this.#room <= this.#maxQueuedBytes;
  }

  /** Hands over what there is room for. */
  relieve(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    let sent = 0;
    while (sent < waiting.length && this.#hasRoom()) {
      const frame = waiting[sent++]!;
      this.#waitingBytes -= frame.length;
      this.#handOver(frame);
    }
    if (sent === waiting.length) this.#waiting = undefined;
    else if (sent > 0) waiting.splice(0, sent);
  }

  /** Whether the network has taken nothing of what it was given since the last time this was asked. */
  stalled(): boolean {
    const now = { held: this.transport.buffered, handedOver: this.#handedOver };
    const last = this.#lastCheck;
    this.#lastCheck = now;
    return now.held > 0 && now.held === last.held && now.handedOver === last.handedOver;
  }

  /** Hands over all that waits. */
  deliver(): void {
    for (const frame of this.#waiting ?? []) this.transport.send(frame);
    this.drop();
  }

  /** Forgets all that waits. */
  drop(): void {
    this.#waiting = undefined;
    this.#waitingBytes = 0;
  }

  get #room(): number {
    return Math.min(HANDED_OVER, this.#maxQueuedBytes >> 1);
  }

  #hasRoom(): boolean {
    if (this.#held <= this.#room) return true;
    this.#held = this.transport.buffered;
    return this.#held <= this.#room;
  }

  #handOver(frame: Message): void {
    this.#held += frame.length;
    this.#handedOver += frame.length;
    this.transport.send(frame);
  }
}
