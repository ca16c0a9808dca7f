/**
 * The store: connects the parts of persistence around one open file.
 *
 * @module
 */

import { resolve } from "node:path";
import { backup } from "node:sqlite";
import { type Clock, type Log, PlugboardError } from "../../core/mod.ts";
import { authorizer, inspection } from "./authorizer.ts";
import { changeFeed } from "./change_feed.ts";
import { checkpoints } from "./checkpoints.ts";
import { condition } from "./condition.ts";
import { concernsFile, failure, reasonFor, translated } from "./failures.ts";
import { type FileOptions, openFile } from "./file.ts";
import { maintenance } from "./maintenance.ts";
import { type Statement, statements } from "./statements.ts";
import { transactions } from "./transactions.ts";
import type { Store } from "./types.ts";
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

/** The part of {@linkcode Store} that needs the open file. */
export interface OpenStore extends
  Pick<
    Store,
    "all" | "get" | "write" | "inspect" | "table" | "watch" | "backup" | "problem" | "inTransaction"
  > {
  /** Checks for damage in the background if the file was not closed properly. */
  checkUnlessClean(): void;
  /** Ends all queued writes, then closes the file. */
  close(): Promise<void>;
}

/** How often to check whether the file is still in its place. */
const PLACE_MS = 1_000;

/** The table that a probe writes to. */
export const STORE_TABLES = "CREATE TABLE plugboard_probe (space BLOB NOT NULL)";

/** Opens a file as a store. */
export function openStore(options: StoreOptions, clock: Clock, log: Log): OpenStore {
  const { path, maxStatements, maxQueuedWrites, lockTimeoutMs } = options;
  const file = openFile(options);
  const { native, inMemory } = file;
  const feed = changeFeed({ native, log, outdated: () => prepared.clear() });
  const prepared = statements(native, authorizer(native), maxStatements, feed.hooked);
  const state = condition(clock, log, probe, (code) => reasonFor(code, path));
  const queue = writeQueue({
    transactions: transactions(native, prepared, feed),
    clock,
    flush: file.flush,
    maxQueuedWrites,
    lockTimeoutMs,
    committed: options.committed,
    settled(failed, wrote) {
      if (failed !== undefined) state.failed(failed);
      if (wrote) checkpointing?.wrote();
    },
  });
  const upkeep = inMemory ? undefined : maintenance(path, options.durability);
  const walBytes = options.checkpointBytes;
  const checkpointing = upkeep && checkpoints({ native, maintenance: upkeep, queue, clock, log, walBytes });
  const timers = inMemory
    ? []
    : [clock.every(options.pollMs, pollOutside), clock.every(PLACE_MS, checkPlace)];
  let ended = false;
  let moved: PlugboardError | undefined;

  /** Takes space, which fails while there is none, and releases it. */
  async function probe(): Promise<void> {
    await queue.add((tx) => tx.run("INSERT INTO plugboard_probe VALUES (zeroblob(65536))"));
    await queue.add((tx) => tx.run("DELETE FROM plugboard_probe"));
  }

  function checkPlace(): void {
    if (moved !== undefined || file.inPlace()) return;
    const sentence =
      "The database file was removed or replaced while it was open: nothing more is written to it; " +
      "restore it, and start the server again";
    state.failed(moved = new PlugboardError("file_moved", sentence));
  }

  function pollOutside(): void {
    try {
      translated(feed.checkOutside);
    } catch (error) {
      if (concernsFile(error)) state.failed(error);
      else log.error("Looking for other processes' writes failed", { error });
    }
  }

  /** Reads, and reports failures of the file. */
  function reading<T>(sql: string, read: (statement: Statement) => T): T {
    try {
      const statement = prepared.get(sql);
      if (statement.facts.readOnly) return read(statement);
    } catch (error) {
      if (concernsFile(error)) state.failed(error);
      throw error;
    }
    const sentence = "The statement does more than read; write(fn) and run are for that";
    throw new PlugboardError("not_a_read", sentence);
  }

  function reportCheck(finding: string | undefined): void {
    if (finding === undefined) return log.info("The database is not damaged");
    const sentence = `The database file is damaged; restore it from a backup (${finding})`;
    state.failed(new PlugboardError("corrupt", sentence));
  }

  return {
    all: (sql, params, limits) => reading(sql, (statement) => statement.all(params, limits?.maxRows)),
    get: (sql, params) => reading(sql, (statement) => statement.get(params)),
    write: (fn) => moved === undefined ? queue.add(fn) : Promise.reject(moved),
    inspect: (sql) => reading(sql, (statement) => inspection(native, statement.native, statement.facts)),
    table: (name) => translated(() => feed.table(name)),
    watch: (listener, tables) => feed.watch(listener, tables),
    async backup(to) {
      if (resolve(to) === resolve(path)) {
        throw new PlugboardError("bad_backup", "A backup cannot have the path of the database itself");
      }
      const partial = `${to}.partial`;
      try {
        await Deno.remove(partial).catch(() => {}); // left by an aborted attempt
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
      upkeep.check().then(([finding]) => reportCheck(finding), (thrown) => {
        const error = failure(thrown);
        if (concernsFile(error)) state.failed(error);
        else if (!ended) log.error("The database could not be checked", { error });
      });
    },
    async close() {
      ended = true;
      await queue.end();
      for (const cancel of timers) cancel();
      state.end();
      await checkpointing?.end();
      await upkeep?.end();
      file.close();
    },
  };
}
