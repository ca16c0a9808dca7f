/**
 * Liveness: finds peers that have gone without a word.
 *
 * One timer for the whole server: time is a wheel of slots, a connection sits in one slot, and once in a round
 * its slot is pinged. So pings are spread evenly, and ten thousand connections need no ten thousand timers.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";

const SLOTS = 50;

/** When to ping, and how long to wait for an answer. */
export interface LivenessOptions {
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
}

/**
 * Pings every connection once an interval, and closes those that do not answer.
 *
 * The wait for an answer is counted in ticks, not in milliseconds: while the event loop is blocked there are none,
 * so the time in which answers could not be read is nobody's fault.
 */
export class Liveness {
  readonly #slots: Set<Connection>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #slotOf = new Map<Connection, Set<Connection>>();
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #pongTicks: number;
  #turn = 0;
  /** Ticks that came in a turn of the event loop of their own, so that answers could be read before them. */
  #freeTicks = 0;
  /** How many of them there had been when each slot was pinged. */
  readonly #pingedAt: number[] = new Array(SLOTS).fill(0);
  #loopTurned = true;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, { pingIntervalMs, pongTimeoutMs }: LivenessOptions) {
    this.#clock = clock;
    this.#tickMs = pingIntervalMs / SLOTS;
    this.#pongTicks = Math.ceil(pongTimeoutMs / this.#tickMs);
  }

  start(): void {
    this.#cancel = this.#clock.every(this.#tickMs, () => this.#tick());
  }

  stop(): void {
    this.#cancel?.();
  }

  /** The first ping comes at a random moment between half an interval and a whole one. */
  add(conn: Connection): void {
    const ahead = Math.ceil(SLOTS / 2 + Math.random() * (SLOTS / 2));
    const slot = this.#slots[(this.#turn + ahead) % SLOTS]!;
    slot.add(conn);
    this.#slotOf.set(conn, slot);
  }

  delete(conn: Connection): void {
    this.#slotOf.get(conn)?.delete(conn);
    this.#slotOf.delete(conn);
  }

  #tick(): void {
    if (this.#loopTurned) {
      this.#loopTurned = false;
      this.#freeTicks++;
      setImmediate(() => this.#loopTurned = true);
    }
    this.#turn = (this.#turn + 1) % SLOTS;
    const due = (this.#turn - this.#pongTicks + SLOTS) % SLOTS;
    if (this.#freeTicks - this.#pingedAt[due]! >= this.#pongTicks) {
      for (const conn of this.#slots[due]!) conn.checkPong();
    }
    this.#pingedAt[this.#turn] = this.#freeTicks;
    for (const conn of this.#slots[this.#turn]!) conn.ping();
  }
}
