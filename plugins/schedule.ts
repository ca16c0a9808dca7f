/**
 * Schedule: publications at a moment, after a delay, or again and again. They are in the database, so that a restart loses
 * none.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { persistence } from "@plugboard/server/persistence";
 * import { schedule } from "@plugboard/server/schedule";
 *
 * const server = new Server({ port: 0 });
 * const store = server.use(persistence({ path: ":memory:" }));
 * const bus = server.use(channels());
 * const later = server.use(schedule({ channels: bus, store }));
 * await server.start();
 *
 * const { id } = await later.publish("orders:17", { remind: true }, { delay: 600_000 });
 * await later.publish("news", { edition: "morning" }, { every: "0 7 * * *", timezone: "Europe/Berlin", id: "news" });
 * await later.cancel("orders:17", id);
 *
 * await server.stop();
 * ```
 *
 * What fell due while the server was down is published when it is back, in order, if it is not too old. A recurring
 * publication that was missed several times is published once.
 *
 * @module
 */

import { built, checkOptions, type Host, PlugboardError, type Plugin, systemClock } from "../core/mod.ts";
import type { Bus, ChannelControl } from "./channels.ts";
import type { Store } from "./persistence.ts";
import {
  type EntryRow,
  lastSeq,
  list,
  MIGRATIONS,
  type NewEntry,
  type Put,
  put,
  removeById,
  sizeOf,
  storedSkew,
  totals,
} from "./schedule/entries.ts";
import { checkIdempotencyKey, keyOf, once, type Repeatable, serverOwner } from "./shared/idempotency.ts";
import { Quota } from "./schedule/quota.ts";
import { recurrence } from "./schedule/recurrence.ts";
import { checkTexts, entryOf } from "./schedule/request.ts";
import { Runner } from "./schedule/runner.ts";
import { Times } from "./schedule/times.ts";
import type { Schedule, Scheduled } from "./schedule/types.ts";

export type * from "./schedule/types.ts";

/** Options of {@linkcode schedule}. */
export interface ScheduleOptions {
  /** Where to publish. */
  channels: Pick<Bus & ChannelControl, "publish" | "namespaceOf">;
  /** The database. */
  store: Pick<Store, "all" | "get" | "write" | "migrate" | "keyValues" | "problem">;
  /** How late a publication may be after the server was down, or while it fails. @default {3600000} an hour */
  maxLateMs?: number;
  /** The maximum number of scheduled publications. @default {100000} */
  maxPublications?: number;
  /** The maximum number of those of one user. @default {1000} */
  maxPerUser?: number;
  /** The maximum bytes of all of them; one user may have a tenth. @default {268435456} */
  maxBytes?: number;
  /** How long an idempotency key is stored. @default {300000} five minutes */
  rememberMs?: number;
  /**
   * Whether this process publishes what is due; asked ten times a second. Of several processes that share the scheduled
   * publications, one does. @default {always}
   */
  leads?: () => boolean;
}

/** What is remembered of a request. */
type Stored = Pick<EntryRow, "id" | "seq" | "planned" | "steady">;

/** How often to look for what is due. */
const LOOK_MS = 100;

/** The maximum number of publications in a list. */
const MAX_LISTED = 1_000;

