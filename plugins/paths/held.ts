/**
 * Messages for a server client that is not ready yet.
 *
 * @module
 */

import type { Sender } from "./types.ts";

/** How much may be held for one path. */
export interface HoldLimits {
  /** Messages. */
  readonly maxMessages: number;
  /** Their characters; each takes one byte or two. */
  readonly maxBytes: number;
}

/** A message and who sent it. */
export interface HeldMessage {
  readonly from: Sender;
  readonly payload: string;
}

/** A bounded queue. */
export class Held {
  readonly #limits: HoldLimits;
  #messages: HeldMessage[] = [];
  #bytes = 0;

  constructor(limits: HoldLimits) {
    this.#limits = limits;
  }

  /** How many there are. */
  get size(): number {
    return this.#messages.length;
  }

  /** Adds one at the end; `false` if it would be too much. */
  add(from: Sender, payload: string): boolean {
    const { maxMessages, maxBytes } = this.#limits;
    if (this.#messages.length >= maxMessages || this.#bytes + payload.length > maxBytes) return false;
    this.#messages.push({ from, payload });
    this.#bytes += payload.length;
    return true;
  }

  /** Takes those in front as long as they are accepted. */
  takeWhile(accepts: (message: HeldMessage) => boolean): void {
    const first = this.#messages.findIndex((message) => !accepts(message));
    const taken = this.#messages.splice(0, first < 0 ? Infinity : first);
    for (const { payload } of taken) this.#bytes -= payload.length;
  }

  /** Takes all, in order. */
  take(): HeldMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    this.#bytes = 0;
    return messages;
  }
}
