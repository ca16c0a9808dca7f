import type { Message } from "../contract/framing.ts";

/** The limit of an inbox. */
export interface InboxLimits {
  /** Bytes that may wait; a character of text counts as one, and each message as some more. */
  readonly maxWaitingBytes: number;
}

/** A queue of messages, bounded by their bytes. Workers use it as text, so it uses nothing outside of itself. */
export class Inbox {
  /** What a message takes in memory in addition to its bytes. */
  static readonly messageBytes = 64;
  readonly #waiting: Message[] = [];
  /** Messages before this index were removed. */
  #start = 0;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor({ maxWaitingBytes }: InboxLimits) {
    this.#maxBytes = maxWaitingBytes;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a message. Returns `false` if it does not fit; a single one always fits. */
  push(message: Message): boolean {
    const bytes = this.#bytes + message.length + Inbox.messageBytes;
    if (bytes > this.#maxBytes && this.#bytes > 0) return false;
    this.#bytes = bytes;
    this.#waiting.push(message);
    return true;
  }

  /** Removes and returns the oldest message. */
  shift(): Message | undefined {
    const message = this.#waiting[this.#start];
    if (message === undefined) return undefined;
    this.#bytes -= message.length + Inbox.messageBytes;
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
