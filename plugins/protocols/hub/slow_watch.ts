/**
 * Clients that do not take what they are sent.
 *
 * @module
 */

import { closeCodes } from "../../../core/mod.ts";
import type { Seat } from "./roster.ts";

/** The network is busy, not slow, while no more than this waits for it. */
export const NETWORK_BYTES = 131_072;

/** Looks for clients for whom messages wait, and cuts off those for whom they wait too long. */
export function slowWatch(timeoutMs: number): { look(seats: Iterable<Seat>, now: number): void } {
  /** Since when something waits. A client that has gone takes its entry with it. */
  const waitsSince = new WeakMap<Seat, number>();
  return {
    look(seats, now) {
      for (const seat of seats) {
        const since = waitsSince.get(seat);
        if (seat.conn.queuedBytes <= NETWORK_BYTES) waitsSince.delete(seat);
        else if (since === undefined) waitsSince.set(seat, now);
        else if (now - since >= timeoutMs) seat.conn.close(closeCodes.slow);
      }
    },
  };
}
