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

import { createMergeableStore, type MergeableStore } from "tinybase";
import { createCustomPersister, type Persister, type Persists } from "tinybase/persisters";
import { type Clock, type Log, PlugboardError } from "../../../core/mod.ts";
import type { Sender, ServerClient, ServerSide } from "../../paths.ts";
import { piecesOf } from "./fragments.ts";
import { timeOf } from "./hlc.ts";
import { type Marks, stampsOf, touchedOf, without } from "./marks.ts";
import { type Changes, encodeMessage, messageTypes, parseMessage, type SyncMessage } from "./messages.ts";
import { Inquiries } from "./inquiries.ts";
import { chunksOf, contentOf, type PathPersister } from "./parts.ts";
import { Pull } from "./pull.ts";
import { isEmpty } from "./records.ts";
import { Saver } from "./saver.ts";
import { Undo } from "./undo.ts";

/** TinyBase's name for it is an enum that is there for its compiler only. */
const MERGEABLE_ONLY: Persists.MergeableStoreOnly = 2;

type Merge = (content: undefined, changes: Changes) => unknown;

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
  readonly #merger: Persister<Persists.MergeableStoreOnly>;
  readonly #pulls = new Map<string, Pull>();
  readonly #undos = new Map<string, Undo>();
  readonly #inquiries: Inquiries;
  #merge: Merge = () => {};
  /** What is being merged, as its sender sent it; everybody else has it from there. */
  #relayed: Changes | undefined;
  #loading = true;
  #now: () => number;

  constructor(options: PathStoreOptions) {
    const { clock, side, log, persister } = options;
    this.#options = options;
    this.#now = clock.now.bind(clock);
    const store = createMergeableStore(undefined, () => this.#now());
    this.store = store;
    this.#saver = new Saver({ store, persister, path: side.path, clock, log });
    this.#inquiries = new Inquiries(clock, (member, requestId) => {
      this.#tell(member, requestId, messageTypes.getContentHashes, "");
    });
    // Nothing but the way to have changes merged as they travel, errors included.
    this.#merger = createCustomPersister<number, Persists.MergeableStoreOnly>(
      store,
      () => Promise.resolve(undefined),
      () => Promise.resolve(),
      (listener) => {
        this.#merge = listener as Merge;
        return 1;
      },
      () => {},
      (error) => this.#failed("changes could not be merged", error),
      MERGEABLE_ONLY,
    );
  }

  /** Characters of all that is stored. */
  get size(): number {
    return this.#saver.size;
  }

  /** Loads the content; throws if any of it cannot be read or is refused, so that nothing is written over it. */
  async start(): Promise<void> {
    await this.#merger.startAutoLoad();
    const parts = [...await this.#options.persister.load()];
    const { changes, latest, size } = contentOf(parts);
    let merged = 0;
    this.store.addDidFinishTransactionListener(() => this.#loading ? void merged++ : this.#changed());
    await this.#load(changes, latest, () => merged);
    const [tablesHash, valuesHash] = this.store.getMergeableContentHashes();
    if (size > 0 && tablesHash === 0 && valuesHash === 0) throw refused();
    for (const [key, text] of parts) this.#saver.loaded(key, text);
    this.#loading = false;
    await this.#options.loaded(this.store);
  }

  message(from: Sender, payload: string): void {
    const message = parseMessage(payload);
    if (message === undefined) return;
    const answer = this.#answer(message);
    if (answer === undefined) return this.#hear(from, message);
    if (message.type === messageTypes.getContentHashes) this.#inquiries.starting(from);
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
    await this.#merger.destroy();
    await this.#saver.stop();
  }

  #answer({ type, body }: SyncMessage): unknown {
    const { store } = this;
    switch (type) {
      case messageTypes.getContentHashes:
        return store.getMergeableContentHashes();
      case messageTypes.getTableDiff:
        return store.getMergeableTableDiff(body as Parameters<typeof store.getMergeableTableDiff>[0]);
      case messageTypes.getRowDiff:
        return store.getMergeableRowDiff(body as Parameters<typeof store.getMergeableRowDiff>[0]);
      case messageTypes.getCellDiff:
        return store.getMergeableCellDiff(body as Parameters<typeof store.getMergeableCellDiff>[0]);
      case messageTypes.getValueDiff:
        return store.getMergeableValueDiff(body as Parameters<typeof store.getMergeableValueDiff>[0]);
    }
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
      const merging = this.#merge(undefined, changes);
      if (merging instanceof Promise) {
        merging.catch((error) => this.#failed("changes could not be merged", error));
      }
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
    // Whole rows: what only has a newer clock than before is news as well, and TinyBase does not tell which that is.
    this.#saver.dirty.addAll(marks);
    this.#saver.schedule();
    this.#tellAll(stampsOf(this.store, marks), member.id);
    // Should the merging have changed more than the client sent, as mutating listeners may, it fetches that.
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

  /** Merges stored content bit by bit, so that others get their turn. */
  async #load(changes: Changes, latest: string, merged: () => number): Promise<void> {
    const { clock } = this.#options;
    // What was taken once is taken again, even if the clock has been set back since.
    this.#now = () => Math.max(clock.now(), timeOf(latest));
    for (const chunk of chunksOf(changes)) {
      const before = merged();
      await this.#merge(undefined, chunk);
      if (merged() === before) throw refused();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#now = () => clock.now();
  }

  #failed(what: string, error: unknown): void {
    const { log, side } = this.#options;
    log.error(what, { path: side.path, error });
  }
}

function refused(): PlugboardError {
  return new PlugboardError("content_refused", "TinyBase does not take the stored content");
}

/** An id as TinyBase gives them to what it tells without being asked. */
function newsId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 11);
}
