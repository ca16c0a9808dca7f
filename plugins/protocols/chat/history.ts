import { checkOptions } from "../../../core/mod.ts";
import type { Broker, Channels, NamespaceOptions } from "../../channels.ts";
import { logChannel } from "./channels.ts";
import type { ChatMessage } from "./messages.ts";

/** How messages are stored. */
export interface HistoryOptions {
  /** Maximum number of messages of each room. @default {1000} */
  messages?: number;
  /** How long a message is stored. @default {604800000} a week */
  ms?: number;
  /** How many messages a client gets when it joins. @default {50} @minimum 0 */
  onJoin?: number;
  /** Stores the messages; with a durable broker they survive a restart. @default {the broker of all channels} */
  broker?: Broker;
}

/** A page of a room's messages. */
export interface HistoryPage {
  /** As JSON text, the oldest first. */
  readonly messages: readonly string[];
  /** The position for reading the previous page; absent if there is none. */
  readonly before?: number;
}

/** The history of all rooms: stored, read in pages, and sent to clients that join. */
export interface ChatHistory {
  /** Stores a message, then sends it. No join happens in between, so clients that join get each message once. */
  say(message: ChatMessage, send: () => Promise<void>): Promise<void>;
  /** Passes the latest messages to `enter`, which joins a client. */
  join(roomId: string, enter: (past: readonly string[]) => Promise<void>): Promise<void>;
  /** Reads the latest page, or the page before a position. */
  page(roomId: string, limit: number, before?: number): Promise<HistoryPage>;
}

/** Complete options. */
export type PreparedHistory = Required<Omit<HistoryOptions, "broker">> & Pick<HistoryOptions, "broker">;

/** Validates the options and adds the defaults. */
export function prepareHistory(given: HistoryOptions): PreparedHistory {
  const history = { messages: 1_000, ms: 604_800_000, onJoin: 50, ...given };
  const check = checkOptions("chat");
  check.positiveInteger("history.messages", history.messages);
  check.positiveInteger("history.ms", history.ms);
  check.wholeNumber("history.onJoin", history.onJoin);
  return history;
}

/** Clients of other protocols have no permissions in the namespace. */
export function namespaceOptions(history: PreparedHistory | undefined): NamespaceOptions {
  return {
    historySize: history?.messages ?? 0,
    historyMs: history?.ms ?? 0,
    ...(history?.broker && { broker: history.broker }),
    recovery: "off",
    presence: false,
    joinLeave: "off",
    subscribe: "nobody",
    publish: "nobody",
    presenceAccess: "nobody",
    historyAccess: "nobody",
  };
}

/** Makes the history. */
export function chatHistory(
  channels: Pick<Channels, "publish" | "history">,
  { onJoin }: PreparedHistory,
): ChatHistory {
  /** The locks of rooms that are in use. */
  const locks = new Map<string, SharedLock>();

  async function locked(roomId: string, run: (lock: SharedLock) => Promise<void>): Promise<void> {
    const lock = locks.getOrInsertComputed(roomId, () => new SharedLock());
    try {
      await run(lock);
    } finally {
      if (lock.idle && locks.get(roomId) === lock) locks.delete(roomId);
    }
  }

  async function page(roomId: string, limit: number, before?: number): Promise<HistoryPage> {
    const since = before === undefined ? undefined : { offset: before, epoch: "" };
    // One more message tells whether there is a previous page.
    const query = { limit: limit + 1, reverse: true, ...(since && { since }) };
    const { publications } = await channels.history(logChannel(roomId), query);
    const shown = publications.slice(0, limit).reverse();
    const more = publications.length > limit;
    return { messages: shown.map(({ payload }) => payload.text), ...(more && { before: shown[0]!.offset }) };
  }

  return {
    page,
    say: (message, send) =>
      locked(message.RoomId, (lock) =>
        lock.shared(async () => {
          await channels.publish(logChannel(message.RoomId), message);
          await send();
        })),
    join: (roomId, enter) =>
      locked(roomId, (lock) =>
        lock.exclusive(async () => {
          await enter(onJoin === 0 ? [] : (await page(roomId, onJoin)).messages);
        })),
  };
}

/** A lock that many may hold together, or one exclusively. */
class SharedLock {
  readonly #holders = new Set<Promise<void>>();
  /** The last exclusive holder. */
  #exclusive: Promise<void> | undefined;

  get idle(): boolean {
    return this.#holders.size === 0 && this.#exclusive === undefined;
  }

  async shared(work: () => Promise<void>): Promise<void> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    const working = work();
    const settled = working.catch(() => {});
    this.#holders.add(settled);
    try {
      await working;
    } finally {
      this.#holders.delete(settled);
    }
  }

  async exclusive(work: () => Promise<void>): Promise<void> {
    const before = this.#exclusive;
    const working = (async () => {
      await before;
      await Promise.all(this.#holders);
      await work();
    })();
    const settled = working.catch(() => {});
    this.#exclusive = settled;
    try {
      await working;
    } finally {
      if (this.#exclusive === settled) this.#exclusive = undefined;
    }
  }
}
