/**
 * Long work in slices: between them the event loop serves others.
 *
 * @module
 */

import { afterReading, type MaybePromise } from "../../core/mod.ts";

/** How long a slice may take. */
const SLICE_MS = 5;

/** The slices of one piece of work. */
export class Slices {
  #until = performance.now() + SLICE_MS;

  /** Whether the slice is used up. */
  get due(): boolean {
    return performance.now() > this.#until;
  }

  /** Ends the slice. Resolves when the next one begins. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => afterReading(resolve));
    this.#until = performance.now() + SLICE_MS;
  }
}

/** How many items may be in work at once. */
const MAX_PARALLEL = 1_024;

/**
 * Works on items in slices and resolves to the results in their order. One item is in work at a time, or many if
 * `parallel`; then its promises must not reject. Work that returns no promise costs none.
 */
export async function inSlices<Item, Result>(
  items: Iterable<Item>,
  work: (item: Item) => MaybePromise<Result>,
  { parallel = false }: { readonly parallel?: boolean } = {},
): Promise<Result[]> {
  const slices = new Slices();
  const results: Result[] = [];
  /** Results that are in work, with their places. */
  const pending: Promise<void>[] = [];
  for (const item of items) {
    const place = results.length;
    const result = work(item);
    if (!(result instanceof Promise)) results.push(result);
    else if (!parallel) results.push(await result);
    else {
      results.push(undefined as Result);
      pending.push(result.then((value) => void (results[place] = value)));
      if (pending.length === MAX_PARALLEL) await Promise.all(pending.splice(0));
    }
    if (slices.due) await slices.next();
  }
  await Promise.all(pending);
  return results;
}

/** How many texts are joined at once. */
const MAX_JOINED = 100;

/** Joins the texts of many items by commas, in slices. */
export async function joinedInSlices<Item>(
  items: Iterable<Item>,
  textOf: (item: Item) => string,
): Promise<string> {
  const slices = new Slices();
  const joined: string[] = [];
  let texts: string[] = [];
  for (const item of items) {
    texts.push(textOf(item));
    if (texts.length < MAX_JOINED) continue;
    joined.push(texts.join());
    texts = [];
    if (slices.due) await slices.next();
  }
  if (texts.length > 0) joined.push(texts.join());
  return joined.join();
}
