/**
 * Checkpoints: keep the write-ahead log short without blocking the event loop.
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
  /** The size of the log from which on a checkpoint is made. */
  readonly walBytes: number;
}

/** Makes checkpoints after writes. */
export interface Checkpoints {
  /** Call after a write. */
  wrote(): void;
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
      return 0; // the next read or write reports that the file cannot be read
    }
  }

  function checkAfter(ms: number): void {
    if (ended || cancel !== undefined || running !== undefined) return;
    cancel = clock.after(ms, check);
  }

  function check(): void {
    cancel = undefined;
    if (pages() < threshold) return;
    running = attempt().then((emptied) => {
      running = undefined;
      if (!emptied) checkAfter(BLOCKED_MS);
    });
  }

  async function attempt(): Promise<boolean> {
    try {
      const emptied = await checkpoint();
      failing = false;
      return emptied;
    } catch (error) {
      if (!failing) log.error("Checkpoints fail; the write-ahead log grows", { error }); // once, not each second
      failing = true;
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
      else if (pages() > threshold * HOLD_AT) hold();
    },
    async end() {
      ended = true;
      cancel?.();
      await running;
    },
  };
}
