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
 * How much an acknowledged write survives:
 * - `full`: the end of the process, and loss of power, as far as the disk keeps its word. Every group of writes
 *   waits for the disk.
 * - `normal`: the end of the process, also by `kill -9`. Loss of power may take back the last writes (up to the latest
 *   checkpoint), never half a transaction.
 * - `off`: the end of the process. Loss of power may damage the whole file. For data that can be made anew.
 */
export type Durability = "full" | "normal" | "off";

/** How to open a file. */
export interface FileOptions {
  /** Where it is; `:memory:` for none. */
  readonly path: string;
  readonly durability: Durability;
  readonly maxBytes: number;
  readonly cacheBytes: number;
  /** How long opening waits, and the event loop with it, while another process keeps the file locked. */
  readonly openTimeoutMs: number;
  /** The write-ahead log may grow to this when nobody else bounds it. */
  readonly maxWalBytes: number;
  /** To this it shrinks again when it begins anew. */
  readonly checkpointBytes: number;
}

/** An open file. */
export interface OpenFile {
  readonly native: DatabaseSync;
  /** Whether it lives in memory only. */
  readonly inMemory: boolean;
  /** Whether its last user did not close it; SQLite has recovered it by now. */
  readonly unclean: boolean;
  /** Waits until everything committed is on the disk; absent where nothing waits for that. */
  readonly flush: (() => Promise<void>) | undefined;
  /** Whether the path still leads to it. */
  inPlace(): boolean;
  close(): void;
}

const PAGE_BYTES = 4096;

/** Opens a file, and makes it and its folder if they are not there. */
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
  // With `full`, the flush is not SQLite's: it would block the event loop. See flusher.
  set(`synchronous = ${durability === "off" ? "OFF" : "NORMAL"}`);
  set(`max_page_count = ${Math.min(Math.ceil(maxBytes / PAGE_BYTES), 4_294_967_294)}`);
  set(`cache_size = -${Math.ceil(cacheBytes / 1024)}`);
  set("foreign_keys = ON");
  set("trusted_schema = OFF");
  set("temp_store = MEMORY");
  // A bound for the case that the checkpoints in the background fail; these here hold up the event loop.
  set(`wal_autocheckpoint = ${Math.ceil(maxWalBytes / PAGE_BYTES)}`);
  set(`journal_size_limit = ${checkpointBytes}`);
  native.prepare("SELECT count(*) FROM sqlite_schema").get();
  // Until now waiting was fine. From now on it would block everybody; the write queue tries again by itself.
  set("busy_timeout = 0");
  refuseReadOnly(native);
}

/** A file that may only be read opens like any other, and a transaction on it begins; only a change shows it. */
function refuseReadOnly(native: DatabaseSync): void {
  // Not by `exec`: its errors tell no code.
  const run = (sql: string) => native.prepare(sql).run();
  run("BEGIN");
  try {
    run("PRAGMA user_version = 0");
  } catch (thrown) {
    const error = failure(thrown);
    // Somebody else writes just now, so it can be written.
    if (!concernsFile(error) || error.code !== "database_locked") throw thrown;
  } finally {
    if (native.isTransaction) run("ROLLBACK");
  }
}

/**
 * Flushes the write-ahead log off the event loop. With `synchronous = NORMAL` a commit is in the log, but perhaps only
 * in the kernel's memory; once the log is flushed it is as safe as with `FULL`, and all commits before it are too.
 * (Opening the log a second time is harmless: SQLite's locks are on the other two files. Closing one of those
 * would drop the locks of the whole process.)
 */
function flusher(wal: string, native: DatabaseSync): { flush: () => Promise<void>; close: () => void } {
  let file: Deno.FsFile | undefined;
  let doubtful = false;
  return {
    async flush() {
      file ??= Deno.openSync(wal, { read: true, write: true });
      if (doubtful) beginAnew(native);
      doubtful = true;
      await file.syncData();
      doubtful = false;
    },
    close: () => file?.close(),
  };
}

/**
 * After a flush that failed, the system may take what was lost for written, and the next flush succeed: the log
 * would have a hole, and nothing after it count. So all of it goes into the database, and the log begins anew.
 */
function beginAnew(native: DatabaseSync): void {
  const { busy } = native.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
  if (busy !== 0) throw new Error("the write-ahead log is in use and cannot begin anew");
}

/** What the path leads to: nothing, or something the system may have no number for, or may not show. */
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
