import type { Sender } from "./types.ts";

/** Limits of the messages held for one path. */
export interface HeldMessageLimits {
  /** Number of messages. */
  readonly maxMessages: number;
  /** Their total length in characters, of one or two bytes each. */
  readonly maxBytes: number;
}

/** A message and its sender. */
export interface HeldMessage {
  readonly from: Sender;
  readonly payload: string;
}

/** A bounded queue of the messages for a server client that is not ready. */
export class HeldMessages {
  readonly #limits: HeldMessageLimits;
  #messages: HeldMessage[] = [];
  #bytes = 0;

  constructor(limits: HeldMessageLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#messages.length;
  }

  /** Appends a message; returns `false` if the queue is full. */
  add(from: Sender, payload: string): boolean {
    const { maxMessages, maxBytes } = this.#limits;
    if (this.#messages.length >= maxMessages || this.#bytes + payload.length > maxBytes) return false;
    this.#messages.push({ from, payload });
    this.#bytes += payload.length;
    return true;
  }

  /** Removes messages from the front while `accepts` returns `true`. */
  takeWhile(accepts: (message: HeldMessage) => boolean): void {
    const first = this.#messages.findIndex((message) => !accepts(message));
    const taken = this.#messages.splice(0, first < 0 ? Infinity : first);
    for (const { payload } of taken) this.#bytes -= payload.length;
  }

  /** Removes and returns all messages, in order. */
  take(): HeldMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return messages;
  }
}
