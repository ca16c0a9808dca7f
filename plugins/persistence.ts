/**
 * Persistence: one SQLite file for the histories of channels, for data of plugins, and for the app's own tables.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { persistence } from "@plugboard/server/persistence";
 *
 * const server = new Server({ port: 0 });
 * const store = server.use(persistence({ path: ":memory:" }));
 * await server.start();
 *
 * await store.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total REAL NOT NULL)");
 * await store.write((tx) => {
 *   tx.run("INSERT INTO orders (customer, total) VALUES (?, ?)", ["Ada", 12.5]);
 *   tx.run("INSERT INTO orders (customer, total) VALUES (:customer, :total)", { customer: "Bob", total: 7 });
 * });
 * store.get("SELECT count(*) AS orders FROM orders"); // { orders: 2 }
 *
 * await server.stop();
 * ```
 *
 * Writes of one turn of the event loop share a transaction. Their promises resolve when it is durable.
 *
 * @module
 */

import { built, checkOptions, type Host, PlugboardError, type Plugin } from "../core/mod.ts";
import { concernsFile } from "./persistence/failures.ts";
import type { Durability } from "./persistence/file.ts";
import { isolatedReads } from "./persistence/isolated/reads.ts";
import type { IsolatedReads } from "./persistence/isolated/types.ts";
import { KEY_VALUE_TABLES, keyValues, OWNER_TABLES, sweep } from "./persistence/key_values.ts";
import { migrate } from "./persistence/migrations.ts";
import { type OpenStore, openStore, STORE_TABLES } from "./persistence/store.ts";
import type { Store } from "./persistence/types.ts";
import { type Metrics, SECONDS } from "./shared/metrics.ts";

export type { Durability } from "./persistence/file.ts";
export type * from "./persistence/isolated/types.ts";
export type * from "./persistence/sql_types.ts";
export type * from "./persistence/types.ts";

/** Options of {@linkcode persistence}. */
export interface PersistenceOptions {
  /** The database file. It and its folder are created if missing. `:memory:` stores nothing. @default {"data/plugboard.db"} */
  path?: string;
  /**
   * Whether the server needs the file to start. If not, and the file is damaged, locked, full or not accessible, the log and
   * `problem` say so, the server runs without it, and opens it later; see {@linkcode Store}. A damaged file is not
   * tried again, and the file of a newer program always prevents the start. Plugins that read something when they start,
   * such as revocations in sign-in, do not start without the file. @default {true}
   */
  required?: boolean;
  /** What an acknowledged write survives. @default {"normal"} */
  durability?: Durability;
  /** Maximum size of the file, in steps of 4096; writes beyond it fail with `disk_full`. @default {Infinity} */
  maxBytes?: number;
  /** Memory for pages of the file. @default {16777216} */
  cacheBytes?: number;
  /** Maximum cached prepared statements. @default {2000} */
  maxStatements?: number;
  /** Maximum writes that wait for the disk; more are refused with `overloaded`. @default {10000} */
  maxQueuedWrites?: number;
  /** For how long writes wait while another process keeps the file locked; later ones fail at once. @default {5000} */
  lockTimeoutMs?: number;
  /** The size of the write-ahead log at which a checkpoint in the background begins. @default {16777216} */
  checkpointBytes?: number;
  /** How often to check for writes of other processes while there are watches. @default {250} */
  pollMs?: number;
  /** Counts commits, their writes, and their duration. */
  metrics?: Pick<Metrics, "counter" | "histogram">;
}

/** From this multiple of `checkpointBytes` on, checkpoints block the event loop. */
const MAX_WAL_CHECKPOINTS = 16;

/** How often to remove expired key-value entries. */
const SWEEP_MS = 10_000;

/** How long to wait before a file that could not be opened is tried again. */
const REOPEN_MS = 1_000;

