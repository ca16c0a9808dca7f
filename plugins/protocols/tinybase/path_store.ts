import type { MergeableStore } from "tinybase";
import { byteLength } from "../../../core/mod.ts";
import type { Sender, ServerClient, ServerSide } from "../../paths.ts";
import { Answers, asksForAll } from "./answers.ts";
import { removeKnown, stampsOf, stampsOfCells } from "./changed_keys.ts";
import { chunksOf, isOneChunk } from "./chunks.ts";
import { HashRequests } from "./hash_requests.ts";
import { Merger } from "./merger.ts";
import { type Changes, messageTypes, parseMessage, type SyncMessage } from "./messages.ts";
import { Pull } from "./pull.ts";
import { ReaderCorrection } from "./reader_correction.ts";
import { isEmpty } from "../../shared/records.ts";
import { Saver, type SaverOptions } from "./saver.ts";
import { inSlices, Slices } from "./slices.ts";
import { StoredContent } from "./stored_content.ts";
import { ServerSender, type ServerSenderOptions } from "./server_sender.ts";

/** What a {@linkcode PathStore} needs. */
export interface PathStoreOptions extends SaverOptions, ServerSenderOptions {
  readonly side: ServerSide;
  readonly requestTimeoutMs: number;
  readonly maxStoreBytes: number;
  /** Called with the store after it is loaded, before clients change it. */
  readonly onLoad: (store: MergeableStore) => void | Promise<void>;
}

/** A larger change is merged in slices. Merging 65,536 characters takes about 20 ms. */
const MAX_CHARS_AT_ONCE = 65_536;

/**
 * The server's own store of a path: a client that is always connected.
 *
 * Changes of a client are relayed to the others at once, and merged here as well. Changes that a client made offline
 * are pulled from it when it sends its hashes, and then broadcast to the others. Requests are answered from here, but
 * only with content that is saved: a client that receives the hashes of its own store knows that its changes are safe.
 */
export class PathStore implements ServerClient {
  readonly store: MergeableStore;
  readonly #options: PathStoreOptions;
  readonly #saver: Saver;
  readonly #sender: ServerSender;
  readonly #merger: Merger;
  readonly #hashRequests: HashRequests;
  readonly #pulls = new Map<string, Pull>();
  readonly #corrections = new Map<string, ReaderCorrection>();
  /** The relayed changes that are being merged; the other clients have them already. */
  #relayed: Changes | undefined;
  readonly #answers: Answers;
  /** Members that have left. A message of theirs may still wait. */
  readonly #gone = new WeakSet<Sender>();
  /** The merge of a large change; messages wait for its end. */
  #merging: Promise<void> | undefined;
  /** Bytes of that change. */
  #mergingBytes = 0;
  #stopped = false;
  /** Bytes of current pulls. */
  #pulledBytes = 0;
  /** What is stored, or being stored. */
  readonly #content = new StoredContent();

