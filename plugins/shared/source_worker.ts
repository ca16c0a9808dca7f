/**
 * Workers whose program is text. Unlike a file, text is also available in a bundle and in a compiled executable.
 *
 * @module
 */

/** Starts a worker. Also runs as source text in another process, so it uses nothing outside of itself. */
export function sourceWorker(source: string, name: string): Worker {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module", name });
  URL.revokeObjectURL(url);
  return worker;
}
