import { afterReading } from "../../../core/mod.ts";

/** How long work may block the event loop. */
const MAX_BLOCKING_MS = 10;

/**
 * Splits work into slices, with pauses in which the event loop reads from sockets:
 *
 *     for (const part of parts) {
 *       if (slices.due) await slices.pause();
 *       …
 *     }
 */
export class Slices {
  #end = performance.now() + MAX_BLOCKING_MS;

  /** Whether a pause is due. */
  get due(): boolean {
    return performance.now() >= this.#end;
  }

  async pause(): Promise<void> {
    await new Promise<void>((resolve) => void afterReading(resolve));
    this.#end = performance.now() + MAX_BLOCKING_MS;
  }
}

/** Yields items with pauses. */
export async function* inSlices<T>(items: Iterable<T>): AsyncGenerator<T> {
  const slices = new Slices();
  for (const item of items) {
    if (slices.due) await slices.pause();
    yield item;
  }
}
