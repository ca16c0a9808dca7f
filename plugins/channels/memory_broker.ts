/**
 * The memory broker keeps histories in this process. Every call answers at once.
 *
 * @module
 */

import { checkOptions, type Clock, systemClock } from "../../core/mod.ts";
import type { Broker, BrokerEvents, Retention } from "./broker.ts";
import type { Draft, History, HistoryQuery, Publication } from "./publications.ts";

/** Options of {@linkcode memoryBroker}. */
export interface MemoryBrokerOptions {
  /** The maximum size of all payloads together, in characters; beyond it, the longest unused histories are emptied. @default {268435456} */
  maxChars?: number;
  /** How long the position of an unused history is kept, so that its offsets go on. @default {2592000000} 30 days */
  forgetAfterMs?: number;
}

/** How often expired publications are removed, and how many histories are checked each time. */
const SWEEP_MS = 1_000;
const SWEEP_LOGS = 10_000;

/** The history of one channel. */
class Log {
  readonly epoch: string;
  offset = 0;
  chars = 0;
  usedAt = 0;
  ageMs = 0;
  /** Publications, the oldest first; those before `#start` are removed and cleared. */
  readonly #publications: (Publication | undefined)[] = [];
  #start = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  get length(): number {
    return this.#publications.length - this.#start;
  }

  append(publication: Publication, size: number): void {
    this.#publications.push(publication);
    this.chars += publication.payload.content.length;
    while (this.length > size) this.#removeOldest();
  }

  expire(now: number): void {
    while (this.length > 0 && this.#publications[this.#start]!.time <= now - this.ageMs) this.#removeOldest();
  }

  clear(): void {
    this.#publications.length = this.#start = this.chars = 0;
  }

  /** Reads what a query asks for. Offsets have no gaps, so a position is an index. */
  read({ limit = Infinity, since, reverse = false }: HistoryQuery): readonly Publication[] {
    if (limit === 0 || (since !== undefined && since.epoch !== "" && since.epoch !== this.epoch)) return [];
    const { length } = this;
    const first = this.offset - length + 1;
    if (reverse) {
      const end = since === undefined ? length : clamp(since.offset - first, length);
      return this.#slice(Math.max(0, end - limit), end).reverse();
    }
    const begin = since === undefined ? 0 : clamp(since.offset + 1 - first, length);
    return this.#slice(begin, begin + limit);
  }

  #slice(begin: number, end: number): Publication[] {
    return this.#publications.slice(this.#start + begin, this.#start + end) as Publication[];
  }

  /** Moves the start rather than all others: `shift` took a fifth of a publish. */
  #removeOldest(): void {
    this.chars -= this.#publications[this.#start]!.payload.content.length;
    this.#publications[this.#start++] = undefined;
    if (this.#start > this.length) {
      this.#publications.splice(0, this.#start);
      this.#start = 0;
    }
  }
}

/**
 * Creates a broker in this process.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels, memoryBroker } from "@plugboard/server/channels";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels({ broker: memoryBroker() }));
 * ```
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): Broker {
  const { maxChars = 268_435_456, forgetAfterMs = 2_592_000_000 } = options;
  const check = checkOptions("the memory broker");
  check.positiveInteger("maxChars", maxChars);
  check.positiveInteger("forgetAfterMs", forgetAfterMs);

  /** By the time of their last publication, the longest unused first. */
  const logs = new Map<string, Log>();
  let newest: Log | undefined;
  let chars = 0;
  /**
   * The epoch of new histories, so that reading an empty channel stores nothing. It changes when a history is
   * forgotten: a client with a position in it must not take a new history for the old one.
   */
  let emptyEpoch = newEpoch();
  let events: BrokerEvents | undefined;
  let clock: Clock = systemClock;
  let endSweep: (() => void) | undefined;
  let sweeping: Iterator<[string, Log]> = logs.entries();

  function moveToEnd(channel: string, log: Log): void {
    logs.delete(channel);
    logs.set(channel, log);
    newest = log;
  }

  /** Changes a log and counts what it keeps. */
  function change(log: Log, work: () => void): void {
    chars -= log.chars;
    work();
    chars += log.chars;
  }

  function append(channel: string, draft: Draft, keep: Retention): { log: Log; publication: Publication } {
    const log = logs.get(channel) ?? new Log(emptyEpoch);
    if (log !== newest) moveToEnd(channel, log);
    const publication = { ...draft, offset: ++log.offset, time: clock.now() };
    log.usedAt = publication.time;
    log.ageMs = keep.ageMs;
    change(log, () => log.append(publication, keep.size));
    if (chars > maxChars) evict();
    return { log, publication };
  }

  function evict(): void {
    for (const [name, log] of logs) {
      if (chars <= maxChars) break;
      change(log, () => log.clear());
      moveToEnd(name, log); // It is empty: evicting need not look at it again.
    }
  }

  function sweep(): void {
    const now = clock.now();
    for (let i = 0; i < SWEEP_LOGS; i++) {
      const { value, done } = sweeping.next();
      if (done) {
        sweeping = logs.entries();
        return;
      }
      const [channel, log] = value;
      change(log, () => log.expire(now));
      if (log.length === 0 && log.usedAt <= now - forgetAfterMs) {
        logs.delete(channel);
        if (log === newest) newest = undefined;
        emptyEpoch = newEpoch();
      }
    }
  }

  return {
    start(given, host) {
      events = given;
      clock = host.clock;
      endSweep = clock.every(SWEEP_MS, sweep);
    },
    stop() {
      endSweep?.();
    },
    publish(channel, draft, { keep }) {
      if (keep === undefined) {
        const publication = { ...draft, offset: 0, time: clock.now() };
        return { offset: 0, epoch: "", receivers: events?.publication(channel, publication, "") ?? 0 };
      }
      const { log: { epoch }, publication } = append(channel, draft, keep);
      const receivers = events?.publication(channel, publication, epoch) ?? 0;
      return { offset: publication.offset, epoch, receivers };
    },
    announce(channel, announcement) {
      events?.presence(channel, announcement);
    },
    subscribe() {},
    unsubscribe() {},
    history(channel, query): History {
      const log = logs.get(channel);
      if (log === undefined) return { publications: [], top: { offset: 0, epoch: emptyEpoch } };
      change(log, () => log.expire(clock.now()));
      return { publications: log.read(query), top: { offset: log.offset, epoch: log.epoch } };
    },
    removeHistory(channel) {
      const log = logs.get(channel);
      if (log !== undefined) change(log, () => log.clear());
    },
  };
}

function clamp(index: number, length: number): number {
  return Math.min(Math.max(index, 0), length);
}

function newEpoch(): string {
  return crypto.randomUUID().slice(0, 8);
}
