/**
 * The SQLite broker stores the history of channels in a database. A publish resolves when it is in the file.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { persistence } from "@plugboard/server/persistence";
 * import { sqliteBroker } from "@plugboard/server/sqlite_broker";
 *
 * const server = new Server({ port: 0 });
 * const store = server.use(persistence({ path: ":memory:" }));
 * const bus = server.use(channels({ namespaces: { orders: { broker: sqliteBroker({ store }) } } }));
 * ```
 *
 * Many publications share a transaction. Channels without history do not use the database.
 *
 * In the file, a publication is in the table `channel_tail` at first, and some seconds later in `channel_publications`.
 *
 * @module
 */

import { checkOptions, type Clock, messageOf, systemClock } from "../core/mod.ts";
import type { Broker, BrokerEvents, Draft, History, HistoryQuery, Published, Retention } from "./channels.ts";
import type { Migration, Store, Transaction } from "./persistence.ts";
import { history } from "./sqlite_broker/history.ts";
import { logEndsOf } from "./sqlite_broker/log_ends.ts";
import { type Sweep, sweep } from "./sqlite_broker/sweep.ts";
import { append, appendOnce, type Stored } from "./sqlite_broker/writes.ts";

/** Options of {@linkcode sqliteBroker}. */
export interface SqliteBrokerOptions {
  /** The database. */
  store: Pick<Store, "all" | "get" | "write" | "migrate" | "keyValues" | "problem">;
  /** How long the position of an unused history is kept, so that its offsets go on. @default {2592000000} 30 days */
  forgetAfterMs?: number;
  /**
   * The maximum number of idempotency keys, of all brokers on the database. Beyond it, keys are forgotten before their
   * time: of the user who has most, the oldest first. @default {100000}
   */
  maxKeys?: number;
  /** Called when background work fails. It is retried. @default {a warning in the log} */
  onError?: (message: string) => void;
}

const MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE channel_logs (
    id INTEGER PRIMARY KEY,
    channel TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    top INTEGER NOT NULL,
    size INTEGER NOT NULL,
    age_ms INTEGER NOT NULL,
    used_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE channel_publications (
    log INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    time INTEGER NOT NULL,
    json TEXT NOT NULL,
    info TEXT,
    tags TEXT,
    PRIMARY KEY (log, offset)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE channel_epoch (epoch TEXT NOT NULL) STRICT;
  INSERT INTO channel_epoch VALUES (lower(hex(randomblob(4))));
`,
  "ALTER TABLE channel_publications ADD COLUMN bytes BLOB",
  "ALTER TABLE channel_logs ADD COLUMN version INTEGER; ALTER TABLE channel_logs ADD COLUMN version_epoch TEXT",
  // Nothing changes but the meaning: `top` may lag behind. Programs that do not know that must not use the file.
  "UPDATE channel_logs SET top = top WHERE false",
  `
  CREATE TABLE channel_tail (
    id INTEGER PRIMARY KEY,
    log INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    time INTEGER NOT NULL,
    json TEXT NOT NULL,
    info TEXT,
    tags TEXT,
    bytes BLOB
  ) STRICT
`,
];

const SETTLE = "UPDATE channel_logs SET top = max(top, ?), used_at = ? WHERE id = ?";

/** Creates a broker on a database. */
export function sqliteBroker(options: SqliteBrokerOptions): Broker {
  const { store, forgetAfterMs = 2_592_000_000, maxKeys = 100_000, onError } = options;
  const check = checkOptions("the SQLite broker");
  check.positiveInteger("forgetAfterMs", forgetAfterMs);
  check.positiveInteger("maxKeys", maxKeys);
  const keys = store.keyValues<Stored>("channel_keys", { maxEntries: maxKeys });
  const ends = logEndsOf(store);
  let events: BrokerEvents | undefined;
  let clock: Clock = systemClock;
  let migrated = false;
  let sweeping: Sweep | undefined;

  async function migrate(): Promise<void> {
    await store.migrate("channels", MIGRATIONS);
    await store.write((tx) => ends.load(tx));
    migrated = true;
  }

  /** Writes, then delivers. Writes resolve in the order of the calls, so deliveries keep it. */
  async function publish(
    channel: string,
    draft: Draft,
    write: (tx: Transaction, time: number) => Stored,
  ): Promise<Published> {
    const time = clock.wallTime();
    const tables = migrated ? undefined : migrate();
    const writing = store.write((tx) => write(tx, time));
    if (tables !== undefined) await Promise.all([tables, writing]);
    const stored = await writing;
    if (stored.suppressed !== undefined) return { ...stored, receivers: 0 };
    const { offset, epoch } = stored;
    const receivers = events?.publication(channel, { ...draft, offset, time }, epoch) ?? 0;
    return { offset, epoch, receivers };
  }

  function read(channel: string, query: HistoryQuery, keep: Retention): History {
    return history(store, ends, channel, query, keep, clock.wallTime());
  }

  return {
    async start(given, host) {
      events = given;
      clock = host.clock;
      try {
        await migrate();
      } catch (error) {
        // While the file has a problem, channels without history work, and others fail until it is solved.
        if (store.problem === undefined) throw error;
      }
      const failed = (error: unknown) => {
        if (!migrated || store.problem !== undefined) return; // the store reports its own problems
        const report = onError ?? host.log.warn;
        report(`Old publications were not removed: ${messageOf(error)}`);
      };
      sweeping = sweep({ store, ends, clock, forgetAfterMs, failed });
    },
    async stop() {
      await sweeping?.end();
    },
    publish(channel, draft, how) {
      const { keep } = how;
      if (how.repeatable !== undefined || how.version !== undefined) {
        return publish(channel, draft, (tx, time) => appendOnce(tx, ends, keys, channel, draft, how, time));
      }
      if (keep !== undefined) {
        return publish(channel, draft, (tx, time) => append(tx, ends, channel, draft, keep, time));
      }
      const publication = { ...draft, offset: 0, time: clock.wallTime() };
      return { offset: 0, epoch: "", receivers: events?.publication(channel, publication, "") ?? 0 };
    },
    announce: (channel, announcement) => events?.presence(channel, announcement),
    subscribe() {},
    unsubscribe() {},
    history(channel, query, keep) {
      return migrated ? read(channel, query, keep) : migrate().then(() => read(channel, query, keep));
    },
    async removeHistory(channel) {
      if (!migrated) await migrate();
      await store.write((tx) => {
        const log = ends.find(tx, channel);
        if (log === undefined) return;
        tx.run(SETTLE, [log.top, clock.wallTime(), log.id]); // also removes what is in the tail
        tx.run("DELETE FROM channel_publications WHERE log = ?", [log.id]);
      });
    },
  };
}
