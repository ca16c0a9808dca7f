/**
 * Cursors: of many moves, only the latest is published.
 *
 * @module
 */

import type { Clock } from "../../../core/mod.ts";
import type { Client } from "../../channels.ts";

/** A new position of a client's cursor in a channel. */
export interface Move {
  readonly client: Client;
  readonly channel: string;
  /** What the client sent about it. */
  readonly data: object;
  /** Called if it is not published. */
  refuse(error: unknown): void;
}

/** Publishes cursors, at most once per interval for each client and channel. */
export interface Cursors {
  /** Publishes a move soon, unless a newer one replaces it. */
  move(move: Move): void;
  /** Drops the pending moves. */
  stop(): void;
}

/** Deliveries per millisecond. Where everybody moves, the rest must have time too. */
const DELIVERIES_PER_MS = 40;

/** Makes the queue. `publish` returns the number of receivers and never rejects. */
export function cursors(
  clock: () => Clock,
  intervalMs: number,
  publish: (move: Move) => Promise<number>,
): Cursors {
  /** By client and channel, the oldest first. A newer move takes the place of an older one. */
  const pending = new Map<string, Move>();
  let cancel: (() => void) | undefined;

  async function flush(): Promise<void> {
    let deliveries = 0;
    for (const key of [...pending.keys()]) {
      if (deliveries >= DELIVERIES_PER_MS * intervalMs) break;
      const move = pending.get(key);
      pending.delete(key);
      if (move?.client.conn.open) deliveries += await publish(move);
    }
    cancel = pending.size === 0 ? undefined : clock().after(intervalMs, flush);
  }

  return {
    move(move) {
      pending.set(`${move.client.id} ${move.channel}`, move);
      cancel ??= clock().after(intervalMs, flush);
    },
    stop() {
      cancel?.();
      pending.clear();
    },
  };
}