/** Publishes later. */
export function schedule(options: ScheduleOptions): Plugin<Schedule> {
  const { channels, store, maxLateMs = 3_600_000, leads = () => true } = options;
  const { maxPublications = 100_000, maxPerUser = 1_000, maxBytes = 268_435_456 } = options;
  const { rememberMs = 300_000 } = options;
  const limits = { maxLateMs, maxPublications, maxPerUser, maxBytes, rememberMs };
  const check = checkOptions("schedule");
  for (const [name, value] of Object.entries(limits)) check.positiveInteger(name, value);

  const quota = new Quota(limits);
  const pattern = recurrence();
  const keys = store.keyValues<Stored>("schedule_keys");
  let host: Host | undefined;
  let times = new Times(systemClock, 0);
  let runner: Runner | undefined;
  let opening: Promise<void> | undefined;
  let endLooking = () => {};

  async function open({ clock, log }: Host): Promise<void> {
    await store.migrate("schedule", MIGRATIONS);
    for (const { owner, size, entries } of totals(store)) quota.add(owner, size, entries);
    times = new Times(clock, storedSkew(store));
    runner = new Runner({
      channels,
      store,
      clock,
      log,
      times,
      quota,
      pattern,
      maxLateMs,
      earlierTo: lastSeq(store),
    });
  }

  /** Resolves when the tables are there. */
  function ready(): Promise<void> {
    if (host === undefined) {
      return Promise.reject(new PlugboardError("not_started", "The schedule opens when the server starts"));
    }
    return opening ??= open(host).catch((error) => {
      opening = undefined;
      throw error;
    });
  }

  async function add(entry: NewEntry, idempotencyKey: string | undefined): Promise<Stored> {
    const size = sizeOf(entry);
    const repeatable = idempotencyKey === undefined ? undefined : repeatableOf(entry, idempotencyKey);
    /** Absent if the request was repeated. */
    let added: Put | undefined;
    quota.reserve(entry.owner, size);
    try {
      return await store.write((tx) => {
        added = undefined;
        const work = (): Stored => {
          added = put(tx, entry);
          return { id: entry.id, seq: added.seq, planned: added.planned, steady: entry.steady };
        };
        return repeatable === undefined ? work() : once(keys.within(tx), repeatable, work);
      });
    } catch (error) {
      added = undefined;
      throw error;
    } finally {
      const unused = added === undefined ? { owner: entry.owner, size } : added.replaced;
      if (unused !== undefined) quota.release(unused.owner, unused.size);
    }
  }

  function repeatableOf({ owner, channel }: NewEntry, idempotencyKey: string): Repeatable {
    checkIdempotencyKey(idempotencyKey);
    const whose = owner === null ? serverOwner : JSON.stringify(owner);
    return { key: keyOf(whose, channel, idempotencyKey), owner: whose, ttlMs: rememberMs };
  }

  /** As the caller sees it: delays are told by the wall clock. */
  function shown(
    { channel, id, seq, owner, steady, planned, every, timezone }: Omit<EntryRow, "due" | "tries" | "size">,
  ): Scheduled {
    return {
      channel,
      id,
      seq,
      at: steady === 1 ? planned + times.skew : planned,
      ...(every !== null && { every, timezone: timezone! }),
      ...(owner !== null && { owner }),
    };
  }

  return built({
    name: "schedule",
    api: {
      async publish(channel, data, request) {
        await ready();
        const entry = entryOf(channel, data, request, { channels, times, pattern });
        await runner!.settled(channel, entry.id);
        return shown({ ...entry, ...await add(entry, request.idempotencyKey) });
      },
      async list(query = {}) {
        await ready();
        const { limit = 100, channel, owner } = query;
        checkTexts({ channel, owner });
        if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LISTED) {
          throw new PlugboardError(
            "bad_request",
            `"limit" must be between 1 and ${MAX_LISTED}, got ${limit}`,
          );
        }
        return list(store, { ...query, limit }).map(shown);
      },
      async cancel(channel, id, { owner } = {}) {
        await ready();
        checkTexts({ channel, id, owner });
        await runner!.settled(channel, id);
        const removed = await store.write((tx) => removeById(tx, channel, id, owner));
        if (removed === undefined) return false;
        quota.release(removed.owner, removed.size);
        return true;
      },
    },
    async start(given) {
      host = given;
      try {
        await ready();
      } catch (error) {
        // While the file has a problem, the schedule waits for it.
        if (store.problem === undefined) throw error;
      }
      endLooking = given.clock.every(LOOK_MS, () => {
        if (runner === undefined) void ready().catch(() => {});
        else if (leads()) runner.look();
      });
    },
    async stop() {
      endLooking();
      await runner?.stop();
    },
  }, options);
}
