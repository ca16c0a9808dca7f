import type { Message } from "../contract/framing.ts";

/** The limits of an inbox. */
export interface InboxLimits {
  /** Messages that may wait. */
  readonly maxWaitingMessages: number;
  /** Their bytes; a character of text counts as one. */
  readonly maxWaitingBytes: number;
}

/** A bounded queue of messages. */
export class Inbox {
  readonly #waiting: Message[] = [];
  /** Messages before this index were removed. */
  #start = 0;
  readonly #limits: InboxLimits;
  #bytes = 0;

  constructor(limits: InboxLimits) {
    this.#limits = limits;
  }

  /** Adds a message. Returns `false` if the limits are exceeded. */
  push(message: Message): boolean {
    this.#bytes += message.length;
    const { maxWaitingMessages, maxWaitingBytes } = this.#limits;
    return this.#waiting.push(message) - this.#start <= maxWaitingMessages && this.#bytes <= maxWaitingBytes;
  }

  /** Removes and returns the oldest message. */
  shift(): Message | undefined {
    const message = this.#waiting[this.#start];
    if (message === undefined) return undefined;
    this.#bytes -= message.length;
    if (++this.#start > this.#waiting.length >> 1) {
      this.#waiting.splice(0, this.#start);
      this.#start = 0;
    }
    return message;
  }

  /** Removes all messages. */
  clear(): void {
    this.#waiting.length = this.#start = 0;
    this.#bytes = 0;
  }
}
