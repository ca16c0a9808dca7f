import type { Clock, CloseCode, MaybePromise } from "../../../core/mod.ts";
import type { Member } from "../../paths.ts";
import { tinybaseCodes } from "./close_codes.ts";
import type { Assembler } from "./fragments.ts";
import { latestAllowedHlc } from "./hlc.ts";
import { messageTypes } from "./messages.ts";
import type { PathStore } from "./path_store.ts";
import { routingInfoOf } from "./routing_info.ts";

/** What a {@linkcode SyncClient} needs. */
export interface SyncClientOptions {
  readonly member: Member;
  /** Returns the path's store, while it is ready. */
  readonly store: () => PathStore | undefined;
  readonly assembler: Assembler;
  /** Distinguishes its fragments from those of other clients on the same socket. */
  readonly scope: string;
  readonly clock: Clock;
  /** Closes the connection. */
  readonly close: (why: CloseCode) => void;
}

const { response, getContentHashes, contentHashes, contentDiff, getValueDiff } = messageTypes;

/** A TinyBase client on a path: validates and routes its messages. */
export class SyncClient {
  readonly #options: SyncClientOptions;
  #latestAllowed = "";

  constructor(options: SyncClientOptions) {
    this.#options = options;
  }

  /** Handles `<to>\n<message or fragment>`. It waits while the path's store merges a large change. */
  receive(payload: string): MaybePromise<void> {
    const merging = this.#options.store()?.merging;
    if (merging !== undefined) return merging.then(() => this.receive(payload));
    this.#receive(payload);
  }

  #receive(payload: string): void {
    const { assembler, scope, close } = this.#options;
    const split = payload.indexOf("\n");
    if (split < 0) return close(tinybaseCodes.invalid);
    const to = payload.slice(0, split);
    const text = payload.slice(split + 1);
    if (text[0] === "[") return this.#route(to, text);
    const assembled = assembler.add(`${scope}\n${to}`, text);
    if (assembled === "invalid") close(tinybaseCodes.invalid);
    else if (assembled === "overflow") close(tinybaseCodes.fragments);
    else if (assembled !== undefined) this.#route(to, assembled.text, assembled.fragments);
  }

  /** Leaves the path. */
  leave(): void {
    this.#options.member.leave();
  }

  #route(to: string, text: string, fragments?: readonly string[]): void {
    const { member, close, store } = this.#options;
    const message = routingInfoOf(text);
    if (message === undefined) return close(tinybaseCodes.invalid);
    const { type, latest, repaired } = message;
    if (latest > this.#latestAllowed && this.#isAhead(latest)) return close(tinybaseCodes.clockAhead);
    if (type === contentDiff && store()?.hasRoomFor(text) === false) return close(tinybaseCodes.store);
    const recipient = this.#recipient(to, type);
    if (recipient === undefined) return;
    const delivery = repaired === undefined
      ? member.send(recipient, text, fragments)
      : member.send(recipient, repaired);
    if (delivery === "overflow") close(tinybaseCodes.server);
  }

  /** Returns the recipient of a message; `undefined` if it is dropped. */
  #recipient(to: string, type: number): string | undefined {
    const { member, store } = this.#options;
    const announces = type === contentHashes || type === contentDiff || type > getValueDiff;
    if (member.permission === "read") {
      // A reader may send requests. Its changes go to the server only, which corrects them.
      if (announces) return "S";
      return type === response && to !== "S" ? undefined : to;
    }
    if (to === "S") return to;
    // The stored content cannot be read, so changes must not be built on it.
    if (announces && member.state === "failed") return undefined;
    // A ready store has the content of all clients, so other clients need not respond.
    const isForServer = type === getContentHashes || type === contentHashes;
    return to === "" && isForServer && store() !== undefined ? "S" : to;
  }

  #isAhead(hlc: string): boolean {
    this.#latestAllowed = latestAllowedHlc(this.#options.clock.wallTime());
    return hlc > this.#latestAllowed;
  }
}
