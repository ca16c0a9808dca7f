import type { MergeableStore } from "tinybase";
import { createCustomSynchronizer, type Receive, type Synchronizer } from "tinybase/synchronizers";
import { ChangedKeys } from "./changed_keys.ts";
import {
  encodeMessage,
  messageTypes,
  type SyncMessage,
  type TablesStamp,
  type ThingsStamp,
} from "./messages.ts";

/** What a {@linkcode Pull} needs. */
export interface PullOptions {
  readonly store: MergeableStore;
  readonly client: string;
  readonly requestTimeoutMs: number;
  /** Sends a request to the client. */
  readonly send: (payload: string) => void;
  /** Called at the end. With an error, the changes were merged in part or not at all. */
  readonly onEnd: (pull: Pull, error: unknown) => void;
}

/**
 * Pulls from one client what the server lacks, repeatedly, one pull at a time.
 *
 * TinyBase's synchronizer sends the requests and merges the responses. There is one for each client, so that a client
 * that does not respond does not delay others. It is only used to load. Its first request, for the client's hashes, is
 * answered here, because the client has just sent them.
 */
export class Pull {
  /** What the client has sent, and what has changed in the same transaction. */
  changed = new ChangedKeys();
  /** Bytes that the client has sent. */
  bytes = 0;
  readonly #options: PullOptions;
  readonly #synchronizer: Synchronizer;
  readonly #requests = new Map<string, number>();
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

  /** Whether all requests are answered, so that the next transaction of the store is the merge. */
  get merging(): boolean {
    return this.#running && this.#requests.size === 0;
  }

  /** Pulls from a client with these hashes. During a pull, the latest call waits. */
  start(hashes: unknown): void {
    if (this.#running) this.#next = hashes;
    else this.#run(hashes);
  }

  /** Handles a response of the client with its size in bytes. */
  response({ requestId, body }: SyncMessage, bytes: number): void {
    const type = requestId === null ? undefined : this.#requests.get(requestId);
    if (type === undefined) return;
    this.#requests.delete(requestId!);
    this.bytes += bytes;
    this.#addChanged(type, body);
    this.#receive(this.#options.client, requestId, messageTypes.response as number, body);
  }

  /** Ends the current pull with an error. */
  abort(reason: string): void {
    this.#fail(new Error(reason));
  }

  /** Stops pulling, because the client has left. */
  stop(): void {
    this.#next = undefined;
    // `destroy` alone would wait until the pending request times out.
    this.abort("The client has left");
    this.#synchronizer.destroy().catch((error) => this.#error = error);
  }

  async #run(hashes: unknown): Promise<void> {
    this.#running = true;
    this.#hashes = hashes;
    this.#error = undefined;
    this.changed = new ChangedKeys();
    this.bytes = 0;
    try {
      await this.#synchronizer.load();
    } catch (error) {
      this.#error = error;
    }
    this.#running = false;
    this.#requests.clear();
    this.#options.onEnd(this, this.#error);
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) this.#run(next);
  }

  #send(requestId: string, type: number, body: unknown): void {
    if (type === messageTypes.getContentHashes) {
      this.#receive(this.#options.client, requestId, messageTypes.response as number, this.#hashes);
      return;
    }
    this.#requests.set(requestId, type);
    this.#options.send(encodeMessage(requestId, type, body));
  }

  #addChanged(type: number, body: unknown): void {
    if (!Array.isArray(body)) return;
    if (type === messageTypes.getValueDiff) this.changed.add({}, (body as ThingsStamp)[0]);
    else if (type === messageTypes.getCellDiff) this.changed.add((body as TablesStamp)[0], {});
    else if (Array.isArray(body[0])) this.changed.add((body[0] as TablesStamp)[0], {});
  }
}
