import type { MergeableStore } from "tinybase";
import { byteLength, type Log } from "../../../core/mod.ts";
import type { Sender, ServerSide } from "../../paths.ts";
import { fragmentsOf } from "./fragments.ts";
import {
  type Changes,
  encodeBody,
  encodeEncoded,
  encodeMessage,
  MAX_MESSAGE_BYTES,
  messageTypes,
} from "./messages.ts";
import type { Saver } from "./saver.ts";

/** What a {@linkcode ServerSender} needs. */
export interface ServerSenderOptions {
  readonly side: ServerSide;
  readonly log: Log;
  readonly fragmentSize: number | undefined;
}

/** For larger changes, only the new hashes are broadcast, and clients fetch what they lack. */
const MAX_BROADCAST_CHARS = 262_144;

/** Sends the server's messages on one path, each after the changes before it are saved. */
export class ServerSender {
  readonly #store: MergeableStore;
  readonly #saver: Saver;
  readonly #options: ServerSenderOptions;

  constructor(store: MergeableStore, saver: Saver, options: ServerSenderOptions) {
    this.#store = store;
    this.#saver = saver;
    this.#options = options;
  }

  /** Sends a message to one client. */
  send(member: Sender, requestId: string | null, type: number, body: unknown): void {
    this.sendEncoded(member, requestId, type, encodeBody(body));
  }

  /** Sends a message whose body is encoded. */
  sendEncoded(member: Sender, requestId: string | null, type: number, body: string): void {
    this.#afterSaved(() => encodeEncoded(requestId, type, body), (fragment) => member.deliver(fragment));
  }

  /** Sends a response that is encoded when it is sent. */
  respond(member: Sender, requestId: string | null, encode: () => string): void {
    const payload = () => encodeEncoded(requestId, messageTypes.response, encode());
    this.#afterSaved(payload, (fragment) => member.deliver(fragment));
  }

  /** Sends the store's hashes to one client. */
  sendHashes(member: Sender): void {
    const hashes = this.#store.getMergeableContentHashes();
    this.send(member, transactionId(), messageTypes.contentHashes, hashes);
  }

  /** Sends changes to all clients but one. */
  broadcast(changes: Changes, except?: string): void {
    let payload = encodeMessage(transactionId(), messageTypes.contentDiff, changes);
    if (payload.length > MAX_BROADCAST_CHARS) {
      const hashes = this.#store.getMergeableContentHashes();
      payload = encodeMessage(transactionId(), messageTypes.contentHashes, hashes);
    }
    this.#afterSaved(() => payload, (fragment) => this.#options.side.broadcast(fragment, except));
  }

  #afterSaved(encode: () => string, send: (fragment: string) => void): void {
    this.#saver.afterSaved(() => {
      const { fragmentSize, log, side: { path } } = this.#options;
      const payload = encode();
      const bytes = byteLength(payload);
      if (bytes <= MAX_MESSAGE_BYTES) fragmentsOf(payload, fragmentSize).forEach(send);
      else log.error("a message is too large for TinyBase's clients", { path, bytes });
    });
  }
}

/** Creates an id in TinyBase's format for messages that are not responses. */
function transactionId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 11);
}
