/**
 * Detects that another program has removed, truncated or overwritten the files of an open database. SQLite does not
 * notice it, so writes would be acknowledged and lost.
 *
 * @module
 */

import { type DatabaseSync } from "node:sqlite";
import { PlugboardError } from "../../core/mod.ts";
import type { Lock } from "./lock.ts";

/** What a guard looks at. The files are opened already: closing one would release SQLite's locks on it. */
export interface GuardParts {
  readonly path: string;
  readonly native: DatabaseSync;
  readonly database: Deno.FsFile;
  readonly log: Deno.FsFile;
  readonly index: Deno.FsFile;
  readonly lock: Lock;
}

/** Looks for changes that are not SQLite's. */
export interface Guard {
  /** Returns why nothing more may be written, or `undefined`. Call it several times a second. */
  look(): PlugboardError | undefined;
}

/** The database file, apart from the content of its pages. Only a checkpoint may change it. */
interface DatabaseState {
  readonly bytes: number;
  readonly header: string;
}

/** SQLite's index of the write-ahead log: the file `-shm`. */
interface LogState {
  readonly salts: string;
  readonly frames: number;
  /** Frames that are in the database. */
  readonly copied: number;
  /** Whether a checkpoint is running, or was interrupted. */
  readonly copying: boolean;
}

const HEADER_BYTES = 100;
const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const SALTS = { inIndex: 32, inLog: 16, inFrame: 8 };

const OVER = "nothing more is written to it";
const RESTORE =
  "stop the server, restore the file from a backup, remove its -wal and -shm files, and start the server again";

/** Starts to guard. */
export function guard({ path, native, database, log, index, lock }: GuardParts): Guard {
  const files = [path, `${path}-wal`, `${path}-shm`] as const;
  const places = files.map(placeOf);
  const pageBytes = Number(native.prepare("PRAGMA page_size").get()!.page_size);
  // What the last look found; `undefined` before the first look that no other process disturbed.
  let state: DatabaseState | undefined;
  let logState: LogState | undefined;

  function moved(): PlugboardError | undefined {
    const away = files.map((file, i) => ![places[i], "unknown"].includes(placeOf(file)));
    if (away[0]) {
      const sentence = `The database file was removed or replaced while it was open: ${OVER}; ` +
        "restore it, and start the server again";
      return new PlugboardError("file_moved", sentence);
    }
    if (!away.includes(true)) return undefined;
    const saved = away[1] && copyLog(native);
    const sentence =
      `The files of the database's write-ahead log were removed or replaced while it was open: ${OVER}; ` +
      (saved ? "its content was saved to the database; start the server again" : RESTORE);
    return new PlugboardError("file_moved", sentence);
  }

  /** The log must have all frames that are in the index and not in the database yet. */
  function logIsWhole({ salts, frames, copied }: LogState, before: LogState | undefined): boolean {
    if (frames === copied) return true;
    const start = (frame: number) => LOG_HEADER_BYTES + (frame - 1) * (FRAME_HEADER_BYTES + pageBytes);
    if (sizeOf(log) < start(frames + 1) || saltsAt(log, SALTS.inLog) !== salts) return false;
    // A log that was truncated and written again has a hole before the new frames.
    const known = before?.salts === salts ? Math.min(before.frames, frames) : frames;
    return known === 0 || saltsAt(log, start(known) + SALTS.inFrame) === salts;
  }

  function look(): PlugboardError | undefined {
    if (!lock.held()) {
      const sentence =
        `The lock file of the database was removed or replaced: ${OVER}, since another server may use it; ` +
        "start the server again";
      return new PlugboardError("lock_lost", sentence);
    }
    const away = moved();
    if (away !== undefined) return away;
    const now = readIndex(index);
    if (now === undefined) return undefined; // another process is writing
    const found = databaseState(database);
    const whole = logIsWhole(now, logState);
    if (!same(now, readIndex(index))) return undefined; // another process has written meanwhile
    if (!whole) return overwritten("write-ahead log of the database");
    const quiet = logState !== undefined && !now.copying && !logState.copying &&
      now.salts === logState.salts && now.copied === logState.copied;
    const unchanged = found.bytes === state?.bytes && found.header === state.header;
    if (quiet && !unchanged) return overwritten("database file");
    [state, logState] = [found, now];
  }

  look();
  return { look };
}

function overwritten(what: string): PlugboardError {
  const sentence = `The ${what} was truncated or overwritten by another program: ${OVER}; ${RESTORE}`;
  return new PlugboardError("file_overwritten", sentence);
}

/** Moves a log that has no name any more to the database. SQLite still has it open. */
function copyLog(native: DatabaseSync): boolean {
  try {
    return native.prepare("PRAGMA wal_checkpoint(FULL)").get()!.busy === 0;
  } catch {
    return false;
  }
}

/** Identifies the file at a path; "unknown" if the system has no number for it or denies access. */
export function placeOf(path: string): string {
  try {
    const { dev, ino } = Deno.statSync(path);
    return ino === null ? "unknown" : `${dev} ${ino}`;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "nothing" : "unknown";
  }
}

function databaseState(file: Deno.FsFile): DatabaseState {
  return { bytes: sizeOf(file), header: hex(readAt(file, 0, HEADER_BYTES)) };
}

/** Reads the index; `undefined` while another process changes it. The format is part of SQLite's file format. */
function readIndex(index: Deno.FsFile): LogState | undefined {
  const bytes = readAt(index, 0, 100);
  const attempted = readAt(index, 128, 4);
  if (bytes.length < 100 || attempted.length < 4) return undefined;
  if (hex(bytes.subarray(0, 48)) !== hex(bytes.subarray(48, 96))) return undefined;
  // In the byte order of the machine.
  const [frames, copied] = [uint32(bytes, 16), uint32(bytes, 96)];
  const salts = hex(bytes.subarray(SALTS.inIndex, SALTS.inIndex + 8));
  return { salts, frames, copied, copying: uint32(attempted, 0) !== copied };
}

function same(a: LogState, b: LogState | undefined): boolean {
  return a.salts === b?.salts && a.frames === b.frames && a.copied === b.copied && a.copying === b.copying;
}

/** Not by `statSync`, for which the runtime asks for the permission to the real path, also below a linked folder. */
function sizeOf(file: Deno.FsFile): number {
  return file.seekSync(0, Deno.SeekMode.End);
}

function saltsAt(file: Deno.FsFile, offset: number): string {
  return hex(readAt(file, offset, 8));
}

function readAt(file: Deno.FsFile, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  file.seekSync(offset, Deno.SeekMode.Start);
  return bytes.subarray(0, file.readSync(bytes) ?? 0);
}

function uint32(bytes: Uint8Array, offset: number): number {
  return new Uint32Array(bytes.slice(offset, offset + 4).buffer)[0]!;
}

function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}
