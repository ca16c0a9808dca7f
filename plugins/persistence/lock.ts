import { PlugboardError } from "../../core/mod.ts";
import { placeOf } from "./guard.ts";

const RETRY_MS = 20;

/** A lock on a database. */
export interface Lock {
  /** Whether the lock file is still in its place. Without it, another server can take the database. */
  held(): boolean;
  release(): void;
}

/**
 * Locks a database for this server with a `.lock` file. The system unlocks it when the process ends in any way. Two
 * servers on one file would lose no data, but neither would see what the other publishes or keeps in memory.
 */
export function lockFor(path: string, waitMs: number): Lock {
  const lockPath = `${path}.lock`;
  const end = performance.now() + waitMs;
  for (;;) {
    const file = attempt(() => Deno.openSync(lockPath, { create: true, write: true }), undefined);
    // If it cannot be created, neither can the database, and SQLite reports a better reason.
    if (file === undefined) return { held: () => true, release() {} };
    // On a file system without locks, locking succeeds always.
    if (attempt(() => file.tryLockSync(true), true) && isCurrent(lockPath, file)) {
      const place = placeOf(lockPath);
      const held = () => placeOf(lockPath) === place;
      return {
        held,
        release() {
          // Only its own: after a loss, another server's file may have this name. Fails in a read-only folder; closing
          // the file unlocks it too.
          if (held()) attempt(() => Deno.removeSync(lockPath), undefined);
          file.close();
        },
      };
    }
    file.close();
    if (performance.now() >= end) {
      throw new PlugboardError(
        "database_locked",
        "Another server uses this database; stop it, or choose another file",
      );
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
  }
}

/**
 * The previous owner removes its lock file. A lock on the removed file is worthless. So what is written to the file must
 * be found at its path. (For `file.statSync`, the runtime asks for the permission to the real path of a linked folder.)
 */
function isCurrent(lockPath: string, file: Deno.FsFile): boolean {
  const token = crypto.randomUUID();
  return attempt(() => {
    file.writeSync(new TextEncoder().encode(token));
    return Deno.readTextFileSync(lockPath) === token;
  }, false);
}

function attempt<T>(run: () => T, otherwise: T): T {
  try {
    return run();
  } catch {
    return otherwise;
  }
}
