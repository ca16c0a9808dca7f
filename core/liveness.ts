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

/** Pings every connection once an interval, and closes those that do not answer. */
export class Liveness {
  readonly #slots: Set<Connection>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #slotOf = new Map<Connection, Set<Connection>>();
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #pongTicks: number;
  readonly #pongTimeoutMs: number;
  #turn = 0;
  #expectedAt = 0;
  #forgiveUntil = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, { pingIntervalMs, pongTimeoutMs }: LivenessOptions) {
    this.#clock = clock;
    this.#tickMs = pingIntervalMs / SLOTS;
    this.#pongTimeoutMs = pongTimeoutMs;
    this.#pongTicks = Math.ceil(pongTimeoutMs / this.#tickMs);
  }

  start(): void {
    this.#expectedAt = this.#clock.now() + this.#tickMs;
    this.#cancel = this.#clock.every(this.#tickMs, () => this.#tick());
  }

  stop(): void {
    this.#cancel?.();
  }

  /** The first ping comes at a random moment between half an interval and a whole one. */
  add(conn: Connection): void {
    const ahead = Math.floor(SLOTS / 2 + Math.random() * (SLOTS / 2));
    const slot = this.#slots[(this.#turn + ahead) % SLOTS]!;
    slot.add(conn);
    this.#slotOf.set(conn, slot);
  }

  delete(conn: Connection): void {
    this.#slotOf.get(conn)?.delete(conn);
    this.#slotOf.delete(conn);
  }

  #tick(): void {
    this.#forgiveIfBlocked();
    this.#turn = (this.#turn + 1) % SLOTS;
    if (this.#clock.now() >= this.#forgiveUntil) {
      for (const conn of this.#slot(this.#turn - this.#pongTicks)) conn.checkPong();
    }
    for (const conn of this.#slot(this.#turn)) conn.ping();
  }

  /**
   * A tick that comes late means that the event loop was blocked: answers may be there, unread. Nobody is closed
   * until they could be read, and the transports' own timers begin anew.
   */
  #forgiveIfBlocked(): void {
    const now = this.#clock.now();
    const late = now - this.#expectedAt;
    this.#expectedAt = now + this.#tickMs;
    if (late < Math.max(this.#tickMs, this.#pongTimeoutMs / 4)) return;
    this.#forgiveUntil = now + this.#pongTimeoutMs;
    for (const conn of this.#slotOf.keys()) conn.forgive();
  }

  #slot(turn: number): Set<Connection> {
    return this.#slots[(turn + SLOTS) % SLOTS]!;
  }
}
