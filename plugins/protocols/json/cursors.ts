/**
 * Cursors: many moves, of which only the latest counts.
 *
 * @module
 */

import type { Clock } from "../../../core/mod.ts";
import type { Client } from "../../channels.ts";

/** Where a client's cursor is in a channel. */
export interface Move {
  readonly client: Client;
  readonly channel: string;
  /** What the client says of it. */
  readonly data: object;
  /** Tells the client that it is not passed on. */
  refuse(error: unknown): void;
}

/** Passes cursors on, no more often than once an interval for each client and channel. */
export interface Cursors {
  /** A client's cursor is there now. */
  move(move: Move): void;
  /** Forgets those that were not passed on. */
  stop(): void;
}

/**
 * Deliveries for each millisecond, beyond which cursors wait: where everybody moves, each move is worth a message to
 * everybody, and those must leave time for all the rest.
 */
const DELIVERIES_PER_MS = 40;

/** Makes the passing on; `pass` gives the number of receivers and never rejects. */
export function cursors(
  clock: () => Clock,
  intervalMs: number,
  pass: (move: Move) => Promise<number>,
): Cursors {
  /** By client and channel, the longest waiting first: a newer move takes the place of the one before. */
  const waiting = new Map<string, Move>();
  let cancel: (() => void) | undefined;

  async function flush(): Promise<void> {
    let deliveries = 0;
    for (const key of [...waiting.keys()]) {
      if (deliveries >= DELIVERIES_PER_MS * intervalMs) break;
      const move = waiting.get(key);
      waiting.delete(key);
      if (move?.client.conn.open) deliveries += await pass(move);
    }
    cancel = waiting.size === 0 ? undefined : clock().after(intervalMs, flush);
  }

  return {
    move(move) {
      waiting.set(`${move.client.id} ${move.channel}`, move);
      cancel ??= clock().after(intervalMs, flush);
    },
    stop() {
      cancel?.();
      waiting.clear();
    },
  };
}
