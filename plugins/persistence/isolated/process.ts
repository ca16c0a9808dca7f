/**
 * Executors in processes: killing the process ends any query.
 *
 * @module
 */

import { dirname } from "node:path";
import { deserialize, serialize } from "node:v8";
import { messageOf, PlugboardError } from "../../../core/mod.ts";
import { sourceWorker } from "../../shared/source_worker.ts";
import { type Executor, settle } from "./executor.ts";
import { frame, framesIn } from "./frames.ts";
import { type ReadAnswer, readerSource, type ReadRequest, type ReadResult } from "./reader.ts";

/** Whether this program may start processes of its own runtime. A compiled program is not the runtime. */
export function processesAllowed(): boolean {
  if (Deno.build.standalone) return false;
  return Deno.permissions.querySync({ name: "run", command: Deno.execPath() }).state === "granted";
}

/** What a process sends: its rows so far, and its answer. */
type Report = { readonly rows: number } | ReadAnswer;

/** Starts an executor in a process that may read the database's folder and nothing else. */
export function processExecutor(path: string): Executor {
  const process = startProcess(path);
  const writer = process.stdin.getWriter();
  let pending: PromiseWithResolvers<ReadResult> | undefined;
  let rowCount = 0;
  let usable = true;
  let stopped = false;

  async function listen(): Promise<void> {
    for await (const body of framesIn(process.stdout)) {
      const report = deserialize(body) as Report;
      if ("rows" in report) rowCount = report.rows;
      else if (pending !== undefined) settle(pending, report);
    }
  }

  const ended = Promise.allSettled([listen(), process.status]).then(() => {
    usable = false;
    pending?.reject(
      stopped
        ? new PlugboardError("cancelled", "The query was cancelled")
        : new PlugboardError("query_failed", "The query's process has ended, perhaps out of memory"),
    );
  });

  async function end(): Promise<void> {
    usable = false;
    try {
      process.kill("SIGKILL");
    } catch { /* it has ended already */ }
    await writer.abort().catch(() => {});
    await ended;
  }

  return {
    get rowCount() {
      return rowCount;
    },
    get usable() {
      return usable;
    },
    read(request) {
      rowCount = 0;
      pending = Promise.withResolvers<ReadResult>();
      writer.write(frame(serialized(request))).catch(() => {}); // `ended` rejects with the reason
      return pending.promise;
    },
    stop() {
      stopped = true;
      end();
      return true;
    },
    end,
  };
}

function serialized(request: ReadRequest): Uint8Array {
  try {
    return serialize(request);
  } catch (error) {
    throw new PlugboardError("bad_parameter", messageOf(error));
  }
}

function startProcess(path: string) {
  const source = `await (${program})(${frame}, ${framesIn}, ${sourceWorker}, ${
    JSON.stringify(readerSource())
  });`;
  const alone = ["prompt", "config", "lock", "remote", "npm", "code-cache"].map((what) => `--no-${what}`);
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      ...alone,
      `--allow-read=${dirname(path).replaceAll(",", ",,")}`,
      `data:text/javascript,${encodeURIComponent(source)}`,
    ],
    // The program may not read its environment. The runtime needs it, for example to find its cache.
    env: { OTEL_DENO: "false" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  });
  try {
    return command.spawn();
  } catch (error) {
    throw new PlugboardError("query_failed", `No process can be started for the query: ${messageOf(error)}`);
  }
}

/**
 * The process's program. It runs as source text, so it uses nothing outside of itself but its arguments. It reads in a
 * worker, so that the process notices when its pipe closes: it ends with the server, even one that is killed.
 */
async function program(
  encode: typeof frame,
  decode: typeof framesIn,
  startWorker: typeof sourceWorker,
  reader: string,
): Promise<void> {
  const { deserialize, serialize } = await import("node:v8");
  const control = new Uint32Array(new SharedArrayBuffer(8));
  const worker = startWorker(reader, "plugboard query");
  let reporting: ReturnType<typeof setInterval> | undefined;

  function send(report: Report): void {
    const bytes = encode(serialize(report));
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  }

  worker.onmessage = ({ data }: MessageEvent<ReadAnswer>) => {
    clearInterval(reporting);
    send(data);
  };
  for await (const body of decode(Deno.stdin.readable)) {
    control.fill(0);
    reporting = setInterval(() => send({ rows: control[0]! }), 50);
    worker.postMessage({ request: deserialize(body), control });
  }
  Deno.exit();
}
