/**
 * The store: connects the parts of persistence around one open file.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { backup } from "node:sqlite";
import { type Clock, type Log, PlugboardError } from "../../core/mod.ts";
import { Appends } from "./appends.ts";
import { authorizer, inspection } from "./authorizer.ts";
import { changeFeed } from "./change_feed.ts";
import { checkpoints } from "./checkpoints.ts";
import { condition } from "./condition.ts";
import { concernsFile, failure, reasonFor, translated } from "./failures.ts";
import { type FileOptions, openFile, realPathOf } from "./file.ts";
import { maintenance } from "./maintenance.ts";
import { type Statement, statements } from "./statements.ts";
import { transactions } from "./transactions.ts";
import type { Store } from "./types.ts";
import { writeQueue } from "./write_queue.ts";

/** How to run a store. */
export interface StoreOptions extends FileOptions {
  readonly maxStatements: number;
  readonly maxQueuedWrites: number;
  /** For how long writes wait while another process keeps the file locked; later ones fail at once. */
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

/** How often to check whether another program has changed the files. */
const GUARD_MS = 250;

/** The table that a probe writes to. */
export const STORE_TABLES = "CREATE TABLE plugboard_probe (space BLOB NOT NULL)";

/** Opens a file as a store. */
export function openStore(options: StoreOptions, clock: Clock, log: Log): OpenStore {
  const { maxStatements, maxQueuedWrites, lockTimeoutMs } = options;
  const path = realPathOf(options.path);
  const file = openFile({ ...options, path });
  const { native, inMemory } = file;
  const feed = changeFeed({ native, log, outdated: () => prepared.clear() });
  const prepared = statements(native, authorizer(native), maxStatements, feed.hooked);
  const appends = new Appends(prepared, feed);
  const state = condition({ clock, log, probe, check, reasonFor: (code) => reasonFor(code, path) });
  const queue = writeQueue({
    transactions: transactions(native, prepared, feed, appends),
    clock,
    flush: file.flush,
    maxQueuedWrites,
    lockTimeoutMs,
    committed: options.committed,
    settled(failed, wrote) {
      if (failed !== undefined) state.failed(failed);
      if (failed?.code === "disk_full") checkpointing?.full();
      if (wrote) checkpointing?.wrote();
    },
  });
  const upkeep = inMemory ? undefined : maintenance(path, options.durability);
  const walBytes = options.checkpointBytes;
  const checkpointing = upkeep &&
    checkpoints({ native, path, maintenance: upkeep, queue, clock, log, walBytes });
  const timers = inMemory
    ? []
    : [clock.every(options.pollMs, pollOutside), clock.every(GUARD_MS, checkFiles)];
  let ended = false;
  let lost: PlugboardError | undefined;

  /** Takes space, which fails while there is none, and releases it. */
  async function probe(): Promise<void> {
    await queue.add((tx) => tx.run("INSERT INTO plugboard_probe VALUES (zeroblob(65536))"));
    await queue.add((tx) => tx.run("DELETE FROM plugboard_probe"));
  }

  async function check(): Promise<void> {
    const [finding] = await upkeep?.check() ?? [];
    if (finding !== undefined) throw damaged(finding);
  }

  /** Stops writing when the files are not SQLite's alone any more. */
  function checkFiles(): void {
    if (lost !== undefined) return;
    try {
      lost = file.guard?.look();
    } catch (cause) {
      state.failed(new PlugboardError("disk_error", "The files of the database cannot be read", { cause }));
    }
    if (lost === undefined) return;
    log.error(lost.message, { code: lost.code });
    queue.fail(lost);
    checkpointing?.end();
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
      appends.before(statement.facts);
      if (statement.facts.readOnly) return read(statement);
    } catch (error) {
      if (concernsFile(error)) state.failed(error);
      throw error;
    }
    const sentence = "The statement does more than read; write(fn) and run are for that";
    throw new PlugboardError("not_a_read", sentence);
  }

  return {
    all: (sql, params, limits) => reading(sql, (statement) => statement.all(params, limits)),
    get: (sql, params) => reading(sql, (statement) => statement.get(params)),
    write: (fn) => queue.add(fn),
    inspect: (sql) => reading(sql, (statement) => inspection(native, statement.native, statement.facts)),
    table: (name) => translated(() => feed.table(name)),
    watch: (listener, tables) => feed.watch(listener, tables),
    async backup(to) {
      if (leadsTo(to, path)) {
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
      return lost?.message ?? state.problem ?? checkpointing?.problem;
    },
    checkUnlessClean() {
      if (!file.unclean || upkeep === undefined) return;
      log.info("The database was not closed properly the last time; it was recovered and is being checked");
      check().then(() => log.info("The database is not damaged"), (thrown) => {
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

function damaged(finding: string): PlugboardError {
  const sentence = `The database file is damaged; restore it from a backup (${finding})`;
  return new PlugboardError("corrupt", sentence);
}

/** Whether a path names a file, also through a linked folder. */
function leadsTo(path: string, file: string): boolean {
  try {
    return join(Deno.realPathSync(dirname(path)), basename(path)) === Deno.realPathSync(file);
  } catch {
    return false;
  }
}
