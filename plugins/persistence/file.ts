/**
 * The database file: opened with the right settings, flushed, closed.
 *
 * @module
 */

import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { concernsFile, failure, openFailure } from "./failures.ts";
import { type Guard, guard } from "./guard.ts";
import { lockFor } from "./lock.ts";

/**
 * What an acknowledged write survives:
 * - `full`: the end of the process and a loss of power, if the disk flushes what it acknowledges. Every group of writes
 *   waits for the disk.
 * - `normal`: the end of the process, also by `kill -9`. A loss of power may undo the last writes (up to the latest
 *   checkpoint), never half a transaction.
 * - `off`: the end of the process. A loss of power may damage the whole file. For data that can be created again.
 */
export type Durability = "full" | "normal" | "off";

/** How to open a file. */
export interface FileOptions {
  /** Its path, or `:memory:`. */
  readonly path: string;
  readonly durability: Durability;
  readonly maxBytes: number;
  readonly cacheBytes: number;
  /** How long opening blocks the event loop while another process keeps the file locked. */
  readonly openTimeoutMs: number;
  /** Maximum size of the write-ahead log if checkpoints in the background fail. */
  readonly maxWalBytes: number;
  /** The size to which the write-ahead log shrinks when it is restarted. */
  readonly checkpointBytes: number;
}

/** An open file. */
export interface OpenFile {
  readonly native: DatabaseSync;
  readonly inMemory: boolean;
  /** Whether its last user did not close it. SQLite has recovered it by now. */
  readonly unclean: boolean;
  /** Resolves when everything committed is on the disk; absent if writes do not wait for the disk. */
  readonly flush: (() => Promise<void>) | undefined;
  /** Detects other programs that remove or overwrite the file; absent in memory. */
  readonly guard: Guard | undefined;
  close(): void;
}

const PAGE_BYTES = 4096;

/** Opens a file; creates it and its folder if they do not exist. */
export function openFile(options: FileOptions): OpenFile {
  return options.path === ":memory:" ? openMemory(options) : openOnDisk(options);
}

function openMemory(options: FileOptions): OpenFile {
  const native = new DatabaseSync(":memory:");
  configure(native, options, true);
  return {
    native,
    inMemory: true,
    unclean: false,
    flush: undefined,
    guard: undefined,
    close: () => native.close(),
  };
}

/** The path itself is no link. */
function openOnDisk(options: FileOptions): OpenFile {
  const { path, durability, openTimeoutMs } = options;
  /** In the order in which they must be closed. Closing a file of SQLite's would release its locks. */
  const closers: (() => void)[] = [];
  const close = () => closers.splice(0).forEach((close) => close());
  const opened = (file: Deno.FsFile) => {
    closers.push(() => file.close());
    return file;
  };
  try {
    const lock = lockFor(path, openTimeoutMs);
    closers.push(() => lock.release());
    const unclean = sizeOf(`${path}-wal`) > 0;
    const native = new DatabaseSync(path, { timeout: openTimeoutMs });
    closers.unshift(() => native.close());
    configure(native, options, false);
    const [database, log, index] = ["", "-wal", "-shm"].map((end) => opened(Deno.openSync(path + end)));
    return {
      native,
      inMemory: false,
      unclean,
      flush: durability === "full" ? flusher(log!, native) : undefined,
      guard: guard({ path, native, database: database!, log: log!, index: index!, lock }),
      close,
    };
  } catch (thrown) {
    close();
    throw openFailure(path, thrown);
  }
}

/**
 * Returns the path, or where it leads if it is a link, so that all programs use the same files beside it. Links to its
 * folder stay: they lead to the same files, and the program may have the permission for them only. Creates the folder.
 */
export function realPathOf(path: string): string {
  if (path === ":memory:") return path;
  try {
    Deno.mkdirSync(dirname(path), { recursive: true });
    if (!isLink(path)) return path;
    // It may lead to a file that does not exist yet.
    if (!exists(path)) Deno.openSync(path, { write: true, create: true }).close();
    return Deno.realPathSync(path);
  } catch (thrown) {
    throw openFailure(path, thrown);
  }
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path) !== undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function configure(native: DatabaseSync, options: FileOptions, inMemory: boolean): void {
  const { durability, maxBytes, cacheBytes, maxWalBytes, checkpointBytes } = options;
  const set = (pragma: string) =>
    native.prepare(`PRAGMA ${pragma}`).get() as Record<string, unknown> | undefined;
  const { journal_mode } = set("journal_mode = WAL")!;
  if (journal_mode !== "wal" && !inMemory) {
    throw new Error(`the file system does not support write-ahead logging (it uses ${journal_mode})`);
  }
  // With `full`, the flusher below flushes instead of SQLite, which would block the event loop.
  set(`synchronous = ${durability === "off" ? "OFF" : "NORMAL"}`);
  set(`max_page_count = ${Math.min(Math.ceil(maxBytes / PAGE_BYTES), 4_294_967_294)}`);
  set(`cache_size = -${Math.ceil(cacheBytes / 1024)}`);
  set("foreign_keys = ON");
  set("trusted_schema = OFF");
  set("temp_store = MEMORY");
  // A limit in case the checkpoints in the background fail. These checkpoints block the event loop.
  set(`wal_autocheckpoint = ${Math.ceil(maxWalBytes / PAGE_BYTES)}`);
  set(`journal_size_limit = ${checkpointBytes}`);
  native.prepare("SELECT count(*) FROM sqlite_schema").get();
  // From now on waiting for a lock would block the event loop. The write queue retries instead.
  set("busy_timeout = 0");
  refuseReadOnly(native);
}

/** A read-only file can be opened, and a transaction on it begins. Only a change fails. */
function refuseReadOnly(native: DatabaseSync): void {
  // Not with `exec`: its errors have no code.
  const run = (sql: string) => native.prepare(sql).run();
  run("BEGIN");
  try {
    run("PRAGMA user_version = 0");
  } catch (thrown) {
    const error = failure(thrown);
    // Another process is writing, so the file can be written.
    if (!concernsFile(error) || error.code !== "database_locked") throw thrown;
  } finally {
    if (native.isTransaction) run("ROLLBACK");
  }
}

/**
 * Flushes the write-ahead log off the event loop. With `synchronous = NORMAL` a commit is in the log, but perhaps only in
 * the kernel's memory. Once the log is flushed, this commit and all before it are as safe as with `FULL`.
 */
function flusher(log: Deno.FsFile, native: DatabaseSync): () => Promise<void> {
  let doubtful = false;
  return async () => {
    if (doubtful) restartLog(native);
    doubtful = true;
    await log.syncData();
    doubtful = false;
  };
}

/**
 * After a failed flush, the system may consider lost pages written, and the next flush may succeed. The log would have a
 * hole, and everything after it would be lost. So the whole log is moved to the database and restarted.
 */
function restartLog(native: DatabaseSync): void {
  const { busy } = native.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
  if (busy !== 0) throw new Error("the write-ahead log is in use and cannot be restarted");
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
