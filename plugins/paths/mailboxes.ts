import type { Host, MaybePromise } from "../../core/mod.ts";
import type { Delivery } from "./types.ts";

/** How many messages are kept, and for how long. */
export interface MailLimits {
  /** Messages for one client. @default {1000} */
  maxMessages?: number;
  /** Characters of the messages for one client, of one or two bytes each. @default {1048576} */
  maxBytes?: number;
  /** How long a mailbox is kept after its client has left. @default {3600000} */
  maxAgeMs?: number;
  /** Number of mailboxes. Beyond it, the oldest one of the client with the most is evicted. @default {10000} */
  maxClients?: number;
  /** Characters of all messages; those for one client's mailboxes may have a quarter. @default {67108864} */
  maxTotalBytes?: number;
}

/** A kept message. */
export interface MailMessage {
  /** The sender's id. */
  readonly from: string;
  /** The message. */
  readonly payload: string;
}

/** The messages kept for one client. */
export interface Mailbox {
  /** The path's id. */
  readonly path: string;
  /** The client's id. */
  readonly client: string;
  /** When the mailbox expires, in milliseconds since 1970. */
  readonly until: number;
  /** The messages, in order. */
  readonly messages: readonly MailMessage[];
}

/** Persists mailboxes. Calls for one client must take effect in order. */
export interface MailStore {
  /** Loads all mailboxes. */
  load(): MaybePromise<Iterable<Mailbox>>;
  /** Creates an empty mailbox for a client that has left. */
  open(path: string, client: string, until: number): MaybePromise<void>;
  /** Appends a message to a mailbox. */
  add(path: string, client: string, message: MailMessage): MaybePromise<void>;
  /** Removes the mailbox of a client that has returned, or whose time has expired. */
  remove(path: string, client: string): MaybePromise<void>;
  /** Returns the secret that signs client tokens. It must survive a restart. Called after `load`. */
  secret(): MaybePromise<string>;
}

interface OpenMailbox extends Mailbox {
  readonly account: string;
  readonly messages: MailMessage[];
  bytes: number;
}

/** The mailboxes of one user or network, the oldest first, and the characters of their messages. */
interface Account {
  readonly boxes: Set<OpenMailbox>;
  bytes: number;
}

/** The part of all messages that one user or network may have. */
const SHARE = 1 / 4;

/**
 * The messages kept for clients that are away and can prove their id when they return. Mailboxes have equal lifetimes,
 * so the map's order is that of their expiry.
 */
export class Mailboxes {
  readonly limits: Required<MailLimits>;
  readonly #store: MailStore | undefined;
  readonly #boxes = new Map<string, OpenMailbox>();
  readonly #accounts = new Map<string, Account>();
  #host: Pick<Host, "clock" | "log"> | undefined;
  #bytes = 0;
  #messages = 0;
  #cancelExpiry: (() => void) | undefined;

  constructor(limits: MailLimits | undefined, store: MailStore | undefined) {
    this.limits = {
      maxMessages: 1_000,
      maxBytes: 1_048_576,
      maxAgeMs: 3_600_000,
      maxClients: 10_000,
      maxTotalBytes: 67_108_864,
      ...limits,
    };
    this.#store = store;
  }

  /** The number of messages. */
  get size(): number {
    return this.#messages;
  }

