/**
 * Maintenance: slow tasks, done by workers with connections of their own, so that the event loop stays free.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Durability } from "./file.ts";
import { sourceWorker } from "../shared/source_worker.ts";

/** A task for a worker. */
export type Task =
  /** Moves the write-ahead log to the database, except what is being read. */
  | { readonly type: "checkpoint" }
  /** Copies the database. */
  | { readonly type: "copy"; readonly to: string }
  /** Checks the whole file for damage. */
  | { readonly type: "check" };

/** The result of a checkpoint: pages in the log, and how many of them are in the database now. */
export interface Checkpointed {
  readonly log: number;
  readonly checkpointed: number;
}

/** Maintains one file. */
export interface Maintenance {
  checkpoint(): Promise<Checkpointed>;
  copy(to: string): Promise<void>;
  /** Returns the damage in SQLite's words; empty without damage. */
  check(): Promise<string[]>;
  /** Waits for the current checkpoint and aborts everything else. */
  end(): Promise<void>;
}

/**
 * Maintains the file at `path`. Checkpoints are frequent and short, so they share one worker. Copies and checks are rare and
 * may take minutes, so each has its own worker, and no checkpoint waits for it.
 */
export function maintenance(path: string, durability: Durability): Maintenance {
  const settings: WorkerSettings = { path, durability };
  let checkpointer: Worker | undefined;
  let lastCheckpoint: Promise<unknown> = Promise.resolve();
  /** The other workers, with the functions that abort their tasks. */
  const others = new Map<Worker, (reason: PlugboardError) => void>();
  let ended = false;

  async function alone<T>(task: Task): Promise<T> {
    if (ended) throw stopped();
    const worker = startWorker();
    try {
      const aborted = new Promise<never>((_, reject) => others.set(worker, reject));
      return await Promise.race([aborted, ask<T>(worker, { ...task, ...settings })]);
    } finally {
      others.delete(worker);
      worker.terminate();
    }
  }

  return {
    checkpoint() {
      checkpointer ??= startWorker();
      const result = ask<Checkpointed>(checkpointer, { type: "checkpoint", ...settings });
      lastCheckpoint = result.catch(({ code }) => {
        if (code === "worker_failed") checkpointer = undefined; // the next one starts another worker
      });
      return result;
    },
    copy: (to) => alone({ type: "copy", to }),
    check: () => alone({ type: "check" }),
    async end() {
      ended = true;
      for (const abort of others.values()) abort(stopped());
      await lastCheckpoint;
      checkpointer?.terminate();
      checkpointer = undefined;
    },
  };
}

function stopped(): PlugboardError {
  return new PlugboardError("stopped", "The database is closed");
}

/** Runs a task in a worker, which runs one at a time. */
function ask<T>(worker: Worker, task: Task & WorkerSettings): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    if ("error" in data) reject(Object.assign(new Error(data.error), data.details));
    else resolve(data.result as T);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new PlugboardError("worker_failed", `The maintenance worker failed: ${event.message}`));
  };
  worker.postMessage(task);
  return promise;
}

interface WorkerSettings {
  readonly path: string;
  readonly durability: Durability;
}

type Answer = { result: unknown } | { error: string; details: { code?: string; errcode?: number } };

function startWorker(): Worker {
  return sourceWorker(`await (${work})();`, "plugboard maintenance");
}

/** The worker's program. It uses nothing outside of itself. */
async function work(): Promise<void> {
  const { backup, DatabaseSync } = await import("node:sqlite");
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent<Task & WorkerSettings>) => void;
    postMessage: (answer: Answer) => void;
  };

  async function run(task: Task & WorkerSettings): Promise<unknown> {
    const db = new DatabaseSync(task.path, { timeout: 1_000 });
    try {
      db.prepare(`PRAGMA synchronous = ${task.durability === "off" ? "OFF" : "NORMAL"}`).get();
      switch (task.type) {
        case "checkpoint": {
          const { log, checkpointed } = db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get()!;
          return { log, checkpointed };
        }
        case "copy":
          // In a transaction, so that the copy has one state and does not restart with every write. (VACUUM INTO would
          // be smaller, but the runtime allows it only with all permissions.)
          db.exec("BEGIN; SELECT count(*) FROM sqlite_schema");
          await backup(db, task.to);
          return undefined;
        case "check":
          return db.prepare("PRAGMA quick_check(10)").all().map((row) => String(Object.values(row)[0]))
            .filter((finding) => finding !== "ok");
      }
    } finally {
      db.close();
    }
  }

  scope.onmessage = async ({ data }) => {
    try {
      scope.postMessage({ result: await run(data) });
    } catch (thrown) {
      const { message, code, errcode } = thrown as Error & { code?: string; errcode?: number };
      scope.postMessage({ error: message, details: { ...(code && { code }), ...(errcode && { errcode }) } });
    }
  };
}
