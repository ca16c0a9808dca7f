/**
 * What a client has said and nobody has handled yet.
 *
 * @module
 */

import type { Message } from "./endpoint.ts";

/** How much may wait. */
export interface InboxLimits {
  /** Messages. */
  readonly maxWaitingMessages: number;
  /** Their bytes; a character of text counts as one. */
  readonly maxWaitingBytes: number;
}

/** Messages in the order in which they came, within limits. */
export class Inbox {
  readonly #waiting: Message[] = [];
  readonly #limits: InboxLimits;
  #bytes = 0;

  constructor(limits: InboxLimits) {
    this.#limits = limits;
  }

  /** Adds a message; `false` if that is more than may wait. */
  push(message: Message): boolean {
    this.#bytes += message.length;
    const { maxWaitingMessages, maxWaitingBytes } = this.#limits;
    return this.#waiting.push(message) <= maxWaitingMessages && this.#bytes <= maxWaitingBytes;
  }

  /** Takes the oldest. */
  shift(): Message | undefined {
    const message = this.#waiting.shift();
    if (message !== undefined) this.#bytes -= message.length;
    return message;
  }

  /** Forgets them all. */
  clear(): void {
    this.#waiting.length = 0;
    this.#bytes = 0;
  }
}
