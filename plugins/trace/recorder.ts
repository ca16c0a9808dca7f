import { type Clock, PlugboardError } from "../../core/mod.ts";
import { openFile } from "./file.ts";
import type { Followers } from "./follow.ts";

/** What the flight recorder does. */
export interface Recording {
  /** Whether it records. */
  readonly running: boolean;
  /** When it ends by itself, in milliseconds since 1970; absent if it does not record. */
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
  /** Records for so long. */
  start(ms: number): void;
  /** Ends the recording; what was recorded stays. */
  stop(): void;
  /** Returns what was recorded, as lines of JSON, the oldest first. */
  read(): ReadableStream<Uint8Array>;
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
  let running: { readonly until: number; readonly end: () => void; readonly flush: () => void } | undefined;

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
      ...(running !== undefined && { until: running.until }),
      bytes: files().reduce((sum, each) => sum + sizeOf(each), 0),
      maxBytes,
    }),
    start(ms) {
      const options = { file: path(), maxBytes: Math.ceil(maxBytes / FILES), keep: FILES - 1 };
      stop();
      const sink = openFile(options, clock(), stopFailed);
      const unfollow = following.add({}, (event) => sink.write(JSON.stringify(event)));
      const cancel = clock().after(ms, stop);
      const end = () => {
        cancel();
        unfollow();
        sink.close();
      };
      running = { until: clock().wallTime() + ms, end, flush: sink.flush };
    },
    stop,
    read() {
      path();
      running?.flush();
      return linesOf(files());
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

/** Streams the files one after the other. */
function linesOf(paths: readonly string[]): ReadableStream<Uint8Array> {
  async function* chunks() {
    for (const path of paths) {
      using file = await Deno.open(path);
      const buffer = new Uint8Array(65_536);
      for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
        yield buffer.slice(0, read);
      }
    }
  }
  return ReadableStream.from(chunks());
}
