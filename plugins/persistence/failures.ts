/**
 * SQLite's failures as errors with a code and a sentence.
 *
 * @module
 */

import { dirname } from "node:path";
import { messageOf, PlugboardError } from "../../core/mod.ts";

const LOCKED = { code: "database_locked", sentence: "Another process keeps the database locked" };

/** By SQLite's primary result code. All other codes are mistakes in the SQL or its data. */
const KINDS: Readonly<Record<number, { code: string; sentence: string }>> = {
  5: LOCKED,
  6: LOCKED,
  8: { code: "read_only", sentence: "The database cannot be written: the file or its disk is read-only" },
  10: { code: "disk_error", sentence: "The disk failed to read or write the database" },
  11: { code: "corrupt", sentence: "The database file is damaged; restore it from a backup" },
  13: { code: "disk_full", sentence: "The disk is full, or the database has reached its size limit" },
  14: { code: "cannot_open", sentence: "The database file cannot be opened" },
  26: {
    code: "corrupt",
    sentence: "The file is not a database; restore it from a backup or use another path",
  },
};

/** Codes of failures of the file, not of a statement. */
const OF_THE_FILE = new Set(Object.values(KINDS).map(({ code }) => code));

/** Whether an error means that the file cannot be used now, whatever the statement is. */
export function concernsFile(error: unknown): error is PlugboardError {
  return error instanceof PlugboardError && OF_THE_FILE.has(error.code);
}

/** Returns an error of `node:sqlite` as one with a code; returns other errors unchanged. */
export function failure(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof PlugboardError) return thrown;
  const { code, errcode } = thrown as Error & { code?: string; errcode?: number };
  const as = (code: string, message = thrown.message) => new PlugboardError(code, message, { cause: thrown });
  if (code === "ERR_INVALID_ARG_TYPE" || code === "ERR_INVALID_STATE" || code === "ERR_INVALID_ARG_VALUE") {
    return as("bad_parameter");
  }
  if (code === "refused_sql") return as(code); // by the authorizer
  if (code !== "ERR_SQLITE_ERROR") return thrown;
  const primary = (errcode ?? 0) & 255;
  const kind = KINDS[primary];
  if (kind !== undefined) return as(kind.code, `${kind.sentence} (${thrown.message})`);
  return as(primary === 19 ? "constraint" : primary === 25 ? "bad_parameter" : "bad_sql");
}

/** Runs something on the database and translates what it throws. */
export function translated<T>(run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw failure(thrown);
  }
}

/** Returns the error for a file that cannot be opened, with its path. */
export function openFailure(path: string, thrown: unknown): PlugboardError {
  const as = (code: string, sentence: string) =>
    new PlugboardError(code, `Cannot start persistence with ${JSON.stringify(path)}: ${sentence}`, {
      cause: thrown,
    });
  if (thrown instanceof Deno.errors.NotCapable) {
    const flags = `--allow-read=${dirname(path)} --allow-write=${dirname(path)}`;
    return as("cannot_open", `the program may not use that folder; run it with ${flags}`);
  }
  const known = failure(thrown);
  const { code, message } = concernsFile(known) ? known : { code: "cannot_open", message: messageOf(thrown) };
  const reason = code === "cannot_open"
    ? reasonAgainstFile(path) || reasonAgainst(path)
    : reasonFor(code, path);
  return as(code, message + reason);
}

/** Returns why the system refuses writes, in brackets, for failures that SQLite does not explain. */
export function reasonFor(code: string, path: string): string {
  return code === "disk_error" ? reasonAgainst(path) : "";
}

/** The size of SQLite's shared memory, the first file that a full disk refuses. */
const TRIAL = new Uint8Array(65_536);

/** Finds the reason with a file in the same folder, since SQLite does not report it. */
function reasonAgainst(path: string): string {
  return reasonOf(() => {
    const trial = Deno.makeTempFileSync({ dir: dirname(path) });
    try {
      Deno.writeFileSync(trial, TRIAL);
    } finally {
      Deno.removeSync(trial);
    }
  });
}

/** Only for a file that is not open: closing it would release the locks that this process holds on it. */
function reasonAgainstFile(path: string): string {
  return reasonOf(() => Deno.openSync(path, { write: true }).close());
}

function reasonOf(attempt: () => void): string {
  try {
    attempt();
    return "";
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "" : ` (${messageOf(error)})`;
  }
}
