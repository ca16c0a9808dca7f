/**
 * Batches: while calls to a server are under way, the next ones wait and share a call.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";
import type { Load } from "./load.ts";

/** The maximum calls at once. The server works on the second one while the answer to the first is on its way. */
const MAX_CALLS = 2;
/** The maximum items of a call. Redis does nothing else meanwhile: a publication takes it up to 0.05 ms. */
const MAX_ITEMS = 32;
/** The maximum bytes of a call, if it has more than one item. */
const MAX_BYTES = 262_144;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly bytes: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Returns a function that sends one item, in the order of the calls; several share a call of `send`, which returns a result
 * for each. It rejects at once when too many wait.
 */
export function batches<Item, Result>(
  send: (items: readonly Item[]) => Promise<readonly Result[]>,
  load: Load,
): (item: Item, bytes: number) => Promise<Result> {
  let waiting: Waiting<Item, Result>[] = [];
  let scheduled = false;
  let calls = 0;

  function take(): Waiting<Item, Result>[] {
    let bytes = 0;
    let taken = 0;
    while (taken < waiting.length && taken < MAX_ITEMS) {
      bytes += waiting[taken]!.bytes;
      if (taken > 0 && bytes > MAX_BYTES) break;
      taken++;
    }
    if (taken < waiting.length) return waiting.splice(0, taken);
    const all = waiting;
    waiting = [];
    return all;
  }

  async function call(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    calls++;
    try {
      const results = await send(batch.map(({ item }) => item));
      for (const [i, { resolve }] of batch.entries()) resolve(results[i]!);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    calls--;
    load.remove(batch.length, batch.reduce((sum, { bytes }) => sum + bytes, 0));
    flush();
  }

  function flush(): void {
    scheduled = false;
    while (waiting.length > 0 && calls < MAX_CALLS) void call(take());
  }

  return (item, bytes) => {
    if (!load.add(bytes)) {
      return Promise.reject(new PlugboardError("unavailable", "Redis does not keep up"));
    }
    if (!scheduled && calls < MAX_CALLS) {
      scheduled = true;
      // The first one goes at once. Later ones of one turn of the event loop share a call.
      if (calls === 0) queueMicrotask(flush);
      else setImmediate(flush);
    }
    return new Promise((resolve, reject) => waiting.push({ item, bytes, resolve, reject }));
  };
}
