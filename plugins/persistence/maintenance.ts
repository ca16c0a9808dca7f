/**
 * Maintenance: what takes long, done by a worker with a connection of its own, so that the event loop stays free.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Durability } from "./file.ts";

/** Something for the worker to do. */
export type Task =
  /** Moves what is in the write-ahead log to the database, as far as nobody reads it. */
  | { readonly type: "checkpoint" }
  /** Writes a copy. */
  | { readonly type: "copy"; readonly to: string }
  /** Looks through the whole file for damage. */
  | { readonly type: "check" };

/** What a checkpoint found: pages in the log, and how many of them are in the database now. */
export interface Checkpointed {
  readonly log: number;
  readonly checkpointed: number;
}

/** Workers for one file. */
export interface Maintenance {
  checkpoint(): Promise<Checkpointed>;
  copy(to: string): Promise<void>;
  /** The damage that was found, as SQLite words it; empty when there is none. */
  check(): Promise<string[]>;
  /** Waits for a checkpoint under way, breaks off everything else. */
  end(): Promise<void>;
}

/**
 * Prepares workers for the file at `path`. Checkpoints are frequent and short, so one worker stays for them. Copies and
 * checks may take minutes and are seldom: each has a worker to itself, and no checkpoint waits for it.
 */
export function maintenance(path: string, durability: Durability): Maintenance {
  const settings: WorkerSettings = { path, durability };
  let checkpointer: Worker | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const others = new Map<Worker, (reason: PlugboardError) => void>();
  let ended = false;

  async function alone<T>(task: Task): Promise<T> {
    if (ended) throw stopped();
    const worker = startWorker();
    try {
      const broken = new Promise<never>((_, reject) => others.set(worker, reject));
      return await Promise.race([broken, ask<T>(worker, { ...task, ...settings })]);
    } finally {
      others.delete(worker);
      worker.terminate();
    }
  }

  return {
    checkpoint() {
      checkpointer ??= startWorker();
      const result = ask<Checkpointed>(checkpointer, { type: "checkpoint", ...settings });
      last = result.catch(({ code }) => {
        if (code === "worker_failed") checkpointer = undefined; // the next one gets another
      });
      return result;
    },
    copy: (to) => alone({ type: "copy", to }),
    check: () => alone({ type: "check" }),
    async end() {
      ended = true;
      for (const breakOff of others.values()) breakOff(stopped());
      await last;
      checkpointer?.terminate();
      checkpointer = undefined;
    },
  };
}

function stopped(): PlugboardError {
  return new PlugboardError("stopped", "The database is closed");
}

/** Has a worker do something; it does one thing at a time. */
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

/**
 * Starts the worker from the source of {@linkcode work}, so that it is there in a bundle and in a compiled
 * executable too, where files beside the program are not.
 */
function startWorker(): Worker {
  const source = new Blob([`await (${work})();`], { type: "text/javascript" });
  const url = URL.createObjectURL(source);
  const worker = new Worker(url, { type: "module", name: "plugboard maintenance" });
  URL.revokeObjectURL(url);
  return worker;
}

/** The worker's whole program; nothing outside of it exists there. */
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
          // In a transaction, so that the copy is of this moment and does not begin anew with every write. (VACUUM INTO
          // would be compact, but the runtime allows it only to programs that may do everything.)
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
