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
  /** Writes a compact copy. */
  | { readonly type: "copy"; readonly to: string }
  /** Looks through the whole file for damage. */
  | { readonly type: "check" };

/** What a checkpoint found: pages in the log, and how many of them are in the database now. */
export interface Checkpointed {
  readonly log: number;
  readonly checkpointed: number;
}

/** A worker for one file; it starts with its first task. */
export interface Maintenance {
  checkpoint(): Promise<Checkpointed>;
  copy(to: string): Promise<void>;
  /** The damage that was found, as SQLite words it; empty when there is none. */
  check(): Promise<string[]>;
  /** Waits for what is under way, then ends the worker. */
  end(): Promise<void>;
}

/** Prepares a worker for the file at `path`. */
export function maintenance(path: string, durability: Durability): Maintenance {
  let worker: Worker | undefined;
  let last: Promise<unknown> = Promise.resolve();

  /** One after the other: the worker answers in order anyway, and a copy keeps a checkpoint from getting far. */
  function run<T>(task: Task): Promise<T> {
    const result = last.then(() => ask<T>(worker ??= startWorker(), { ...task, path, durability }));
    last = result.catch(() => {});
    return result;
  }

  return {
    checkpoint: () => run({ type: "checkpoint" }),
    copy: (to) => run({ type: "copy", to }),
    check: () => run({ type: "check" }),
    async end() {
      await last;
      worker?.terminate();
      worker = undefined;
    },
  };
}

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
  const { DatabaseSync } = await import("node:sqlite");
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent<Task & WorkerSettings>) => void;
    postMessage: (answer: Answer) => void;
  };

  function run(task: Task & WorkerSettings): unknown {
    const db = new DatabaseSync(task.path, { timeout: 1_000 });
    try {
      db.prepare(`PRAGMA synchronous = ${task.durability === "off" ? "OFF" : "NORMAL"}`).get();
      switch (task.type) {
        case "checkpoint": {
          const { log, checkpointed } = db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get()!;
          return { log, checkpointed };
        }
        case "copy":
          db.prepare("VACUUM INTO ?").run(task.to);
          return undefined;
        case "check":
          return db.prepare("PRAGMA quick_check(10)").all().map((row) => String(Object.values(row)[0]))
            .filter((finding) => finding !== "ok");
      }
    } finally {
      db.close();
    }
  }

  scope.onmessage = ({ data }) => {
    try {
      scope.postMessage({ result: run(data) });
    } catch (thrown) {
      const { message, code, errcode } = thrown as Error & { code?: string; errcode?: number };
      scope.postMessage({ error: message, details: { ...(code && { code }), ...(errcode && { errcode }) } });
    }
  };
}
