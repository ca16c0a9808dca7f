/**
 * Mail: messages for clients that are away and can prove, when they return, who they are.
 *
 * @module
 */

import type { Clock, Log, MaybePromise } from "../../core/mod.ts";
import type { Delivery } from "./types.ts";

/** How much is kept, and for how long. */
export interface MailLimits {
  /** Messages for one client. @default {1000} */
  maxMessages?: number;
  /** Characters of those; each takes one byte or two. @default {1048576} */
  maxBytes?: number;
  /** How long after it left a client may still return. @default {3600000} */
  maxAgeMs?: number;
  /** Clients whose return is awaited; the one that left first gives way. @default {10000} */
  maxClients?: number;
  /** Characters kept for all of them. @default {67108864} */
  maxTotalBytes?: number;
}

/** A message and who sent it. */
export interface Letter {
  /** Who sent it. */
  readonly from: string;
  /** What it says. */
  readonly payload: string;
}

/** A client that is away, and what is kept for it. */
export interface Mailbox {
  /** The path's id. */
  readonly path: string;
  /** Whose mail it is. */
  readonly client: string;
  /** When it is given up, in milliseconds since 1970. */
  readonly until: number;
  /** What has come, in order. */
  readonly letters: readonly Letter[];
}

/** Keeps mail over a restart. Calls for one client take effect in their order. */
export interface MailStore {
  /** All mailboxes. */
  load(): MaybePromise<Iterable<Mailbox>>;
  /** A client has left: its mailbox is there, and empty. */
  open(path: string, client: string, until: number): MaybePromise<void>;
  /** Adds a message to a mailbox, after those it has. */
  add(path: string, client: string, letter: Letter): MaybePromise<void>;
  /** Its client has returned or was given up. */
  remove(path: string, client: string): MaybePromise<void>;
  /** What tickets are signed with: the same after a restart, or nobody could claim the mail. Called after `load`. */
  secret(): MaybePromise<string>;
}

interface Box {
  readonly path: string;
  readonly client: string;
  readonly until: number;
  readonly letters: Letter[];
  bytes: number;
}

/** What a mail room needs from its service, known when that starts. */
export interface MailHost {
  readonly clock: Clock;
  readonly log: Log;
}

/** All mailboxes, the one that is given up first in front. */
export class Mail {
  readonly #limits: Required<MailLimits>;
  readonly #store: MailStore | undefined;
  readonly #boxes = new Map<string, Box>();
  #host: MailHost | undefined;
  #bytes = 0;
  #letters = 0;
  #cancel: (() => void) | undefined;

  constructor(limits: Required<MailLimits>, store: MailStore | undefined) {
    this.#limits = limits;
    this.#store = store;
  }

  /** Messages that are kept. */
  get size(): number {
    return this.#letters;
  }

  /** Brings back what was stored. */
  async start(host: MailHost): Promise<void> {
    this.#host = host;
    const stored = [...await this.#store?.load() ?? []].sort((a, b) => a.until - b.until);
    for (const { path, client, until, letters } of stored) {
      const box = this.#open(path, client, until);
      for (const letter of letters) this.#put(box, letter);
    }
    this.#expire();
  }

  /** Forgets what is in memory. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#boxes.clear();
    this.#bytes = this.#letters = 0;
  }

  /** A client has left and may return. */
  expect(path: string, client: string): void {
    if (this.#boxes.size >= this.#limits.maxClients) {
      for (const box of this.#boxes.values()) {
        this.#drop(box);
        break;
      }
    }
    const until = this.#host!.clock.now() + this.#limits.maxAgeMs;
    this.#open(path, client, until);
    this.#write((store) => store.open(path, client, until));
    this.#arm();
  }

  /** Keeps a message for a client that is away. */
  keep(path: string, client: string, letter: Letter): Delivery {
    const box = this.#boxes.get(keyOf(path, client));
    if (box === undefined) return "unknown_client";
    const { maxMessages, maxBytes, maxTotalBytes } = this.#limits;
    const size = letter.payload.length;
    const full = box.letters.length >= maxMessages || box.bytes + size > maxBytes ||
      this.#bytes + size > maxTotalBytes;
    if (full) return "mailbox_full";
    this.#put(box, letter);
    this.#write((store) => store.add(path, client, letter));
    return "kept";
  }

  /** A client has returned: gives what was kept for it, in order. */
  take(path: string, client: string): readonly Letter[] {
    const box = this.#boxes.get(keyOf(path, client));
    if (box === undefined) return [];
    this.#drop(box);
    return box.letters;
  }

  #open(path: string, client: string, until: number): Box {
    const box: Box = { path, client, until, letters: [], bytes: 0 };
    this.#boxes.set(keyOf(path, client), box);
    return box;
  }

  #put(box: Box, letter: Letter): void {
    box.letters.push(letter);
    box.bytes += letter.payload.length;
    this.#bytes += letter.payload.length;
    this.#letters++;
  }

  #drop(box: Box): void {
    this.#boxes.delete(keyOf(box.path, box.client));
    this.#bytes -= box.bytes;
    this.#letters -= box.letters.length;
    this.#write((store) => store.remove(box.path, box.client));
  }

  /** Gives up whose time has come. All wait equally long, so those who left first are in front. */
  #expire(): void {
    const now = this.#host!.clock.now();
    for (const box of this.#boxes.values()) {
      if (box.until > now) break;
      this.#drop(box);
    }
    this.#arm();
  }

  #arm(): void {
    const { clock } = this.#host!;
    if (this.#cancel !== undefined) return;
    for (const { until } of this.#boxes.values()) {
      this.#cancel = clock.after(Math.max(0, until - clock.now()), () => {
        this.#cancel = undefined;
        this.#expire();
      });
      break;
    }
  }

  #write(change: (store: MailStore) => MaybePromise<void>): void {
    const failed = (error: unknown) => this.#host!.log.error("mail could not be stored", { error });
    try {
      const work = this.#store === undefined ? undefined : change(this.#store);
      if (work instanceof Promise) work.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}

/** Neither part can be mistaken for the other: a path has no line break. */
function keyOf(path: string, client: string): string {
  return `${path}\n${client}`;
}
