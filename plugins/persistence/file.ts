/**
 * The database file: opened with the right settings, flushed, closed.
 *
 * @module
 */

import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { concernsFile, failure, openFailure } from "./failures.ts";
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
  /** Whether the path still leads to this file. */
  inPlace(): boolean;
  close(): void;
}

const PAGE_BYTES = 4096;

/** Opens a file; creates it and its folder if they do not exist. */
export function openFile(options: FileOptions): OpenFile {
  const { path, durability } = options;
  const inMemory = path === ":memory:";
  let native: DatabaseSync | undefined;
  let unlock = () => {};
  try {
    if (!inMemory) {
      Deno.mkdirSync(dirname(path), { recursive: true });
      unlock = lockFor(path, options.openTimeoutMs);
    }
    const unclean = !inMemory && sizeOf(`${path}-wal`) > 0;
    native = new DatabaseSync(path, { timeout: options.openTimeoutMs });
    configure(native, options, inMemory);
    const wal = durability === "full" && !inMemory ? flusher(`${path}-wal`, native) : undefined;
    const opened = native;
    const place = placeOf(path);
    return {
      native,
      inMemory,
      unclean,
      flush: wal?.flush,
      inPlace: () => [place, "unknown"].includes(placeOf(path)),
      close() {
        opened.close();
        wal?.close();
        unlock();
      },
    };
  } catch (thrown) {
    native?.close();
    unlock();
    throw openFailure(path, thrown);
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
 * the kernel's memory. Once the log is flushed, this commit and all before it are as safe as with `FULL`. (It is safe to
 * open the log a second time: SQLite's locks are on the other two files. Closing one of those would release the locks
 * of the whole process.)
 */
function flusher(wal: string, native: DatabaseSync): { flush: () => Promise<void>; close: () => void } {
  let file: Deno.FsFile | undefined;
  let doubtful = false;
  return {
    async flush() {
      file ??= Deno.openSync(wal, { read: true, write: true });
      if (doubtful) restartLog(native);
      doubtful = true;
      await file.syncData();
      doubtful = false;
    },
    close: () => file?.close(),
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

/** Identifies the file at a path; "unknown" if the system has no number for it or denies access. */
function placeOf(path: string): string {
  try {
    const { dev, ino } = Deno.statSync(path);
    return ino === null ? "unknown" : `${dev} ${ino}`;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "nothing" : "unknown";
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
