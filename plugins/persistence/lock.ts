/**
 * The lock that lets only one server use a database.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

const RETRY_MS = 20;

/**
 * Locks a database for this server with a `.lock` file, and returns the function that unlocks it. The system unlocks it
 * when the process ends in any way. Two servers on one file would lose no data, but neither would see what the other
 * publishes or keeps in memory.
 */
export function lockFor(path: string, waitMs: number): () => void {
  const lockPath = `${path}.lock`;
  const end = performance.now() + waitMs;
  for (;;) {
    const file = open(lockPath);
    if (file === undefined) return () => {};
    if (locked(file) && isCurrent(lockPath, file)) return () => release(lockPath, file);
    file.close();
    if (performance.now() >= end) {
      throw new PlugboardError("database_locked", "Another server uses this database");
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
  }
}

/** If it cannot be created, neither can the database, and SQLite reports a better reason. */
function open(lockPath: string): Deno.FsFile | undefined {
  try {
    return Deno.openSync(lockPath, { create: true, write: true });
  } catch {
    return undefined;
  }
}

/** On a file system without locks it succeeds always. */
function locked(file: Deno.FsFile): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    return true;
  }
}

/** The previous owner removes its lock file. A lock on the removed file is worthless. */
function isCurrent(lockPath: string, file: Deno.FsFile): boolean {
  try {
    return Deno.statSync(lockPath).ino === file.statSync().ino;
  } catch {
    return false;
  }
}

function release(lockPath: string, file: Deno.FsFile): void {
  try {
    Deno.removeSync(lockPath);
  } catch {
    // The folder is gone or read-only. Closing the handle unlocks it.
  }
  file.close();
}
