/**
 * Watchers: code of this process that follows queries.
 *
 * @module
 */

import type { Channels } from "../channels.ts";

/** Code that follows channels. */
export interface Watchers {
  /** Has a channel followed; gives the function that ends it. */
  add(channel: string, listener: (diff: unknown) => void, ended?: (reason: string) => void): () => void;
  /** A channel's query was ended. */
  end(channel: string, reason: string): void;
}

/** Nobody follows anything so far. */
export function watchers(channels: Pick<Channels, "subscribe">): Watchers {
  const all = new Map<string, Set<(reason: string) => void>>();

  return {
    add(channel, listener, ended) {
      let stopped = false;
      // What was published before it stopped may still be on its way.
      const unsubscribe = channels.subscribe(channel, (diff) => stopped || listener(diff));
      const ends = all.get(channel) ?? new Set();
      all.set(channel, ends.add(end));

      function stop(): void {
        stopped = true;
        unsubscribe();
        ends.delete(end);
        if (ends.size === 0 && all.get(channel) === ends) all.delete(channel);
      }
      function end(reason: string): void {
        stop();
        ended?.(reason);
      }
      return stop;
    },
    end(channel, reason) {
      for (const end of [...all.get(channel) ?? []]) end(reason);
    },
  };
}
