/**
 * Cursors: many moves, of which only the latest counts.
 *
 * @module
 */

import type { Clock } from "../../../core/mod.ts";
import type { Client } from "../../channels.ts";

/** Passes cursors on, no more often than once an interval for each client and channel. */
export interface Cursors {
  /** A client's cursor is there now. */
  move(client: Client, channel: string, data: unknown): void;
  /** Forgets those that were not passed on. */
  stop(): void;
}

/** Makes the passing on: the first move of an interval waits for its end, with those that follow. */
export function cursors(
  clock: () => Clock,
  intervalMs: number,
  pass: (client: Client, channel: string, data: unknown) => void,
): Cursors {
  const moved = new Map<Client, Map<string, unknown>>();
  let cancel: (() => void) | undefined;

  function flush(): void {
    cancel = undefined;
    for (const [client, byChannel] of moved) {
      for (const [channel, data] of byChannel) if (client.conn.open) pass(client, channel, data);
    }
    moved.clear();
  }

  return {
    move(client, channel, data) {
      let byChannel = moved.get(client);
      if (byChannel === undefined) moved.set(client, byChannel = new Map());
      byChannel.set(channel, data);
      cancel ??= clock().after(intervalMs, flush);
    },
    stop() {
      cancel?.();
      moved.clear();
    },
  };
}
