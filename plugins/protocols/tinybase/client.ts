/**
 * One client on one path: what it sends is checked and routed.
 *
 * @module
 */

import type { Clock, CloseCode } from "../../../core/mod.ts";
import type { Member } from "../../paths.ts";
import { tinybaseCodes } from "./close_codes.ts";
import type { Assembler } from "./fragments.ts";
import { latestAt } from "./hlc.ts";
import { glanceAt } from "./glance.ts";
import { messageTypes } from "./messages.ts";
import type { PathStore } from "./path_store.ts";

/** What a client needs. */
export interface SyncClientOptions {
  readonly member: Member;
  /** The path's store, while it is loaded. */
  readonly store: () => PathStore | undefined;
  readonly assembler: Assembler;
  /** What tells its fragments from those of others on the same socket. */
  readonly scope: string;
  readonly clock: Clock;
  /** Ends its connection. */
  readonly close: (why: CloseCode) => void;
}

const { response, getContentHashes, contentHashes, contentDiff, getValueDiff } = messageTypes;

/** A client of a path. */
export class SyncClient {
  readonly #options: SyncClientOptions;
  #latest = "";

  constructor(options: SyncClientOptions) {
    this.#options = options;
  }

  /** Handles `<to>\n<message or fragment>`. */
  receive(payload: string): void {
    const { assembler, scope, close } = this.#options;
    const split = payload.indexOf("\n");
    if (split < 0) return close(tinybaseCodes.invalid);
    const to = payload.slice(0, split);
    const piece = payload.slice(split + 1);
    if (piece[0] === "[") return this.#route(to, piece);
    const assembled = assembler.add(`${scope}\n${to}`, piece);
    if (assembled === "invalid") close(tinybaseCodes.invalid);
    else if (assembled === "overflow") close(tinybaseCodes.fragments);
    else if (assembled !== undefined) this.#route(to, assembled.text, assembled.pieces);
  }

  /** Leaves the path. */
  leave(): void {
    this.#options.member.leave();
  }

  #route(to: string, text: string, pieces?: readonly string[]): void {
    const { member, close, store } = this.#options;
    const message = glanceAt(text);
    if (message === undefined) return close(tinybaseCodes.invalid);
    if (message.latest > this.#latest && this.#isAhead(message.latest)) {
      return close(tinybaseCodes.clockAhead);
    }
    const { type, mended } = message;
    if (type === contentDiff && store()?.hasRoomFor(text) === false) return close(tinybaseCodes.store);
    const addressee = this.#addressee(to, type);
    if (addressee === undefined) return;
    const delivery = mended === undefined
      ? member.send(addressee, text, pieces)
      : member.send(addressee, mended);
    if (delivery === "overflow") close(tinybaseCodes.server);
  }

  /** Who is to get a message; `undefined` for nobody. */
  #addressee(to: string, type: number): string | undefined {
    const { member, store } = this.#options;
    const announces = type === contentHashes || type === contentDiff || type > getValueDiff;
    if (member.permission === "read") {
      // It may ask anybody, and tell nobody but the server, which takes it only to set it right.
      if (announces) return "S";
      return type === response && to !== "S" ? undefined : to;
    }
    if (to === "S") return to;
    // What is stored cannot be read, so nothing new may be built on it.
    if (announces && member.state === "failed") return undefined;
    // The server has it all: where it can answer, a hundred others need not.
    const asks = type === getContentHashes || type === contentHashes;
    return to === "" && asks && store() !== undefined ? "S" : to;
  }

  #isAhead(hlc: string): boolean {
    this.#latest = latestAt(this.#options.clock.now());
    return hlc > this.#latest;
  }
}
