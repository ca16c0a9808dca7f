/**
 * Executors that are processes: whatever the query does, it ends when its process is killed.
 *
 * @module
 */

import { dirname } from "node:path";
import { deserialize, serialize } from "node:v8";
import { messageOf, PlugboardError } from "../../core/mod.ts";
import { type Executor, settle } from "./executor.ts";
import { frame, framesIn } from "./frames.ts";
import { type ReadAnswer, readerSource, type ReadRequest, type ReadResult } from "./reader.ts";

/** Whether this program may start processes of its own runtime. A compiled one is not the runtime. */
export function processesAllowed(): boolean {
  if (Deno.build.standalone) return false;
  return Deno.permissions.querySync({ name: "run", command: Deno.execPath() }).state === "granted";
}

/** What a process tells: its rows so far, and its answer. */
type Told = { readonly rows: number } | ReadAnswer;

/** An executor in a process, which may read the database's folder and nothing else. */
export function processExecutor(path: string): Executor {
  const process = startProcess(path);
  const writer = process.stdin.getWriter();
  let pending: PromiseWithResolvers<ReadResult> | undefined;
  let rowCount = 0;
  let usable = true;
  let stopped = false;

  async function listen(): Promise<void> {
    for await (const body of framesIn(process.stdout)) {
      const told = deserialize(body) as Told;
      if ("rows" in told) rowCount = told.rows;
      else if (pending !== undefined) settle(pending, told);
    }
  }

  const ended = Promise.allSettled([listen(), process.status]).then(() => {
    usable = false;
    pending?.reject(
      stopped
        ? new PlugboardError("cancelled", "The query was cancelled")
        : new PlugboardError("query_failed", "The query's process has ended, perhaps for want of memory"),
    );
  });

  async function end(): Promise<void> {
    usable = false;
    try {
      process.kill("SIGKILL");
    } catch { /* it has ended by itself */ }
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
      writer.write(frame(serialized(request))).catch(() => {}); // its end tells the reason
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
  const source = [frame, framesIn, `await (${program})(${JSON.stringify(readerSource())});`].join("\n");
  const alone = ["prompt", "config", "lock", "remote", "npm", "code-cache"].map((what) => `--no-${what}`);
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      ...alone,
      `--allow-read=${dirname(path).replaceAll(",", ",,")}`,
      `data:text/javascript,${encodeURIComponent(source)}`,
    ],
    // It may not read its environment, but the runtime has to: where its cache is, for one. It has nothing to report.
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
 * The process's program; nothing outside of it exists there but the functions for frames. The reading is done in a worker
 * of it, so that the process itself hears when its pipe is closed: it ends with the server, be that killed.
 */
async function program(reader: string): Promise<void> {
  const { deserialize, serialize } = await import("node:v8");
  const control = new Uint32Array(new SharedArrayBuffer(8));
  const url = URL.createObjectURL(new Blob([reader], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  let telling: ReturnType<typeof setInterval> | undefined;

  function tell(told: Told): void {
    const bytes = frame(serialize(told));
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  }

  worker.onmessage = ({ data }: MessageEvent<ReadAnswer>) => {
    clearInterval(telling);
    tell(data);
  };
  for await (const body of framesIn(Deno.stdin.readable)) {
    control.fill(0);
    telling = setInterval(() => tell({ rows: control[0]! }), 50);
    worker.postMessage({ request: deserialize(body), control });
  }
  Deno.exit();
}
