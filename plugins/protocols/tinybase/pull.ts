/**
 * Pulling: getting from a client what it has and the server has not.
 *
 * TinyBase's synchronizer does the asking and merging, one for each client, so that one that does not answer
 * delays nobody. It is only ever told to load; its first question, "what are your hashes?", is answered here,
 * because the client has just told them.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";
import { createCustomSynchronizer, type Receive, type Synchronizer } from "tinybase/synchronizers";
import { Marks } from "./marks.ts";
import {
  encodeMessage,
  messageTypes,
  type SyncMessage,
  type TablesStamp,
  type ThingsStamp,
} from "./messages.ts";

/** What a pull needs. */
export interface PullOptions {
  readonly store: MergeableStore;
  readonly client: string;
  readonly requestTimeoutMs: number;
  /** Sends a question to the client. */
  readonly ask: (payload: string) => void;
  /** What the client has is merged; or it did not answer, or what it said could not be merged, all of it or in part. */
  readonly ended: (pull: Pull, error: unknown) => void;
}

/** Pulls from one client, as often as needed and once at a time. */
export class Pull {
  /** What the client has sent, and what else has changed with it. */
  readonly marks = new Marks();
  /** Bytes of what the client has sent. */
  bytes = 0;
  readonly #options: PullOptions;
  readonly #synchronizer: Synchronizer;
  readonly #questions = new Map<string, number>();
  #receive: Receive = () => {};
  #fail: (error: Error) => void = () => {};
  #hashes: unknown;
  #running = false;
  #next: unknown;
  #error: unknown;

  constructor(options: PullOptions) {
    this.#options = options;
    this.#synchronizer = createCustomSynchronizer(
      options.store,
      (_to, requestId, type, body) => this.#send(requestId!, type, body),
      (receive, fail) => {
        this.#receive = receive;
        this.#fail = fail;
      },
      () => {},
      options.requestTimeoutMs / 1000,
      undefined,
      undefined,
      (error) => this.#error = error,
    );
  }

  /** Whether every question is answered, so that what happens to the store next is the merging. */
  get merging(): boolean {
    return this.#running && this.#questions.size === 0;
  }

  /** Gets what the client with these hashes has. While that goes on, the latest call waits. */
  start(hashes: unknown): void {
    if (this.#running) this.#next = hashes;
    else this.#run(hashes);
  }

  /** An answer of the client, which had so many bytes. */
  response({ requestId, body }: SyncMessage, bytes: number): void {
    const type = requestId === null ? undefined : this.#questions.get(requestId);
    if (type === undefined) return;
    this.#questions.delete(requestId!);
    this.bytes += bytes;
    this.#mark(type, body);
    this.#receive(this.#options.client, requestId, messageTypes.response as number, body);
  }

  /** Gives up what is under way. */
  refuse(reason: string): void {
    this.#fail(new Error(reason));
  }

  /** Ends it; the client has gone. */
  stop(): void {
    this.#next = undefined;
    // Destroying alone would wait until the open question times out.
    this.refuse("The client has left");
    this.#synchronizer.destroy().catch((error) => this.#error = error);
  }

  async #run(hashes: unknown): Promise<void> {
    this.#running = true;
    this.#hashes = hashes;
    this.#error = undefined;
    this.marks.clear();
    this.bytes = 0;
    try {
      await this.#synchronizer.load();
    } catch (error) {
      this.#error = error;
    }
    this.#running = false;
    this.#questions.clear();
    this.#options.ended(this, this.#error);
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) this.#run(next);
  }

  #send(requestId: string, type: number, body: unknown): void {
    if (type === messageTypes.getContentHashes) {
      this.#receive(this.#options.client, requestId, messageTypes.response as number, this.#hashes);
      return;
    }
    this.#questions.set(requestId, type);
    this.#options.ask(encodeMessage(requestId, type, body));
  }

  #mark(type: number, body: unknown): void {
    if (!Array.isArray(body)) return;
    if (type === messageTypes.getValueDiff) this.marks.add({}, (body as ThingsStamp)[0]);
    else if (type === messageTypes.getCellDiff) this.marks.add((body as TablesStamp)[0], {});
    else if (Array.isArray(body[0])) this.marks.add((body[0] as TablesStamp)[0], {});
  }
}
