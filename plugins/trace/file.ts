import type { Clock } from "../../core/mod.ts";

/** Options of a rotating file of lines. */
export interface FileOptions {
  /** The path. Older files are named `….1`, `….2` and so on. */
  file: string;
  /** Maximum bytes of a file. @default {67108864} 64 MiB */
  maxBytes?: number;
  /** Number of older files to keep. @default {3} */
  keep?: number;
}

/** Lines are written in batches, after this time or at this size. */
const FLUSH_MS = 100;
const FLUSH_CHARS = 65_536;

/** Opens the file. After the first failed write it is closed and further lines are dropped. */
export function openFile(
  { file, maxBytes, keep }: Required<FileOptions>,
  clock: Clock,
  failed: (error: unknown) => void,
) {
  let open: Deno.FsFile | undefined = append(file);
  let size = open.statSync().size;
  let pending: string[] = [];
  let chars = 0;
  let cancel: (() => void) | undefined;
  const encoder = new TextEncoder();

  function flush(): void {
    cancel?.();
    cancel = undefined;
    if (open === undefined || pending.length === 0) return;
    const bytes = encoder.encode(`${pending.join("\n")}\n`);
    pending = [];
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
    /** Writes a line, given without its line break. */
    write(line: string): void {
      if (open === undefined) return;
      pending.push(line);
      chars += line.length;
      if (chars >= FLUSH_CHARS) flush();
      else cancel ??= clock.after(FLUSH_MS, flush);
    },
    /** Writes all pending lines. */
    flush,
    /** Writes all pending lines and closes the file. */
    close(): void {
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
