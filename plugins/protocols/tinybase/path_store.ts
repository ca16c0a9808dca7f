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
import { Inquiries } from "./inquiries.ts";
import { stampsOf, touchedOf, without } from "./marks.ts";
import { Merger } from "./merger.ts";
import { type Changes, messageTypes, parseMessage, type SyncMessage } from "./messages.ts";
import { type Content, contentOf, type PathPersister } from "./parts.ts";
import { Pull } from "./pull.ts";
import { isEmpty } from "./records.ts";
import { Saver } from "./saver.ts";
import { bytesOf } from "./sizes.ts";
import { Teller } from "./teller.ts";
import { Undo } from "./undo.ts";

/** What a path's store needs. */
export interface PathStoreOptions {
  readonly side: ServerSide;
  readonly persister: PathPersister;
  readonly clock: Clock;
  readonly log: Log;
  readonly requestTimeoutMs: number;
  readonly fragmentSize: number | undefined;
  readonly maxStoreBytes: number;
  /** Called with the store when it is loaded and before anybody else changes it. */
  readonly loaded: (store: MergeableStore) => void | Promise<void>;
}

/** A store with its persister, as its path's server client. */
export class PathStore implements ServerClient {
  readonly store: MergeableStore;
  readonly #options: PathStoreOptions;
  readonly #saver: Saver;
  readonly #teller: Teller;
  readonly #merger: Merger;
  readonly #pulls = new Map<string, Pull>();
  readonly #undos = new Map<string, Undo>();
  readonly #inquiries: Inquiries;
  /** What is being merged, as its sender sent it; everybody else has it from there. */
  #relayed: Changes | undefined;
  /** Bytes of what is being fetched from clients. */
  #arriving = 0;
  /** What was stored, until the store is ready. */
  #stored: Content | undefined;

  constructor(options: PathStoreOptions) {
    const { clock, side, log, persister, fragmentSize } = options;
    this.#options = options;
    this.#merger = new Merger(
      clock,
      (error) => log.error("changes could not be merged", { path: side.path, error }),
    );
    this.store = this.#merger.store;
    this.#saver = new Saver({ store: this.store, persister, path: side.path, clock, log });
    this.#teller = new Teller({ store: this.store, side, saver: this.#saver, log, fragmentSize });
    this.#inquiries = new Inquiries(clock, (member, requestId) => {
      this.#teller.tell(member, requestId, messageTypes.getContentHashes, "");
    });
  }

  /** Whether a message's changes may be added to what is stored. */
  hasRoomFor(payload: string): boolean {
    return this.#saver.size + this.#arriving + bytesOf(payload) <= this.#options.maxStoreBytes;
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
  handleEarly(from: Sender, payload: string): boolean {
    const message = parseMessage(payload);
    const answer = message && this.#stored && earlyAnswerTo(message, this.#stored);
    if (answer === undefined) return false;
    this.#teller.tell(from, message!.requestId, messageTypes.response, answer);
    return true;
  }

  message(from: Sender, payload: string): void {
    const message = parseMessage(payload);
    if (message === undefined) return;
    const answer = answerTo(message, this.store);
    if (answer === undefined) return this.#hear(from, message, payload);
    if (message.type === messageTypes.getContentHashes) this.#inquiries.speaks(from);
    this.#teller.tell(from, message.requestId, messageTypes.response, answer);
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
  #hear(from: Sender, message: SyncMessage, payload: string): void {
    const { requestId, type, body } = message;
    if (type === messageTypes.response && this.#inquiries.answered(from, requestId)) {
      this.#compare(from, body);
    } else if (from.permission === "read") {
      this.#undoOf(from).message(message);
    } else if (type === messageTypes.response) {
      this.#answered(from, message, payload);
    } else if (type === messageTypes.contentHashes) {
      this.#inquiries.speaks(from);
      this.#fetch(from, body);
    } else if (type === messageTypes.contentDiff) {
      this.#inquiries.changed(from);
      this.#mergeRelayed(body as Changes, payload);
    }
  }

  #answered({ id }: Sender, message: SyncMessage, payload: string): void {
    const pull = this.#pulls.get(id);
    if (pull === undefined) return;
    if (!this.hasRoomFor(payload)) return pull.refuse("The path has no room for that");
    this.#arriving -= pull.bytes;
    pull.response(message, bytesOf(payload));
    this.#arriving += pull.bytes;
  }

  /** Has both sides get what they lack. */
  #compare(member: Sender, hashes: unknown): void {
    if (!this.#differs(hashes)) return;
    if (member.permission === "read") this.#undoOf(member).compare(hashes);
    else this.#fetch(member, hashes);
    this.#teller.tellHashes(member);
  }

  #fetch(member: Sender, hashes: unknown): void {
    if (this.#differs(hashes) && this.hasRoomFor("")) this.#pullOf(member).start(hashes);
  }

  #mergeRelayed(changes: Changes, payload: string): void {
    if (!this.hasRoomFor(payload)) { // only of what came while the path was loaded; others are told before
      const { log, side } = this.#options;
      return log.warn("a path has no room for a change that came while it was loaded", { path: side.path });
    }
    this.#saver.merged(bytesOf(payload));
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
    this.#teller.tellAll(touchedOf(this.store, news));
  }

  #pullOf(member: Sender): Pull {
    let pull = this.#pulls.get(member.id);
    if (pull === undefined) {
      const { requestTimeoutMs } = this.#options;
      pull = new Pull({
        store: this.store,
        client: member.id,
        requestTimeoutMs,
        ask: (payload) => this.#saver.afterSaved(() => member.deliver(payload)),
        ended: (pull, error) => this.#pulled(member, pull, error),
      });
      this.#pulls.set(member.id, pull);
    }
    return pull;
  }

  #pulled(member: Sender, { marks, bytes }: Pull, error: unknown): void {
    this.#arriving -= bytes;
    if (!marks.empty) {
      this.#saver.merged(bytes);
      // Whole rows: what only has a newer clock is news as well, and TinyBase does not tell which that is.
      this.#saver.dirty.addAll(marks);
      this.#saver.schedule();
      this.#teller.tellAll(stampsOf(this.store, marks), member.id);
    }
    if (!this.#pulls.has(member.id)) return; // it has left
    if (error === undefined) {
      this.#inquiries.fetched(member);
    } else {
      const { log, side } = this.#options;
      log.warn("a client's changes could not be fetched", { path: side.path, client: member.id, error });
      this.#inquiries.failed(member);
    }
    // It may still lack something: what the server's listeners have changed, or all, if its own question timed out.
    this.#teller.tellHashes(member);
  }

  #undoOf(member: Sender): Undo {
    let undo = this.#undos.get(member.id);
    if (undo === undefined) {
      this.#undos.set(member.id, undo = new Undo(this.store, (payload) => member.deliver(payload)));
    }
    return undo;
  }

  #differs(hashes: unknown): boolean {
    const [tablesHash, valuesHash] = this.store.getMergeableContentHashes();
    return !Array.isArray(hashes) || hashes[0] !== tablesHash || hashes[1] !== valuesHash;
  }
}
