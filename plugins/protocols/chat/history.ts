/**
 * What was said in a room: kept, read page by page, and given to those who join.
 *
 * @module
 */

import { checkOptions } from "../../../core/mod.ts";
import type { Broker, Channels } from "../../channels.ts";
import { logChannel } from "./channels.ts";
import type { ChatMessage } from "./messages.ts";

/** How messages are kept. */
export interface HistoryOptions {
  /** Messages kept of each room. @default {1000} */
  messages?: number;
  /** How long each is kept. @default {604800000} a week */
  ms?: number;
  /** How many of them somebody gets who joins. @default {50} */
  onJoin?: number;
  /** Keeps them; a durable one keeps them over a restart. @default {the broker of all channels} */
  broker?: Broker;
}

/** Messages of a room. */
export interface HistoryPage {
  /** As JSON text, the oldest first. */
  readonly messages: readonly string[];
  /** Where the page before this one ends; absent when there is none. */
  readonly before?: number;
}

/** Keeps what is said. */
export interface ChatHistory {
  /** Keeps a message, then has it sent. Both happen between joins, so that nobody who joins misses or gets it twice. */
  say(message: ChatMessage, send: () => Promise<void>): Promise<void>;
  /** Lets somebody join with what was said before. */
  join(roomId: string, enter: (past: readonly string[]) => Promise<void>): Promise<void>;
  /** Reads a page: the latest messages, or those before a place. */
  page(roomId: string, limit: number, before?: number): Promise<HistoryPage>;
}

/** Options with everything decided. */
export type PreparedHistory = Required<Omit<HistoryOptions, "broker">> & Pick<HistoryOptions, "broker">;

/** Checks the options and adds the defaults. */
export function prepareHistory(given: HistoryOptions): PreparedHistory {
  const history = { messages: 1_000, ms: 604_800_000, onJoin: 50, ...given };
  const check = checkOptions("chat");
  check.positiveInteger("history.messages", history.messages);
  check.positiveInteger("history.ms", history.ms);
  check.wholeNumber("history.onJoin", history.onJoin);
  return history;
}

/** Begins to keep what is said. */
export function chatHistory(
  channels: Pick<Channels, "publish" | "history">,
  { onJoin }: PreparedHistory,
): ChatHistory {
  const turnstiles = new Map<string, Turnstile>();

  /** The turnstile of a room, as long as somebody is in it. */
  async function through(roomId: string, run: (turnstile: Turnstile) => Promise<void>): Promise<void> {
    let turnstile = turnstiles.get(roomId);
    if (turnstile === undefined) turnstiles.set(roomId, turnstile = new Turnstile());
    try {
      await run(turnstile);
    } finally {
      if (turnstile.idle && turnstiles.get(roomId) === turnstile) turnstiles.delete(roomId);
    }
  }

  async function page(roomId: string, limit: number, before?: number): Promise<HistoryPage> {
    const since = before === undefined ? undefined : { offset: before, epoch: "" };
    // One more than asked for tells whether there is a page before.
    const query = { limit: limit + 1, reverse: true, ...(since && { since }) };
    const { publications } = await channels.history(logChannel(roomId), query);
    const shown = publications.slice(0, limit).reverse();
    const more = publications.length > limit;
    return { messages: shown.map(({ payload }) => payload.text), ...(more && { before: shown[0]!.offset }) };
  }

  return {
    page,
    say: (message, send) =>
      through(message.RoomId, (turnstile) =>
        turnstile.shared(async () => {
          await channels.publish(logChannel(message.RoomId), message);
          await send();
        })),
    join: (roomId, enter) =>
      through(roomId, (turnstile) =>
        turnstile.alone(async () => {
          await enter(onJoin === 0 ? [] : (await page(roomId, onJoin)).messages);
        })),
  };
}

/** Many may pass together, or one alone; each in its turn. */
class Turnstile {
  readonly #passing = new Set<Promise<void>>();
  /** The last of those who go alone. */
  #alone: Promise<void> | undefined;

  get idle(): boolean {
    return this.#passing.size === 0 && this.#alone === undefined;
  }

  async shared(work: () => Promise<void>): Promise<void> {
    while (this.#alone !== undefined) await this.#alone;
    const passing = work();
    const passed = passing.catch(() => {});
    this.#passing.add(passed);
    try {
      await passing;
    } finally {
      this.#passing.delete(passed);
    }
  }

  async alone(work: () => Promise<void>): Promise<void> {
    const before = this.#alone;
    const turn = (async () => {
      await before;
      await Promise.all(this.#passing);
      await work();
    })();
    const over = turn.catch(() => {});
    this.#alone = over;
    try {
      await turn;
    } finally {
      if (this.#alone === over) this.#alone = undefined;
    }
  }
}
