/**
 * The store: the parts of persistence put together around one open file.
 *
 * @module
 */

import { resolve } from "node:path";
import { backup } from "node:sqlite";
import { type Clock, type Log, PlugboardError } from "../../core/mod.ts";
import { changeFeed } from "./change_feed.ts";
import { checkpoints } from "./checkpoints.ts";
import { condition } from "./condition.ts";
import { concernsFile, failure, reasonFor, translated } from "./failures.ts";
import { type FileOptions, openFile } from "./file.ts";
import { maintenance } from "./maintenance.ts";
import { observer } from "./observer.ts";
import { type Statement, statements } from "./statements.ts";
import { transactions } from "./transactions.ts";
import type { Inspection, Store } from "./types.ts";
import { writeQueue } from "./write_queue.ts";

/** How to run a store. */
export interface StoreOptions extends FileOptions {
  readonly maxStatements: number;
  readonly maxQueuedWrites: number;
  /** How long a write waits while another process keeps the file locked. */
  readonly lockTimeoutMs: number;
  readonly pollMs: number;
  readonly committed: ((writes: number, ms: number) => void) | undefined;
}

/** A store whose file is open; the rest of {@linkcode Store} is made of this. */
export interface OpenStore
  extends Pick<Store, "all" | "get" | "write" | "inspect" | "table" | "watch" | "backup"> {
  readonly problem: string | undefined;
  readonly inTransaction: boolean;
  /** Looks for damage in the background, if the file was not closed properly the last time. */
  checkUnlessClean(): void;
  /** Ends all writes that wait, then closes the file. */
  close(): Promise<void>;
}

/** How often to look whether the file is still where it was. */
const PLACE_MS = 1_000;

const PROBE_TABLE = "CREATE TABLE plugboard_probe (space BLOB NOT NULL)";

/** What the store itself keeps. */
export const STORE_TABLES = PROBE_TABLE;

/** Opens a file as a store. */
export function openStore(options: StoreOptions, clock: Clock, log: Log): OpenStore {
  const { path, durability, maxStatements, maxQueuedWrites, lockTimeoutMs, checkpointBytes, pollMs } =
    options;
  const file = openFile(options);
  const { native, inMemory } = file;
  const feed = changeFeed({
    native,
    log,
    outdated: () => prepared.clear(),
  });
  const prepared = statements(native, observer(native), maxStatements, feed.hooked);
  const state = condition(clock, log, probe, (code) => reasonFor(code, path));
  const queue = writeQueue({
    transactions: transactions(native, prepared, feed),
    clock,
    flush: file.flush,
    maxQueuedWrites,
    lockTimeoutMs,
    committed: options.committed,
    told(failed, wrote) {
      if (failed !== undefined) state.failed(failed);
      if (wrote) checkpointing?.wrote();
    },
  });
  const upkeep = inMemory ? undefined : maintenance(path, durability);
  const checkpointing = upkeep &&
    checkpoints({ native, maintenance: upkeep, queue, clock, log, walBytes: checkpointBytes });
  const endPolling = inMemory ? undefined : clock.every(pollMs, () => reported(feed.lookOutside));

  let ended = false;
  let moved: PlugboardError | undefined;
  const endLooking = inMemory ? undefined : clock.every(PLACE_MS, () => {
    if (moved !== undefined || file.inPlace()) return;
    const sentence =
      "The database file was removed or replaced while it was open: nothing more is written to it; " +
      "restore it, and start the server again";
    state.failed(moved = new PlugboardError("file_moved", sentence));
  });

  /** Takes space, so that it fails while there is none, and gives it back. */
  async function probe(): Promise<void> {
    await queue.add((tx) => tx.run("INSERT INTO plugboard_probe VALUES (zeroblob(65536))"));
    await queue.add((tx) => tx.run("DELETE FROM plugboard_probe"));
  }

  /** Reads, and remembers when it was the file's fault that that failed. */
  function reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (concernsFile(error)) state.failed(error);
      throw error;
    }
  }

  function reported(task: () => void): void {
    try {
      translated(task);
    } catch (error) {
      if (concernsFile(error)) state.failed(error);
      else log.error("Looking for other processes' writes failed", { error });
    }
  }

  function reader(sql: string): Statement {
    const statement = prepared.get(sql);
    if (!statement.facts.readOnly) {
      throw new PlugboardError(
        "not_a_read",
        "The statement does more than read; write(fn) and run are for that",
      );
    }
    return statement;
  }

  function isView(name: string): boolean {
    const sql = "SELECT 1 FROM sqlite_schema WHERE type = 'view' AND lower(name) = ?";
    return prepared.get(sql).get([name]) !== undefined;
  }

  return {
    all: (sql, params, limits) => reading(() => reader(sql).all(params, limits?.maxRows)),
    get: (sql, params) => reading(() => reader(sql).get(params)),
    write: (fn) => moved === undefined ? queue.add(fn) : Promise.reject(moved),
    inspect(sql): Inspection {
      const { columns, facts } = reader(sql);
      const { viaView, functions, recursive } = facts;
      const reads = new Map([...facts.reads].filter(([name]) => !isView(name)));
      return { columns, reads, viaView, functions, recursive };
    },
    table: (name) => translated(() => feed.table(name)),
    watch: (listener, tables) => feed.watch(listener, tables),
    async backup(to) {
      if (resolve(to) === resolve(path)) {
        throw new PlugboardError("bad_backup", "A backup cannot have the path of the database itself");
      }
      const partial = `${to}.partial`;
      try {
        await Deno.remove(partial).catch(() => {}); // of an attempt that was cut off
        if (upkeep === undefined) await backup(native, partial);
        else await upkeep.copy(partial);
        using copy = await Deno.open(partial, { write: true });
        await copy.sync();
        await Deno.rename(partial, to);
      } catch (thrown) {
        await Deno.remove(partial).catch(() => {});
        throw failure(thrown);
      }
    },
    get inTransaction() {
      return native.isTransaction;
    },
    get problem() {
      return state.problem;
    },
    checkUnlessClean() {
      if (!file.unclean || upkeep === undefined) return;
      log.info("The database was not closed properly the last time; it was recovered and is being checked");
      const damaged = (finding: string) => {
        const sentence = `The database file is damaged; restore it from a backup (${finding})`;
        state.failed(new PlugboardError("corrupt", sentence));
      };
      upkeep.check().then(
        ([finding]) => finding === undefined ? log.info("The database is sound") : damaged(finding),
        (thrown) => {
          const error = failure(thrown);
          if (concernsFile(error)) state.failed(error);
          else if (!ended) log.error("The database could not be checked", { error });
        },
      );
    },
    async close() {
      ended = true;
      await queue.end();
      endPolling?.();
      endLooking?.();
      state.end();
      await checkpointing?.end();
      await upkeep?.end();
      file.close();
    },
  };
}
