/**
 * Executors run one read at a time, outside of the server's thread. A worker starts fast and needs no permission, but
 * stops only between rows. A process can always be killed.
 *
 * @module
 */

import { messageOf, PlugboardError } from "../../../core/mod.ts";
import { sourceWorker } from "../../shared/source_worker.ts";
import { type ReadAnswer, readerSource, type ReadRequest, type ReadResult, ROWS, STOP } from "./reader.ts";

/** Runs one read at a time. */
export interface Executor {
  /** The rows of the current read so far. */
  readonly rowCount: number;
  /** Whether it can run another read. */
  readonly usable: boolean;
  /** Reads; rejects with a {@linkcode PlugboardError}, for example `cancelled`. */
  read(request: ReadRequest): Promise<ReadResult>;
  /** Stops the current read; `true` if at once, `false` if between two rows. */
  stop(): boolean;
  /** Stops the current read as far as possible, and releases everything. */
  end(): Promise<void>;
}

/** Starts an executor in a worker. */
export function workerExecutor(): Executor {
  const control = new Uint32Array(new SharedArrayBuffer(8));
  const worker = sourceWorker(readerSource(), "plugboard query");
  let pending: PromiseWithResolvers<ReadResult> | undefined;
  let usable = true;
  worker.onmessage = ({ data }: MessageEvent<ReadAnswer>) => pending && settle(pending, data);
  worker.onerror = (event) => {
    event.preventDefault();
    usable = false;
    pending?.reject(new PlugboardError("query_failed", `The query's worker failed: ${event.message}`));
  };
  return {
    get rowCount() {
      return Atomics.load(control, ROWS);
    },
    get usable() {
      return usable;
    },
    read(request) {
      control.fill(0);
      pending = Promise.withResolvers<ReadResult>();
      try {
        worker.postMessage({ request, control });
      } catch (error) {
        throw new PlugboardError("bad_parameter", messageOf(error));
      }
      return pending.promise;
    },
    stop() {
      Atomics.store(control, STOP, 1);
      return false;
    },
    end() {
      worker.terminate();
      return Promise.resolve();
    },
  };
}

/** Settles a pending read with the reader's answer. */
export function settle(pending: PromiseWithResolvers<ReadResult>, answer: ReadAnswer): void {
  if ("result" in answer) pending.resolve(answer.result);
  else pending.reject(failure(answer));
}

/** SQLite's result codes. */
const [ERROR, NO_MEMORY, TOO_BIG, DENIED, OUT_OF_RANGE] = [1, 7, 18, 23, 25];

const MESSAGES: Readonly<Record<string, string>> = {
  not_a_read: "The query does more than read; only one that may write can do that",
  out_of_memory: "The query needs more memory than it may have",
};

function failure({ error, code, errcode }: Exclude<ReadAnswer, { result: unknown }>): PlugboardError {
  const kind = kindOf(code, errcode);
  return new PlugboardError(kind, MESSAGES[kind] ?? error);
}

function kindOf(code: string | undefined, errcode: number | undefined): string {
  if (errcode === DENIED) return "not_a_read";
  if (errcode === NO_MEMORY || errcode === TOO_BIG) return "out_of_memory";
  if (errcode === OUT_OF_RANGE || code?.startsWith("ERR_INVALID_")) return "bad_parameter";
  if (errcode !== undefined) return (errcode & 255) === ERROR ? "bad_sql" : "query_failed";
  return code === undefined || code.startsWith("ERR_") ? "query_failed" : code; // the reader's own codes
}
