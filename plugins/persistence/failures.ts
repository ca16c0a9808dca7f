/**
 * SQLite's failures as errors with a code and a sentence.
 *
 * @module
 */

import { dirname } from "node:path";
import { messageOf, PlugboardError } from "../../core/mod.ts";

/** By SQLite's primary result code; what is missing here is a mistake in the SQL or its data. */
const KINDS: Readonly<Record<number, { code: string; sentence: string }>> = {
  5: { code: "database_locked", sentence: "Another process keeps the database locked" },
  6: { code: "database_locked", sentence: "Another process keeps the database locked" },
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

/** Codes that speak of the file rather than of the statement. */
const OF_THE_FILE = new Set(Object.values(KINDS).map(({ code }) => code));

/** Whether an error means that the file cannot be used now, whoever asks. */
export function concernsFile(error: unknown): error is PlugboardError {
  return error instanceof PlugboardError && OF_THE_FILE.has(error.code);
}

/** Anything that was thrown by `node:sqlite` as an error with a code; other errors stay what they are. */
export function failure(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof PlugboardError) return thrown;
  const { code, errcode } = thrown as Error & { code?: string; errcode?: number };
  if (code === "ERR_INVALID_ARG_TYPE" || code === "ERR_INVALID_STATE" || code === "ERR_INVALID_ARG_VALUE") {
    return new PlugboardError("bad_parameter", thrown.message, { cause: thrown });
  }
  if (code !== "ERR_SQLITE_ERROR") return thrown;
  const primary = (errcode ?? 0) & 255;
  const kind = KINDS[primary];
  if (kind !== undefined) {
    return new PlugboardError(kind.code, `${kind.sentence} (${thrown.message})`, { cause: thrown });
  }
  const meaning = primary === 19 ? "constraint" : primary === 25 ? "bad_parameter" : "bad_sql";
  return new PlugboardError(meaning, thrown.message, { cause: thrown });
}

/** Runs something on the database and translates what it throws. */
export function translated<T>(run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw failure(thrown);
  }
}

/** A failure to open, with the path in it. */
export function openFailure(path: string, thrown: unknown): PlugboardError {
  if (thrown instanceof Deno.errors.NotCapable) {
    const sentence =
      `Cannot start persistence with ${JSON.stringify(path)}: the program may not use that folder; ` +
      `run it with --allow-read=${dirname(path)} --allow-write=${dirname(path)}`;
    return new PlugboardError("cannot_open", sentence, { cause: thrown });
  }
  const known = failure(thrown);
  const { code, message } = concernsFile(known) ? known : { code: "cannot_open", message: messageOf(thrown) };
  const why = code === "cannot_open" ? reasonAgainstFile(path) || reasonAgainst(path) : reasonFor(code, path);
  const sentence = `Cannot start persistence with ${JSON.stringify(path)}: ${message}${why}`;
  return new PlugboardError(code, sentence, { cause: thrown });
}

/** What the system has against writing, in brackets, where SQLite only says that it failed. */
export function reasonFor(code: string, path: string): string {
  return code === "disk_error" ? reasonAgainst(path) : "";
}

/** As much as SQLite's shared memory takes, which a full disk refuses first. */
const TRIAL = new Uint8Array(65_536);

/** SQLite does not say why; a file in the same folder, which SQLite needs too, shows it. */
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

/** Only for a file that is not open: closing it would drop the locks that this process has on it. */
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
