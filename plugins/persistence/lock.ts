/**
 * The lock that keeps a database to one server.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** How long to wait between two tries. */
const PAUSE_MS = 20;

/**
 * Locks a database for this server, by a file beside it; gives the function that ends it. The system ends it too when
 * the process does, in whatever way. Two servers on one file would lose nothing, but hear nothing of each other
 * either: neither what is published nor what becomes of a store in memory.
 */
export function lockFor(path: string, waitMs: number): () => void {
  const beside = `${path}.lock`;
  const end = performance.now() + waitMs;
  for (;;) {
    const file = open(beside);
    if (file === undefined) return () => {};
    if (locked(file) && isStill(beside, file)) return () => release(beside, file);
    file.close();
    if (performance.now() >= end) {
      throw new PlugboardError("database_locked", "Another server uses this database");
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
}

/** Where it cannot be made, the database cannot either, and SQLite tells better why. */
function open(beside: string): Deno.FsFile | undefined {
  try {
    return Deno.openSync(beside, { create: true, write: true });
  } catch {
    return undefined;
  }
}

/** Some file systems have no locks; there it is as if nobody else were there. */
function locked(file: Deno.FsFile): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    return true;
  }
}

/** Whoever had the lock before removes its file; who waited for that one must begin again. */
function isStill(beside: string, file: Deno.FsFile): boolean {
  try {
    return Deno.statSync(beside).ino === file.statSync().ino;
  } catch {
    return false;
  }
}

function release(beside: string, file: Deno.FsFile): void {
  try {
    Deno.removeSync(beside);
  } catch {
    // The folder is gone or may not be written any more: the lock ends with the handle.
  }
  file.close();
}
