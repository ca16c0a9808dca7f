/**
 * Checkpoints: keep the write-ahead log short without holding up the event loop.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import type { Clock, Log } from "../../core/mod.ts";
import type { Maintenance } from "./maintenance.ts";
import type { WriteQueue } from "./write_queue.ts";

/** What checkpoints need. */
export interface CheckpointParts {
  readonly native: DatabaseSync;
  readonly maintenance: Pick<Maintenance, "checkpoint">;
  readonly queue: Pick<WriteQueue, "pause" | "resume">;
  readonly clock: Clock;
  readonly log: Log;
  /** The log's size that is worth a checkpoint. */
  readonly walBytes: number;
}

/** Told of writes; sees to checkpoints. */
export interface Checkpoints {
  wrote(): void;
  /** Begins no more; resolves when the one under way has ended. */
  end(): Promise<void>;
}

const PAGE_BYTES = 4096;

/** How long after a write to look at the log's size; at most so often. */
const LOOK_MS = 50;

/** How long to leave a log alone that could not be emptied, since somebody reads from it. */
const BLOCKED_MS = 1_000;

/** In sizes worth a checkpoint: from here on writes wait for the one under way, or it would never catch up. */
const HOLD_AT = 4;

/** Watches the log's size. */
export function checkpoints(
  { native, maintenance, queue, clock, log, walBytes }: CheckpointParts,
): Checkpoints {
  const size = native.prepare("PRAGMA wal_checkpoint(NOOP)");
  const threshold = Math.ceil(walBytes / PAGE_BYTES);
  let cancel: (() => void) | undefined;
  let running: Promise<void> | undefined;
  let held = false;
  let failing = false;
  let ended = false;

  function pages(): number {
    try {
      return (size.get() as { log: number }).log;
    } catch {
      return 0; // a file that cannot be read is told of elsewhere
    }
  }

  function lookAfter(ms: number): void {
    if (ended || cancel !== undefined || running !== undefined) return;
    cancel = clock.after(ms, look);
  }

  function look(): void {
    cancel = undefined;
    if (pages() < threshold) return;
    running = checkpoint().then((emptied) => {
      failing = false;
      return emptied;
    }, (error) => {
      if (!failing) log.error("Checkpoints fail; the write-ahead log grows", { error }); // once, not each second
      failing = true;
      return false;
    }).then((emptied) => {
      running = undefined;
      if (!emptied) lookAfter(BLOCKED_MS);
    });
  }

  /**
   * The first pass copies nearly all while writes go on. They are at least a little ahead of it, so the log would
   * never be empty: for the second pass, which has little to do, they wait. The next write begins the log anew.
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
      if (running === undefined) lookAfter(LOOK_MS);
      else if (pages() > threshold * HOLD_AT) hold();
    },
    async end() {
      ended = true;
      cancel?.();
      await running;
    },
  };
}
