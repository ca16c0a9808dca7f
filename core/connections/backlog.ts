import type { Message } from "../contract/framing.ts";
import type { Transport } from "../contract/transport.ts";

/** The limit of a backlog. */
export interface BacklogLimits {
  /** Bytes that may wait for a slow reader; a character of text counts as one. */
  readonly maxQueuedBytes: number;
}

/**
 * Fills a transport no faster than it empties, and keeps the rest within a limit. Workers use it as text, so it uses
 * nothing outside of itself.
 */
export class Backlog {
  /**
   * Bytes a transport may hold before frames wait here. Frames that wait here can be dropped. Frames in the runtime
   * cannot: Deno has no way to abort the socket of a reader that has stopped.
   */
  static readonly #transportBytes = 131_072;
  readonly transport: Transport;
  readonly #maxQueuedBytes: number;
  /** Bytes the transport may hold. */
  readonly #room: number;
  /** An upper bound of what the transport holds, refreshed only when it exceeds the room. */
  #held = 0;
  #waiting: Message[] | undefined;
  #waitingBytes = 0;
  #sentBytes = 0;
  #takenAtLastCheck = -1;

  constructor(transport: Transport, limits: BacklogLimits) {
    this.transport = transport;
    this.#maxQueuedBytes = limits.maxQueuedBytes;
    this.#room = transport.queues ? Infinity : Backlog.roomWithin(limits);
  }

  /** Bytes that a transport may hold before frames wait. */
  static roomWithin({ maxQueuedBytes }: BacklogLimits): number {
    return Math.min(Backlog.#transportBytes, maxQueuedBytes >> 1);
  }

  /** Whether frames wait here. */
  get hasFrames(): boolean {
    return this.#waiting !== undefined;
  }

  /** Bytes that wait in this process, outside of the runtime. */
  get heldBytes(): number {
    return this.#waitingBytes + (this.transport.queues ? this.transport.buffered : 0);
  }

  /** Bytes that wait here and in the transport. */
  get bytes(): number {
    return this.#waitingBytes + this.transport.buffered;
  }

  /** Sends or queues frames of this length. Returns `false` if too much waits. */
  sendAll(frames: readonly Message[], chars: number): boolean {
    const { transport } = this;
    if (transport.sendAll !== undefined) {
      this.#sentBytes += chars;
      return transport.sendAll(frames, chars);
    }
    for (let i = 0; i < frames.length; i++) if (!this.send(frames[i]!)) return false;
    return true;
  }

  /** Sends or queues a frame. Returns `false` if too much waits; a frame is always accepted when nothing waits. */
  send(frame: Message): boolean {
    if (this.#waiting === undefined && this.#hasRoom()) {
      this.#pass(frame);
      return true;
    }
    (this.#waiting ??= []).push(frame);
    this.#waitingBytes += frame.length;
    return this.#waitingBytes + this.#room <= this.#maxQueuedBytes;
  }

  /** Sends what the transport has room for. */
  retry(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    let sent = 0;
    while (sent < waiting.length && this.#hasRoom()) {
      const frame = waiting[sent++]!;
      this.#waitingBytes -= frame.length;
      this.#pass(frame);
    }
    if (sent === waiting.length) this.#waiting = undefined;
    else if (sent > 0) waiting.splice(0, sent);
  }

  /** Whether the transport holds bytes and the network has taken none since the last call. */
  stalled(): boolean {
    const held = this.transport.buffered;
    const taken = this.#sentBytes - held;
    const stalled = held > 0 && taken === this.#takenAtLastCheck;
    this.#takenAtLastCheck = taken;
    return stalled;
  }

  /** Sends everything that waits. */
  flush(): void {
    for (const frame of this.#waiting ?? []) this.transport.send(frame);
    this.drop();
  }

  /** Drops everything that waits. */
  drop(): void {
    this.#waiting = undefined;
    this.#waitingBytes = 0;
  }

  #hasRoom(): boolean {
    if (this.#held <= this.#room) return true;
    this.#held = this.transport.buffered;
    return this.#held <= this.#room;
  }

  #pass(frame: Message): void {
    this.#held += frame.length;
    this.#sentBytes += frame.length;
    this.transport.send(frame);
  }
}