/** Stores data in a SQLite file. */
export function persistence(options: PersistenceOptions = {}): Plugin<Store> {
  const settings = checked(options);
  const committed = options.metrics && countCommits(options.metrics);
  let opened: OpenStore | undefined;
  /** Why the file is not open although the server has started. */
  let missing: PlugboardError | undefined;
  let host: Host;
  let cancelReopening: (() => void) | undefined;
  let reopening: Promise<void> | undefined;
  let cancelSweeps: (() => void) | undefined;
  let sweeping = false;
  let stopped = false;
  const isolated = new Set<IsolatedReads>();

  function open(): OpenStore {
    if (opened !== undefined) return opened;
    throw notOpen();
  }

  function notOpen(): PlugboardError {
    if (stopped) return new PlugboardError("stopped", "The database is closed");
    return missing ?? new PlugboardError("not_started", "The database opens when the server starts");
  }

  const store: Store = {
    path: settings.path,
    all: (sql, params, limits) => open().all(sql, params, limits),
    get: (sql, params) => open().get(sql, params),
    // Not `async`, which would add a promise to each write.
    write: (fn) => opened?.write(fn) ?? Promise.reject(notOpen()),
    run: (sql, params) => store.write((tx) => tx.run(sql, params)),
    exec: (script) => store.write((tx) => tx.exec(script)),
    inspect: (sql) => open().inspect(sql),
    table: (name) => open().table(name),
    migrate: (owner, migrations) => migrate(store, owner, migrations, () => host.clock.wallTime()),
    watch: (listener, tables) => open().watch(listener, tables),
    keyValues: (namespace, limits = {}) => keyValues(store, namespace, limits, () => host.clock.wallTime()),
    isolated(how = {}) {
      const reads = isolatedReads(settings.path, how, open, () => host.clock);
      isolated.add(reads);
      return reads;
    },
    backup: async (path) => await open().backup(path),
    get inTransaction() {
      return opened?.inTransaction ?? false;
    },
    get problem() {
      return missing?.message ?? opened?.problem;
    },
  };

  async function openFile(lockTimeoutMs: number): Promise<void> {
    opened = openStore({ ...settings, committed, openTimeoutMs: lockTimeoutMs }, host.clock, host.log);
    try {
      await store.migrate("persistence", [STORE_TABLES, KEY_VALUE_TABLES, OWNER_TABLES]);
      opened.checkUnlessClean();
    } catch (error) {
      await closeFile();
      throw error;
    }
  }

  async function closeFile(): Promise<void> {
    await opened?.close();
    opened = undefined;
  }

  /** Runs without the file, and opens it later unless it is damaged. */
  function runWithout(failure: PlugboardError): void {
    if (failure.message !== missing?.message) host.log.error(failure.message, { code: failure.code });
    missing = failure;
    if (failure.code === "corrupt") return;
    cancelReopening = host.clock.after(REOPEN_MS, () => void (reopening = reopen()));
  }

  async function reopen(): Promise<void> {
    try {
      await openFile(0); // waiting for a lock would block the clients
      missing = undefined;
      host.log.warn("The database is open now");
    } catch (error) {
      if (!stopped) runWithout(error as PlugboardError);
    }
  }

  async function sweepAll(): Promise<void> {
    if (sweeping || missing !== undefined) return;
    sweeping = true;
    try {
      while (await sweep(store, host.clock.wallTime())); // each pass is one small write
    } catch (error) {
      host.log.warn("Expired entries could not be removed", { error });
    } finally {
      sweeping = false;
    }
  }

  return built({
    name: "persistence",
    api: store,
    async start(given) {
      host = given;
      try {
        await openFile(settings.lockTimeoutMs);
      } catch (error) {
        if (settings.required || !concernsFile(error)) throw error;
        runWithout(error);
      }
      cancelSweeps = host.clock.every(SWEEP_MS, () => void sweepAll());
    },
    async stop() {
      stopped = true;
      cancelSweeps?.();
      cancelReopening?.();
      await reopening;
      for (const reads of isolated) await reads.end();
      await closeFile();
    },
  }, options);
}

function countCommits(metrics: Pick<Metrics, "counter" | "histogram">): (writes: number, ms: number) => void {
  const writes = metrics.counter("plugboard_commit_writes_total", "Writes that were committed");
  const seconds = metrics.histogram("plugboard_commit_seconds", "Time of a commit with its writes", SECONDS);
  return (count, ms) => {
    writes.add(count);
    seconds.observe(ms / 1000);
  };
}

function checked(options: PersistenceOptions) {
  const settings = {
    path: "data/plugboard.db",
    required: true,
    durability: "normal" as const,
    maxBytes: Infinity,
    cacheBytes: 16_777_216,
    maxStatements: 2_000,
    maxQueuedWrites: 10_000,
    lockTimeoutMs: 5_000,
    checkpointBytes: 16_777_216,
    pollMs: 250,
    ...options,
  };
  const check = checkOptions("persistence");
  const { metrics: _, path, required, durability, maxBytes, ...numbers } = settings;
  check.filled("path", path);
  check.oneOf("required", required, [true, false]);
  check.oneOf("durability", durability, ["full", "normal", "off"]);
  check.that(maxBytes > 0, "maxBytes", "a number above zero", maxBytes);
  for (const [name, value] of Object.entries(numbers)) check.positiveInteger(name, value);
  return { ...settings, maxWalBytes: settings.checkpointBytes * MAX_WAL_CHECKPOINTS };
}
