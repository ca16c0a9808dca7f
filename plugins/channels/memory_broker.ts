/**
 * The memory broker: logs in this process, gone with it. Every call answers at once.
 *
 * @module
 */

import { checkOptions, type Clock, systemClock } from "../../core/mod.ts";
import type { Broker, BrokerEvents, Retention } from "./broker.ts";
import type { Draft, History, HistoryQuery, Position, Publication } from "./publications.ts";

/** Options of {@linkcode memoryBroker}. */
export interface MemoryBrokerOptions {
  /** Characters of payload kept in all logs together; beyond it the longest unused logs are emptied. @default {268435456} */
  maxChars?: number;
  /** How long a log without publications is remembered, so that its offsets go on. @default {2592000000} 30 days */
  forgetAfterMs?: number;
}

/** How often expired publications are removed, and how many logs are looked at each time. */
const SWEEP_MS = 1_000;
const SWEEP_LOGS = 10_000;

/** One channel's log. */
class Log {
  readonly epoch: string;
  readonly publications: Publication[] = [];
  offset = 0;
  chars = 0;
  usedAt = 0;
  ageMs = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  append(publication: Publication, size: number): void {
    this.publications.push(publication);
    this.chars += publication.payload.text.length;
    while (this.publications.length > size) this.#removeOldest();
  }

  expire(now: number): void {
    while (this.publications.length > 0 && this.publications[0]!.time <= now - this.ageMs) {
      this.#removeOldest();
    }
  }

  clear(): void {
    this.publications.length = 0;
    this.chars = 0;
  }

  #removeOldest(): void {
    this.chars -= this.publications.shift()!.payload.text.length;
  }
}

/**
 * A broker within this process.
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
  let chars = 0;
  /**
   * The epoch of channels without a log, so that reading an empty channel leaves nothing behind. It changes when a
   * log is forgotten: who has a position in that log must not take a new log for the old one.
   */
  let emptyEpoch = newEpoch();
  let events: BrokerEvents | undefined;
  let clock: Clock = systemClock;
  let endSweep: (() => void) | undefined;
  let sweeping: Iterator<[string, Log]> = logs.entries();

  function logOf(channel: string): Log {
    const log = logs.get(channel) ?? new Log(emptyEpoch);
    logs.delete(channel);
    logs.set(channel, log);
    return log;
  }

  function counted(log: Log, change: () => void): void {
    const before = log.chars;
    change();
    chars += log.chars - before;
  }

  function append(channel: string, draft: Draft, keep: Retention): { log: Log; publication: Publication } {
    const log = logOf(channel);
    const publication = { ...draft, offset: ++log.offset, time: clock.now() };
    log.usedAt = publication.time;
    log.ageMs = keep.ageMs;
    counted(log, () => log.append(publication, keep.size));
    for (const [name, unused] of logs) {
      if (chars <= maxChars) break;
      counted(unused, () => unused.clear());
      logs.delete(name);
      logs.set(name, unused); // what is empty needs no second look
    }
    return { log, publication };
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
      counted(log, () => log.expire(now));
      if (log.publications.length === 0 && log.usedAt <= now - forgetAfterMs) {
        logs.delete(channel);
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
    announce(channel, kind, info) {
      events?.presence(channel, kind, info);
    },
    subscribe() {},
    unsubscribe() {},
    history(channel, query) {
      const log = logs.get(channel);
      if (log === undefined) return { publications: [], top: { offset: 0, epoch: emptyEpoch } };
      counted(log, () => log.expire(clock.now()));
      return { publications: select(log.publications, log.epoch, query), top: positionOf(log) };
    },
    removeHistory(channel) {
      const log = logs.get(channel);
      if (log !== undefined) counted(log, () => log.clear());
    },
  };
}

function positionOf({ offset, epoch }: Log): Position {
  return { offset, epoch };
}

/** The publications a query asks for, of a log in ascending order. */
function select(log: readonly Publication[], epoch: string, query: HistoryQuery): History["publications"] {
  const { limit = Infinity, since, reverse = false } = query;
  if (limit === 0 || (since !== undefined && since.epoch !== "" && since.epoch !== epoch)) return [];
  const first = log[0]?.offset ?? 1;
  // Offsets in a log have no gaps, so a position is an index.
  if (reverse) {
    const end = since === undefined ? log.length : clamp(since.offset - first, log.length);
    return log.slice(Math.max(0, end - limit), end).reverse();
  }
  const begin = since === undefined ? 0 : clamp(since.offset + 1 - first, log.length);
  return log.slice(begin, begin + limit);
}

function clamp(index: number, length: number): number {
  return Math.min(Math.max(index, 0), length);
}

function newEpoch(): string {
  return crypto.randomUUID().slice(0, 8);
}
