/**
 * The memory broker keeps histories in this process. Every call answers at once.
 *
 * @module
 */

import { checkOptions, type Clock, systemClock } from "../../core/mod.ts";
import { memoryResults, once } from "../shared/idempotency.ts";
import { Shares } from "../shared/shares.ts";
import type { Broker, BrokerEvents, BrokerPublishOptions, PublicationVersion, Retention } from "./broker.ts";
import { epochs } from "./memory/epochs.ts";
import { Log } from "./memory/log.ts";
import type { Draft, History, Publication, Published } from "./publications.ts";

/** Options of {@linkcode memoryBroker}. */
export interface MemoryBrokerOptions {
  /**
   * The maximum size of all histories together, in characters: a publication counts as 300, its payload and its tags, a channel as
   * 800. Beyond it, histories are removed: of the users who have most, the longest unused first; those of channels that
   * the server published to first come last. @default {268435456}
   */
  maxChars?: number;
  /** How long the position of an unused history is kept, so that its offsets go on. @default {2592000000} 30 days */
  forgetAfterMs?: number;
  /**
   * The maximum number of idempotency keys, which take at most 500 characters each on average. Beyond it, keys are
   * forgotten before their time: of the users who have most, the oldest first; those of the server last. @default {100000}
   */
  maxKeys?: number;
}

/** The average size of a key, with which the size of all is bounded. */
const KEY_CHARS = 500;

/** How often expired publications are removed, and how many histories are checked each time. */
const SWEEP_MS = 1_000;
const SWEEP_LOGS = 10_000;

/** Removing histories goes on to this part of the bound, so that it is not repeated for each publication. */
const EVICT_TO = 0.95;

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
  const { maxChars = 268_435_456, forgetAfterMs = 2_592_000_000, maxKeys = 100_000 } = options;
  const check = checkOptions("the memory broker");
  check.positiveInteger("maxChars", maxChars);
  check.positiveInteger("forgetAfterMs", forgetAfterMs);
  check.positiveInteger("maxKeys", maxKeys);

  const logs = new Map<string, Log>();
  const shares = new Shares<Log>();
  const results = memoryResults<Published>({
    maxEntries: maxKeys,
    maxChars: maxKeys * KEY_CHARS,
    clock: () => clock,
  });
  /** Logs without publications, the longest empty first. */
  const empty = new Set<Log>();
  /** Channels with subscribers on this node. Their positions are kept. */
  const subscribed = new Set<string>();
  const epoch = epochs();
  let newest: Log | undefined;
  let size = 0;
  let events: BrokerEvents | undefined;
  let clock: Clock = systemClock;
  let endSweep: (() => void) | undefined;
  let sweeping: Iterator<Log> = logs.values();

  /** Returns the log of a channel, which is now the one that was used last. */
  function use(channel: string, user: string | undefined): Log {
    let log = logs.get(channel);
    if (log === undefined) {
      logs.set(channel, log = new Log(channel, epoch.of(channel)));
      size += log.size;
    }
    if (log.owner === undefined) {
      empty.delete(log);
      shares.assign(log, user);
    } else if (log !== newest) {
      log.owner.items.delete(log);
      log.owner.items.add(log);
    }
    return newest = log;
  }

  /** Changes a log and counts what it keeps. */
  function change(log: Log, work: () => void): void {
    const before = log.size;
    work();
    size += log.size - before;
    if (log.owner === undefined) return;
    log.owner.size += log.size - before;
    if (log.length > 0) return;
    shares.release(log);
    empty.add(log);
  }

  function append(
    channel: string,
    draft: Draft,
    keep: Retention,
    version: PublicationVersion | undefined,
  ): { log: Log; publication: Publication } {
    const log = use(channel, draft.info?.user);
    const payload = draft.payload.detached();
    const publication = { ...draft, payload, offset: ++log.offset, time: clock.wallTime() };
    log.usedAt = clock.monotonicTime();
    log.ageMs = keep.ageMs;
    change(log, () => {
      if (version !== undefined) log.version = version;
      log.append(publication, log.usedAt, keep.size);
    });
    if (size > maxChars) evict();
    return { log, publication };
  }

  function publish(channel: string, draft: Draft, { keep, version }: BrokerPublishOptions): Published {
    if (keep === undefined) {
      const publication = { ...draft, offset: 0, time: clock.wallTime() };
      return { offset: 0, epoch: "", receivers: events?.publication(channel, publication, "") ?? 0 };
    }
    if (version !== undefined) {
      const log = logs.get(channel);
      if (log !== undefined && isOutdated(version, log.version)) {
        return { offset: log.offset, epoch: log.epoch, receivers: 0, suppressed: "version" };
      }
    }
    const { log, publication } = append(channel, draft, keep, version);
    const receivers = events?.publication(channel, publication, log.epoch) ?? 0;
    return { offset: publication.offset, epoch: log.epoch, receivers };
  }

  /** Forgets a log without publications; `false` if its channel has subscribers. */
  function forget(log: Log): boolean {
    if (subscribed.has(log.channel)) return false;
    empty.delete(log);
    logs.delete(log.channel);
    size -= log.size;
    epoch.next(log.channel);
    return true;
  }

  function evict(): void {
    const target = maxChars * EVICT_TO;
    for (const log of empty) {
      if (size <= target) return;
      forget(log);
    }
    for (const log of shares.largest()) {
      if (size <= target) return;
      change(log, () => log.clear());
      forget(log);
    }
  }

  function sweep(): void {
    const now = clock.monotonicTime();
    for (let i = 0; i < SWEEP_LOGS; i++) {
      const { value: log, done } = sweeping.next();
      if (done) {
        sweeping = logs.values();
        break;
      }
      change(log, () => log.expire(now));
    }
    for (const log of empty.values().take(SWEEP_LOGS)) {
      if (log.usedAt > now - forgetAfterMs) return;
      if (forget(log)) continue;
      log.usedAt = now;
      empty.delete(log);
      empty.add(log);
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
    publish(channel, draft, options) {
      if (options.repeatable === undefined) return publish(channel, draft, options);
      let repeated = true;
      const first = once(results, options.repeatable, () => {
        repeated = false;
        return publish(channel, draft, options);
      });
      return repeated ? { ...first, receivers: 0, suppressed: "idempotency" } : first;
    },
    announce(channel, announcement) {
      events?.presence(channel, announcement);
    },
    subscribe: (channel) => void subscribed.add(channel),
    unsubscribe: (channel) => void subscribed.delete(channel),
    history(channel, query): History {
      const log = logs.get(channel);
      if (log === undefined) return { publications: [], top: { offset: 0, epoch: epoch.of(channel) } };
      change(log, () => log.expire(clock.monotonicTime()));
      return { publications: log.read(query), top: { offset: log.offset, epoch: log.epoch } };
    },
    removeHistory(channel) {
      const log = logs.get(channel);
      if (log !== undefined) change(log, () => log.clear());
    },
  };
}

/** Whether a publication of this version is dropped. */
function isOutdated(version: PublicationVersion, latest: PublicationVersion | undefined): boolean {
  return latest !== undefined && latest.epoch === version.epoch && latest.number >= version.number;
}
