/**
 * Telling clients something in the server's name, and never what is not stored yet.
 *
 * @module
 */

import type { MergeableStore } from "tinybase";
import type { Log } from "../../../core/mod.ts";
import type { Sender, ServerSide } from "../../paths.ts";
import { piecesOf } from "./fragments.ts";
import { type Changes, encodeMessage, messageTypes } from "./messages.ts";
import type { Saver } from "./saver.ts";
import { bytesOf, MAX_MESSAGE_BYTES } from "./sizes.ts";

/** What a teller needs. */
export interface TellerOptions {
  readonly store: MergeableStore;
  readonly side: ServerSide;
  readonly saver: Pick<Saver, "afterSaved">;
  readonly log: Log;
  readonly fragmentSize: number | undefined;
}

/** Beyond this, clients are told that there is something new, and those that lack it fetch it. */
const MAX_NEWS_CHARS = 262_144;

/** The server's voice on one path. */
export class Teller {
  readonly #options: TellerOptions;

  constructor(options: TellerOptions) {
    this.#options = options;
  }

  /** Sends a message to one client. */
  tell(member: Sender, requestId: string | null, type: number, body: unknown): void {
    this.#afterSaved(encodeMessage(requestId, type, body), (piece) => member.deliver(piece));
  }

  /** Tells one client what the store has, by its hashes. */
  tellHashes(member: Sender): void {
    const hashes = this.#options.store.getMergeableContentHashes();
    this.tell(member, newsId(), messageTypes.contentHashes, hashes);
  }

  /** Sends changes to all but one. */
  tellAll(changes: Changes, except?: string): void {
    const { store, side } = this.#options;
    let payload = encodeMessage(newsId(), messageTypes.contentDiff, changes);
    if (payload.length > MAX_NEWS_CHARS) {
      payload = encodeMessage(newsId(), messageTypes.contentHashes, store.getMergeableContentHashes());
    }
    this.#afterSaved(payload, (piece) => side.broadcast(piece, except));
  }

  #afterSaved(payload: string, send: (piece: string) => void): void {
    const { fragmentSize, log, side, saver } = this.#options;
    const bytes = bytesOf(payload);
    if (bytes > MAX_MESSAGE_BYTES) {
      log.error("a path has more for one message than TinyBase's clients take", { path: side.path, bytes });
      return;
    }
    const pieces = piecesOf(payload, fragmentSize);
    saver.afterSaved(() => pieces.forEach(send));
  }
}

/** An id as TinyBase gives them to what it tells without being asked. */
function newsId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 11);
}
