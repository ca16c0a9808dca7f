/**
 * The server's own store of a path: one more client among the others, with the difference that it is always there.
 *
 * What a client changes travels to the others at once and is merged here on the way. What a client did while it was
 * away is pulled from it when it says what it has, and passed on to the others. Whoever asks is answered from here,
 * but never with something that is not stored yet: a client that is told the hashes of its own store knows that
 * all it has is safe.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";
import type { Clock, Log } from "../../../core/mod.ts";
import type { Sender, ServerClient, ServerSide } from "../../paths.ts";
import { answerTo, earlyAnswerTo } from "./answer.ts";
import { piecesOf } from "./fragments.ts";
import { Inquiries } from "./inquiries.ts";
import { type Marks, stampsOf, touchedOf, without } from "./marks.ts";
import { Merger } from "./merger.ts";
import { type Changes, encodeMessage, messageTypes, parseMessage, type SyncMessage } from "./messages.ts";
import { type Content, contentOf, type PathPersister } from "./parts.ts";
import { Pull } from "./pull.ts";
import { isEmpty } from "./records.ts";
import { Saver } from "./saver.ts";
import { Undo } from "./undo.ts";

/** What a path's store needs. */
export interface PathStoreOptions {
  readonly side: ServerSide;
  readonly persister: PathPersister;
  readonly clock: Clock;
  readonly log: Log;
  readonly requestTimeoutMs: number;
  readonly fragmentSize: number | undefined;
  readonly maxMessageBytes: number;
  /** Called with the store when it is loaded and before anybody else changes it. */
  readonly loaded: (store: MergeableStore) => void | Promise<void>;
}

/** Beyond this, clients are told that there is something new, and those that lack it fetch it. */
const MAX_NEWS_CHARS = 262_144;

/** A store with its persister, as its path's server client. */
export class PathStore implements ServerClient {
  readonly store: MergeableStore;
  readonly #options: PathStoreOptions;
  readonly #saver: Saver;
  readonly #merger: Merger;
  readonly #pulls = new Map<string, Pull>();
  readonly #undos = new Map<string, Undo>();
  readonly #inquiries: Inquiries;
  /** What is being merged, as its sender sent it; everybody else has it from there. */
  #relayed: Changes | undefined;
  /** What was stored, until the store is ready. */
  #stored: Content | undefined;

