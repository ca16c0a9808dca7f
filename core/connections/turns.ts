/**
 * Turns: connections whose requests cause much work wait here, so that the server reads from the others meanwhile.
 *
 * @module
 */

import { systemClock } from "../contract/clock.ts";
import { afterReading } from "../contract/reading.ts";

/** A connection that can wait for a turn. */
export interface TurnTaker {
  readonly open: boolean;
  /** Bytes that the network has not taken yet. */
  readonly queuedBytes: number;
}

/** How long requests may run before the event loop reads from sockets again. */
const SLICE_MS = 10;

/** A client that has more than this to read waits until it has read it. */
const DRAINED_BYTES = 262_144;

/** How often to check whether slow readers have read. The runtime has no event for it. */
const CHECK_MS = 10;

/** The connections that wait for their next turn, in the order in which they came. */
export class Turns {
  readonly #waiting = new Map<TurnTaker, PromiseWithResolvers<void>>();
  /** Whether a connection has begun to wait since the last run. */
  #added = false;
  #running = false;
  #cancel: (() => void) | undefined;
  /** When this turn of the event loop was first looked at. */
  #startedAt: number | undefined;

  /** Whether requests have run for so long in this turn of the event loop that others must be served. */
  get overdue(): boolean {
    const now = performance.now();
    if (this.#startedAt === undefined) {
      this.#startedAt = now;
      setImmediate(() => this.#startedAt = undefined);
    }
    return now - this.#startedAt > SLICE_MS;
  }

  /** Resolves when others had a turn and the client has read what was sent, or when the connection has ended. */
  wait(conn: TurnTaker): Promise<void> {
    const wait = this.#waiting.getOrInsertComputed(conn, () => Promise.withResolvers<void>());
    this.#added = true;
    this.#cancel ??= afterReading(() => this.#run());
    return wait.promise;
  }

  /** Ends the wait of a connection. */
  end(conn: TurnTaker): void {
    this.#waiting.get(conn)?.resolve();
    this.#waiting.delete(conn);
    if (this.#waiting.size > 0 || this.#running) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Lets connections go on until the slice is used up. */
  async #run(): Promise<void> {
    const deadline = performance.now() + SLICE_MS;
    let late = false;
    this.#running = true;
    this.#added = false;
    for (const conn of [...this.#waiting.keys()]) {
      if (conn.open && conn.queuedBytes > DRAINED_BYTES) continue;
      late = performance.now() > deadline;
      if (late) break;
      this.#waiting.get(conn)?.resolve();
      this.#waiting.delete(conn);
      // The requests of the connection run before this continues.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#running = false;
    if (this.#waiting.size === 0) this.#cancel = undefined;
    else if (late || this.#added) this.#cancel = afterReading(() => this.#run());
    else this.#cancel = systemClock.after(CHECK_MS, () => this.#run());
  }
}