  constructor(options: PathStoreOptions) {
    const { clock, log, side: { path } } = options;
    this.#options = options;
    this.#answers = new Answers(clock);
    this.#merger = new Merger(clock, (error) => log.error("changes could not be merged", { path, error }));
    this.store = this.#merger.store;
    this.#saver = new Saver(this.store, this.#content, options);
    this.#sender = new ServerSender(this.store, this.#saver, options);
    this.#hashRequests = new HashRequests(clock, (member, requestId) => {
      this.#sender.send(member, requestId, messageTypes.getContentHashes, "");
    });
  }

  /** Whether the store may grow by the changes in a message. */
  hasRoomFor(payload: string): boolean {
    return this.#saver.size + this.#pulledBytes + this.#mergingBytes + byteLength(payload) <=
      this.#options.maxStoreBytes;
  }

  /** Reads the stored content. Throws if any of it is invalid, so that it is not overwritten. */
  async load(): Promise<void> {
    const slices = new Slices();
    const parts = this.#options.persister.load();
    // Without a promise, the first part is read at once, so that the hashes can be sent.
    for (const [key, text] of parts instanceof Promise ? await parts : parts) {
      this.#content.add(key, text);
      if (slices.due) await slices.pause();
    }
    this.#content.complete = true;
  }

  /** Merges the stored content. Throws if any of it is refused. */
  async start(): Promise<void> {
    await this.#merger.load(this.#content);
    this.store.addDidFinishTransactionListener(() => this.#changed());
    await this.#options.onLoad(this.store);
  }

  /** Answers a client with an empty store while the content is loaded and merged: 500 ms for 10,000 rows. */
  handleEarly(from: Sender, payload: string): boolean {
    const message = parseMessage(payload);
    if (message === undefined) return false;
    if (message.type === messageTypes.getContentHashes) {
      if (this.#content.hashes === undefined) return false;
      this.#sender.send(from, message.requestId, messageTypes.response, this.#content.hashes);
      return true;
    }
    if (!this.#content.complete || !asksForAll(message)) return false;
    this.#sendAll(from, message);
    return true;
  }

  /** Resolves when a large change is merged; `undefined` if there is none. */
  get merging(): Promise<void> | undefined {
    return this.#merging;
  }

  message(from: Sender, payload: string): void | Promise<void> {
    if (this.#merging !== undefined) return this.#merging.then(() => this.message(from, payload));
    const message = parseMessage(payload);
    if (message === undefined || this.#gone.has(from) && message.type !== messageTypes.contentDiff) return;
    if (asksForAll(message)) return this.#sendAll(from, message);
    const answer = this.#answers.to(message, payload.length, this.store);
    if (answer === undefined) return this.#handle(from, message, payload);
    if (message.type === messageTypes.getContentHashes) this.#hashRequests.cancel(from);
    this.#sender.sendEncoded(from, message.requestId, messageTypes.response, answer);
  }

  joined(member: Sender): void {
    this.#hashRequests.joined(member);
  }

  left(member: Sender): void {
    this.#gone.add(member);
    this.#hashRequests.left(member);
    this.#corrections.delete(member.id);
    this.#pulls.get(member.id)?.stop();
    this.#pulls.delete(member.id);
  }

  async flush(): Promise<void> {
    await this.#merging;
    await this.#saver.flush();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#answers.forget();
    this.#hashRequests.stop();
    for (const pull of this.#pulls.values()) pull.stop();
    this.#pulls.clear();
    await this.#merger.stop();
    await this.#saver.stop();
  }

  #sendAll(from: Sender, { requestId, type }: SyncMessage): void {
    this.#sender.respond(from, requestId, () => this.#answers.toAll(type, this.#content));
  }

  /** Handles responses, hashes and changes. */
  #handle(from: Sender, message: SyncMessage, payload: string): void {
    const { requestId, type, body } = message;
    if (type === messageTypes.response && this.#hashRequests.complete(from, requestId)) {
      this.#compare(from, body);
    } else if (from.permission === "read") {
      this.#correctionOf(from).message(message);
    } else if (type === messageTypes.response) {
      this.#pullResponse(from, message, payload);
    } else if (type === messageTypes.contentHashes) {
      this.#hashRequests.cancel(from);
      this.#startPull(from, body);
    } else if (type === messageTypes.contentDiff) {
      this.#hashRequests.changed(from);
      this.#mergeRelayed(body as Changes, payload);
    }
  }

  #pullResponse({ id }: Sender, message: SyncMessage, payload: string): void {
    const pull = this.#pulls.get(id);
    if (pull === undefined) return;
    if (!this.hasRoomFor(payload)) return pull.abort("The path has no room for these changes");
    this.#pulledBytes -= pull.bytes;
    pull.response(message, byteLength(payload));
    this.#pulledBytes += pull.bytes;
  }

  /** Synchronizes both sides if the client's hashes differ. */
  #compare(member: Sender, hashes: unknown): void {
    if (!this.#differs(hashes)) return;
    if (member.permission === "read") this.#correctionOf(member).compare(hashes);
    else this.#startPull(member, hashes);
    this.#sender.sendHashes(member);
  }

  #startPull(member: Sender, hashes: unknown): void {
    if (this.#differs(hashes) && this.hasRoomFor("")) this.#pullOf(member).start(hashes);
  }

  #mergeRelayed(changes: Changes, payload: string): void {
    if (!this.hasRoomFor(payload)) { // held while the path was loading; later changes are refused before
      const { log, side } = this.#options;
      return log.warn("a path has no room for a change that was held", { path: side.path });
    }
    const bytes = byteLength(payload);
    this.#saver.merged(bytes);
    if (payload.length <= MAX_CHARS_AT_ONCE || isOneChunk(changes)) return this.#mergeKnown(changes);
    this.#mergingBytes = bytes;
    this.#merging = this.#mergeInSlices(changes).finally(() => {
      this.#merging = undefined;
      this.#mergingBytes = 0;
    });
  }

  async #mergeInSlices(changes: Changes): Promise<void> {
    for await (const slice of inSlices(chunksOf(changes))) {
      if (this.#stopped) return;
      this.#mergeKnown(slice);
    }
  }

  /** Merges changes that the other clients have already. */
  #mergeKnown(changes: Changes): void {
    this.#relayed = changes;
    try {
      this.#merger.merge(changes);
    } finally {
      this.#relayed = undefined;
    }
  }

  /** Called after each transaction: saves its changes, and broadcasts those that the clients do not have. */
  #changed(): void {
    this.#answers.forget();
    const changes = this.store.getTransactionMergeableChanges() as Changes;
    const [[tables], [values]] = changes;
    this.#saver.dirty.add(tables, values);
    // Includes changes that the store does not report, such as a newer clock on an equal value.
    if (this.#relayed !== undefined) this.#saver.dirty.add(this.#relayed[0][0], this.#relayed[1][0]);
    this.#saver.schedule();
    for (const pull of this.#pulls.values()) if (pull.merging) return pull.changed.add(tables, values);
    const unknown = this.#relayed === undefined ? changes : removeKnown(changes, this.#relayed);
    if (isEmpty(unknown[0][0]) && isEmpty(unknown[1][0])) return;
    this.#sender.broadcast(stampsOfCells(this.store, unknown));
  }

  #pullOf(member: Sender): Pull {
    return this.#pulls.getOrInsertComputed(member.id, () =>
      new Pull({
        store: this.store,
        client: member.id,
        requestTimeoutMs: this.#options.requestTimeoutMs,
        send: (payload) => this.#saver.afterSaved(() => member.deliver(payload)),
        onEnd: (pull, error) => this.#pulled(member, pull, error),
      }));
  }

  #pulled(member: Sender, { changed, bytes }: Pull, error: unknown): void {
    this.#pulledBytes -= bytes;
    if (!changed.empty) {
      this.#saver.merged(bytes);
      // Whole rows, because TinyBase does not report cells of which only the clock has changed.
      this.#saver.dirty.addAll(changed);
      this.#saver.schedule();
      this.#sender.broadcast(stampsOf(this.store, changed), member.id);
    }
    if (!this.#pulls.has(member.id)) return; // the client has left
    if (error === undefined) {
      this.#hashRequests.succeeded(member);
    } else {
      const { log, side } = this.#options;
      log.warn("a client's changes could not be fetched", { path: side.path, client: member.id, error });
      this.#hashRequests.failed(member);
    }
    // The client may lack changes by the server's listeners, or everything if its own request timed out.
    this.#sender.sendHashes(member);
  }

  #correctionOf(member: Sender): ReaderCorrection {
    return this.#corrections.getOrInsertComputed(member.id, () => {
      return new ReaderCorrection(this.store, (payload) => member.deliver(payload));
    });
  }

  #differs(hashes: unknown): boolean {
    const [tablesHash, valuesHash] = this.store.getMergeableContentHashes();
    return !Array.isArray(hashes) || hashes[0] !== tablesHash || hashes[1] !== valuesHash;
  }
}
