/**
 * A file of lines that does not grow without end.
 *
 * @module
 */

import type { Clock } from "../../core/mod.ts";

/** Where records are written. */
export interface FileOptions {
  /** The file; older ones are beside it as `….1`, `….2` and so on. */
  file: string;
  /** Bytes after which a new one is begun. @default {67108864} 64 MiB */
  maxBytes?: number;
  /** How many older ones are kept. @default {3} */
  keep?: number;
}

/** Takes lines, without their line breaks. */
export interface LineSink {
  write(line: string): void;
  /** Brings everything to the file and closes it. */
  close(): void;
}

/** Lines are written together: at the latest after this time, or when this much is there. */
const FLUSH_MS = 100;
const FLUSH_CHARS = 65_536;

/** Opens the file. A failed write is told once, and ends the writing: the server goes on. */
export function openFile(
  { file, maxBytes, keep }: Required<FileOptions>,
  clock: Clock,
  failed: (error: unknown) => void,
): LineSink {
  let open: Deno.FsFile | undefined = append(file);
  let size = open.statSync().size;
  let waiting: string[] = [];
  let chars = 0;
  let cancel: (() => void) | undefined;
  const encoder = new TextEncoder();

  function flush(): void {
    cancel?.();
    cancel = undefined;
    if (open === undefined || waiting.length === 0) return;
    const bytes = encoder.encode(`${waiting.join("\n")}\n`);
    waiting = [];
    chars = 0;
    try {
      if (size > 0 && size + bytes.length > maxBytes) rotate();
      for (let written = 0; written < bytes.length;) written += open.writeSync(bytes.subarray(written));
      size += bytes.length;
    } catch (error) {
      close();
      failed(error);
    }
  }

  function close(): void {
    open?.close();
    open = undefined;
  }

  function rotate(): void {
    close();
    for (let n = keep - 1; n >= 1; n--) rename(`${file}.${n}`, `${file}.${n + 1}`);
    if (keep > 0) rename(file, `${file}.1`);
    else Deno.removeSync(file);
    open = append(file);
    size = 0;
  }

  return {
    write(line) {
      if (open === undefined) return;
      waiting.push(line);
      chars += line.length;
      if (chars >= FLUSH_CHARS) flush();
      else cancel ??= clock.after(FLUSH_MS, flush);
    },
    close() {
      flush();
      close();
    },
  };
}

function append(file: string): Deno.FsFile {
  const folder = file.replace(/[^/\\]*$/, "");
  if (folder !== "") Deno.mkdirSync(folder, { recursive: true });
  return Deno.openSync(file, { append: true, create: true });
}

function rename(from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