  /** Loads the stored mailboxes. */
  async start(host: Host): Promise<void> {
    this.#host = host;
    const stored = [...await this.#store?.load() ?? []].sort((a, b) => a.until - b.until);
    for (const { path, client, until, messages } of stored) {
      const box = this.#create(path, client, until, `path ${path}`); // who had it is not stored
      for (const message of messages) this.#append(box, message);
    }
    this.#expire();
  }

  /** Releases the memory; the store is not changed. */
  stop(): void {
    this.#cancelExpiry?.();
    this.#cancelExpiry = undefined;
    this.#boxes.clear();
    this.#accounts.clear();
    this.#bytes = this.#messages = 0;
  }

  /** Creates the mailbox of a client that has left. */
  open(path: string, client: string, account: string): void {
    if (this.#boxes.size >= this.limits.maxClients) this.#evict(account);
    const until = this.#host!.clock.wallTime() + this.limits.maxAgeMs;
    this.#create(path, client, until, account);
    this.#write((store) => store.open(path, client, until));
    this.#scheduleExpiry();
  }

  /** Keeps a message for a client that is away. */
  add(path: string, client: string, message: MailMessage): Delivery {
    const box = this.#boxes.get(keyOf(path, client));
    if (box === undefined) return "unknown_client";
    const { maxMessages, maxBytes, maxTotalBytes } = this.limits;
    const size = message.payload.length;
    const full = box.messages.length >= maxMessages || box.bytes + size > maxBytes ||
      this.#bytes + size > maxTotalBytes ||
      this.#accounts.get(box.account)!.bytes + size > Math.max(maxTotalBytes * SHARE, maxBytes);
    if (full) return "mailbox_full";
    this.#append(box, message);
    this.#write((store) => store.add(path, client, message));
    return "kept";
  }

  /** Removes the mailbox of a client that has returned. Returns its messages, in order. */
  take(path: string, client: string): readonly MailMessage[] {
    const box = this.#boxes.get(keyOf(path, client));
    if (box === undefined) return [];
    this.#remove(box);
    return box.messages;
  }

  #create(path: string, client: string, until: number, account: string): OpenMailbox {
    const box: OpenMailbox = { path, client, until, account, messages: [], bytes: 0 };
    this.#boxes.set(keyOf(path, client), box);
    this.#accounts.getOrInsertComputed(account, () => ({ boxes: new Set(), bytes: 0 })).boxes.add(box);
    return box;
  }

  /** Removes the oldest mailbox of the account with the most, so that one client cannot evict all others. */
  #evict(newcomer: string): void {
    let most = this.#accounts.get(newcomer)?.boxes;
    for (const { boxes } of this.#accounts.values()) {
      if (most === undefined || boxes.size > most.size) most = boxes;
    }
    for (const oldest of most?.values().take(1) ?? []) this.#remove(oldest);
  }

  #append(box: OpenMailbox, message: MailMessage): void {
    box.messages.push(message);
    box.bytes += message.payload.length;
    this.#accounts.get(box.account)!.bytes += message.payload.length;
    this.#bytes += message.payload.length;
    this.#messages++;
  }

  #remove(box: OpenMailbox): void {
    this.#boxes.delete(keyOf(box.path, box.client));
    const mail = this.#accounts.get(box.account)!;
    mail.boxes.delete(box);
    mail.bytes -= box.bytes;
    if (mail.boxes.size === 0) this.#accounts.delete(box.account);
    this.#bytes -= box.bytes;
    this.#messages -= box.messages.length;
    this.#write((store) => store.remove(box.path, box.client));
  }

  #expire(): void {
    const now = this.#host!.clock.wallTime();
    for (const box of this.#boxes.values()) {
      if (box.until > now) break;
      this.#remove(box);
    }
    this.#scheduleExpiry();
  }

  #scheduleExpiry(): void {
    const { clock } = this.#host!;
    const next = this.#boxes.values().next().value;
    if (this.#cancelExpiry !== undefined || next === undefined) return;
    // Not longer, although the clock may have been set back by years.
    const waitMs = Math.min(Math.max(0, next.until - clock.wallTime()), this.limits.maxAgeMs);
    this.#cancelExpiry = clock.after(waitMs, () => {
      this.#cancelExpiry = undefined;
      this.#expire();
    });
  }

  async #write(change: (store: MailStore) => MaybePromise<void>): Promise<void> {
    if (this.#store === undefined) return;
    try {
      await change(this.#store);
    } catch (error) {
      this.#host!.log.error("mail could not be stored", { error });
    }
  }
}

/** Unambiguous, because a path contains no line break. */
function keyOf(path: string, client: string): string {
  return `${path}\n${client}`;
}