  constructor(options: PathStoreOptions) {
    const { clock, side, log, persister } = options;
    this.#options = options;
    this.#merger = new Merger(
      clock,
      (error) => log.error("changes could not be merged", { path: side.path, error }),
    );
    this.store = this.#merger.store;
    this.#saver = new Saver({ store: this.store, persister, path: side.path, clock, log });
    this.#inquiries = new Inquiries(clock, (member, requestId) => {
      this.#tell(member, requestId, messageTypes.getContentHashes, "");
    });
  }

  /** Characters of all that is stored. */
  get size(): number {
    return this.#saver.size;
  }

  /** Reads what is stored; throws if any of it cannot be read, so that nothing is written over it. */
  async load(): Promise<void> {
    const parts = [...await this.#options.persister.load()];
    for (const [key, text] of parts) this.#saver.loaded(key, text);
    this.#stored = contentOf(parts);
  }

  /** Merges it into the store; throws if any of it is refused. */
  async start(): Promise<void> {
    await this.#merger.load(this.#stored!);
    this.store.addDidFinishTransactionListener(() => this.#changed());
    await this.#options.loaded(this.store);
    this.#stored = undefined;
  }

  /** Who comes with nothing need not wait for the merging: what is stored can be told as it is. */
  early(from: Sender, payload: string): boolean {
    const message = parseMessage(payload);
    const answer = message && this.#stored && earlyAnswerTo(message, this.#stored);
    if (answer === undefined) return false;
    this.#tell(from, message!.requestId, messageTypes.response, answer);
    return true;
  }

  message(from: Sender, payload: string): void {
    const message = parseMessage(payload);
    if (message === undefined) return;
    const answer = answerTo(message, this.store);
    if (answer === undefined) return this.#hear(from, message);
    if (message.type === messageTypes.getContentHashes) this.#inquiries.speaks(from);
    this.#tell(from, message.requestId, messageTypes.response, answer);
  }

  joined(member: Sender): void {
    this.#inquiries.joined(member);
  }

  left(member: Sender): void {
    const { id } = member;
    this.#inquiries.left(member);
    this.#undos.delete(id);
    this.#pulls.get(id)?.stop();
    this.#pulls.delete(id);
  }

  async flush(): Promise<void> {
    await this.#saver.flush();
  }

  async stop(): Promise<void> {
    this.#inquiries.stop();
    for (const pull of this.#pulls.values()) pull.stop();
    this.#pulls.clear();
    await this.#merger.stop();
    await this.#saver.stop();
  }

  /** The client says something about its own store. */
  #hear(from: Sender, message: SyncMessage): void {
    const { requestId, type, body } = message;
    if (type === messageTypes.response && this.#inquiries.answered(from, requestId)) {
      this.#compare(from, body);
    } else if (from.right === "read") {
      this.#undoOf(from).message(message);
    } else if (type === messageTypes.response) {
      this.#pulls.get(from.id)?.response(message);
    } else if (type === messageTypes.contentHashes) {
      this.#inquiries.speaks(from);
      if (this.#differs(body)) this.#pullOf(from).start(body);
    } else if (type === messageTypes.contentDiff) {
      this.#inquiries.changed(from);
      this.#mergeRelayed(body as Changes);
    }
  }

  /** Has both sides get what they lack. */
  #compare(member: Sender, hashes: unknown): void {
    if (!this.#differs(hashes)) return;
    this.#hear(member, { requestId: null, type: messageTypes.contentHashes, body: hashes, latest: "" });
    this.#tellHashes(member);
  }

  #mergeRelayed(changes: Changes): void {
    this.#relayed = changes;
    try {
      this.#merger.merge(changes);
    } finally {
      this.#relayed = undefined;
    }
  }

  /** A transaction has ended: what it changed is to be stored, and to be told to those who do not know it. */
  #changed(): void {
    const touched = this.store.getTransactionMergeableChanges() as Changes;
    const [[tables], [values]] = touched;
    this.#saver.dirty.add(tables, values);
    // A change that the store does not show, a newer clock on an equal value say, counts as well.
    if (this.#relayed !== undefined) this.#saver.dirty.add(this.#relayed[0][0], this.#relayed[1][0]);
    this.#saver.schedule();
    for (const pull of this.#pulls.values()) if (pull.merging) return pull.marks.add(tables, values);
    const news = this.#relayed === undefined ? touched : without(touched, this.#relayed);
    if (isEmpty(news[0][0]) && isEmpty(news[1][0])) return;
    this.#tellAll(touchedOf(this.store, news), undefined);
  }

  #pullOf(member: Sender): Pull {
    let pull = this.#pulls.get(member.id);
    if (pull === undefined) {
      const { requestTimeoutMs } = this.#options;
      pull = new Pull({
        store: this.store,
        client: member.id,
        requestTimeoutMs,
        ask: (payload) => this.#saver.afterSaved(() => member.tell(payload)),
        pulled: (marks) => this.#pulled(member, marks),
        failed: (error) => this.#pullFailed(member, error),
      });
      this.#pulls.set(member.id, pull);
    }
    return pull;
  }

  #pulled(member: Sender, marks: Marks): void {
    this.#inquiries.fetched(member);
    if (!marks.empty) {
      // Whole rows: what only has a newer clock is news as well, and TinyBase does not tell which that is.
      this.#saver.dirty.addAll(marks);
      this.#saver.schedule();
      this.#tellAll(stampsOf(this.store, marks), member.id);
    }
    // It may still lack something: what the server's listeners have changed, or all, if its own question timed out.
    this.#tellHashes(member);
  }

  #pullFailed(member: Sender, error: unknown): void {
    if (!this.#pulls.has(member.id)) return;
    const { log, side } = this.#options;
    log.warn("a client's changes could not be fetched", { path: side.path, client: member.id, error });
    this.#inquiries.failed(member);
  }

  #undoOf(member: Sender): Undo {
    let undo = this.#undos.get(member.id);
    if (undo === undefined) {
      this.#undos.set(member.id, undo = new Undo(this.store, (payload) => member.tell(payload)));
    }
    return undo;
  }

  #differs(hashes: unknown): boolean {
    const [tablesHash, valuesHash] = this.store.getMergeableContentHashes();
    return !Array.isArray(hashes) || hashes[0] !== tablesHash || hashes[1] !== valuesHash;
  }

  #tellHashes(member: Sender): void {
    this.#tell(member, newsId(), messageTypes.contentHashes, this.store.getMergeableContentHashes());
  }

  #tell(member: Sender, requestId: string | null, type: number, body: unknown): void {
    const payload = encodeMessage(requestId, type, body);
    this.#afterSaved(payload, (piece) => member.tell(piece));
  }

  #tellAll(changes: Changes, except: string | undefined): void {
    let payload = encodeMessage(newsId(), messageTypes.contentDiff, changes);
    if (payload.length > MAX_NEWS_CHARS) {
      payload = encodeMessage(newsId(), messageTypes.contentHashes, this.store.getMergeableContentHashes());
    }
    this.#afterSaved(payload, (piece) => this.#options.side.broadcast(piece, except));
  }

  #afterSaved(payload: string, send: (piece: string) => void): void {
    const { fragmentSize, maxMessageBytes, log, side } = this.#options;
    if (payload.length > maxMessageBytes) {
      log.error("a path has more in one message than TinyBase can take", {
        path: side.path,
        size: payload.length,
      });
      return;
    }
    const pieces = piecesOf(payload, fragmentSize);
    this.#saver.afterSaved(() => pieces.forEach(send));
  }
}

/** An id as TinyBase gives them to what it tells without being asked. */
function newsId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 11);
}
