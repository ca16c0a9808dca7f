/**
 * Checkpoints: keep the write-ahead log short without blocking the event loop.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { type Clock, type Log, messageOf } from "../../core/mod.ts";
import type { Maintenance } from "./maintenance.ts";
import type { WriteQueue } from "./write_queue.ts";

/** What checkpoints need. */
export interface CheckpointParts {
  readonly native: DatabaseSync;
  readonly path: string;
  readonly maintenance: Pick<Maintenance, "checkpoint">;
  readonly queue: Pick<WriteQueue, "pause" | "resume">;
  readonly clock: Clock;
  readonly log: Log;
  /** The size of the log from which on a checkpoint is made. It is made earlier if the disk has little space. */
  readonly walBytes: number;
}

/** Makes checkpoints after writes. */
export interface Checkpoints {
  /** Call after a write. */
  wrote(): void;
  /** Call when the disk is full: a checkpoint lets the log start from its beginning. */
  full(): void;
  /** What prevents checkpoints, as a sentence. */
  readonly problem: string | undefined;
  /** Begins no more; resolves when the current one has ended. */
  end(): Promise<void>;
}

const PAGE_BYTES = 4096;

/** How long after a write to check the log's size. */
const CHECK_MS = 50;

/** How long to wait after a checkpoint that could not empty the log because something reads it. */
const BLOCKED_MS = 1_000;

/** From this multiple of `walBytes` on, writes wait for the current checkpoint. Otherwise it may never catch up. */
const HOLD_AT = 4;

/**
 * A checkpoint may need as much space as the log has. So the log takes at most this part of the free space before one is
 * made, which leaves the same again for what is written meanwhile.
 */
const FREE_PART = 1 / 4;

const BLOCKED = "Something reads the database for a long time, so its write-ahead log grows";

/** Watches the log's size. */
export function checkpoints(
  { native, path, maintenance, queue, clock, log, walBytes }: CheckpointParts,
): Checkpoints {
  const size = native.prepare("PRAGMA wal_checkpoint(NOOP)");
  const freeBytes = freeSpace(dirname(path));
  let cancel: (() => void) | undefined;
  let running: Promise<void> | undefined;
  let held = false;
  let urgent = false;
  let problem: string | undefined;
  let ended = false;

  function pages(): number {
    try {
      return (size.get() as { log: number }).log;
    } catch {
      return 0; // the next read or write reports that the file cannot be read
    }
  }

  function threshold(): number {
    return Math.ceil(Math.min(walBytes, freeBytes() * FREE_PART) / PAGE_BYTES);
  }

  function checkAfter(ms: number): void {
    if (ended || cancel !== undefined || running !== undefined) return;
    cancel = clock.after(ms, check);
  }

  function check(): void {
    cancel = undefined;
    if (!urgent && problem === undefined && pages() < threshold()) return;
    urgent = false;
    running = attempt().then((emptied) => {
      running = undefined;
      if (!emptied) checkAfter(BLOCKED_MS);
    });
  }

  async function attempt(): Promise<boolean> {
    try {
      const emptied = await checkpoint();
      problem = emptied || pages() < HOLD_AT * walBytes / PAGE_BYTES ? undefined : BLOCKED;
      return emptied;
    } catch (error) {
      const sentence = "Checkpoints of the database fail, so its write-ahead log grows";
      if (problem === undefined) log.error(sentence, { error }); // once, not each second
      problem = `${sentence} (${messageOf(error)})`;
      return false;
    }
  }

  /**
   * The first pass copies nearly everything while writes continue. They are always a little ahead of it, so the second
   * pass, which is short, holds them. Then the log is empty, and the next write starts it from its beginning.
   */
  async function checkpoint(): Promise<boolean> {
    try {
      await maintenance.checkpoint();
      hold();
      const { log, checkpointed } = await maintenance.checkpoint();
      return checkpointed >= log;
    } finally {
      if (held) queue.resume();
      held = false;
    }
  }

  function hold(): void {
    if (!held) queue.pause();
    held = true;
  }

  return {
    wrote() {
      if (running === undefined) checkAfter(CHECK_MS);
      else if (pages() > threshold() * HOLD_AT) hold();
    },
    full() {
      urgent = true;
      checkAfter(CHECK_MS);
    },
    get problem() {
      return problem;
    },
    async end() {
      ended = true;
      cancel?.();
      await running;
    },
  };
}

/** Returns a function that returns the free bytes of a disk; `Infinity` without the permission to ask. */
function freeSpace(folder: string): () => number {
  // Otherwise the runtime would ask the user for it.
  if (Deno.permissions.querySync({ name: "sys", kind: "statfs" }).state !== "granted") return () => Infinity;
  return () => {
    try {
      const { bavail, bsize } = statfsSync(folder);
      return bavail * bsize;
    } catch {
      return Infinity; // the disk's next failure is reported where it happens
    }
  };
}
