import { type Clock, PlugboardError } from "../../core/mod.ts";
import { openFile } from "./file.ts";
import type { Followers } from "./follow.ts";

/** What the flight recorder does. */
export interface Recording {
  /** Whether it records. */
  readonly running: boolean;
  /** When it ends by itself, in milliseconds since 1970; absent if it does not. */
  readonly until?: number;
  /** The bytes on disk. */
  readonly bytes: number;
  /** The bytes that it keeps at most, approximately. */
  readonly maxBytes: number;
}

/** Keeps the latest traces of everything on disk, for a bug report. */
export interface Recorder {
  /** Tells what it does. */
  status(): Recording;
  /** Records for so long; without a time, until it is stopped. */
  start(ms?: number): void;
  /** Ends the recording; what was recorded stays. */
  stop(): void;
  /** Returns what was recorded, as lines of JSON, the oldest first. `done` is called at the end, also if it is cancelled. */
  read(done?: () => void): ReadableStream<Uint8Array>;
}

/** The older half of a recording is in a second file. */
const FILES = 2;

/** Creates a recorder that writes to a file. */
export function createRecorder(
  { file, maxBytes, following, clock, failed }: {
    readonly file: string | undefined;
    readonly maxBytes: number;
    readonly following: Pick<Followers, "add">;
    readonly clock: () => Clock;
    readonly failed: (error: unknown) => void;
  },
): Recorder {
  let running:
    | { readonly until: number | undefined; readonly end: () => void; readonly flush: () => void }
    | undefined;

  function path(): string {
    if (file !== undefined) return file;
    throw new PlugboardError("not_available", "There is no file for the flight recorder");
  }

  function files(): string[] {
    return file === undefined ? [] : [`${file}.1`, file].filter((each) => sizeOf(each) > 0);
  }

  function stop(): void {
    const ended = running;
    running = undefined;
    ended?.end();
  }

  /** Nothing more can be written, so it does not record any longer. */
  function stopFailed(error: unknown): void {
    stop();
    failed(error);
  }

  return {
    status: () => ({
      running: running !== undefined,
      ...(running?.until !== undefined && { until: running.until }),
      bytes: files().reduce((sum, each) => sum + sizeOf(each), 0),
      maxBytes,
    }),
    start(ms) {
      const options = { file: path(), maxBytes: Math.ceil(maxBytes / FILES), keep: FILES - 1 };
      stop();
      const sink = openFile(options, clock(), stopFailed);
      // What was delivered is known from what was published.
      const unfollow = following.add({}, (event) => sink.write(JSON.stringify(event)), { deliveries: false });
      const cancel = ms === undefined ? undefined : clock().after(ms, stop);
      const end = () => {
        cancel?.();
        unfollow();
        sink.close();
      };
      const until = ms === undefined ? undefined : clock().wallTime() + ms;
      running = { until, end, flush: sink.flush };
    },
    stop,
    read(done = () => {}) {
      path();
      running?.flush();
      return linesOf(files(), done);
    },
  };
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Streams the files one after the other, then calls `done`. */
function linesOf(paths: readonly string[], done: () => void): ReadableStream<Uint8Array> {
  const rest = [...paths];
  let file: Deno.FsFile | undefined;
  let ended = false;

  function end(): void {
    if (ended) return;
    ended = true;
    file?.close();
    done();
  }

  return new ReadableStream({
    async pull(controller) {
      try {
        for (;;) {
          const next = file === undefined ? rest.shift() : undefined;
          if (next !== undefined) file = await Deno.open(next);
          if (ended) return void file?.close();
          if (file === undefined) {
            end();
            return controller.close();
          }
          const buffer = new Uint8Array(65_536);
          const read = await file.read(buffer);
          if (ended) return;
          if (read !== null) return controller.enqueue(buffer.subarray(0, read));
          file.close();
          file = undefined;
        }
      } catch (error) {
        if (ended) return; // It was cancelled during the read.
        end();
        throw error;
      }
    },
    cancel: end,
  });
}
