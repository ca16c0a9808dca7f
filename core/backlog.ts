/**
 * What a connection has to send and the network does not take yet.
 *
 * @module
 */

import type { Message, Transport } from "./endpoint.ts";

/** How much may wait. */
export interface BacklogLimits {
  /** Bytes that may wait for a slow reader; a character of text counts as one. */
  readonly maxQueuedBytes: number;
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
  #takenAtLastCheck = -1;

  constructor(transport: Transport, limits: BacklogLimits) {
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

  /** Whether the network holds something and has taken nothing since the last time this was asked. */
  stalled(): boolean {
    const held = this.transport.buffered;
    const taken = this.#handedOver - held;
    const stalled = held > 0 && taken === this.#takenAtLastCheck;
    this.#takenAtLastCheck = taken;
    return stalled;
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
