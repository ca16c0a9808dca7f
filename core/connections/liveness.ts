/**
 * Liveness: finds dead peers.
 *
 * One timer serves all connections. It moves through a wheel of slots and pings the connections of one slot at each
 * tick. So pings are spread evenly, and ten thousand connections do not need ten thousand timers.
 *
 * @module
 */

import type { Clock } from "../contract/clock.ts";
import type { ServerConnection } from "./server_connection.ts";

const SLOTS = 50;

/** When to ping, and how long to wait for an answer. */
export interface LivenessOptions {
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
}

/**
 * Pings every connection once per interval, and closes those that do not answer.
 *
 * The timeout of an answer is counted in ticks, not in milliseconds. There are no ticks while the event loop is
 * blocked, so the time in which answers could not be read does not count.
 */
export class Liveness {
  readonly #slots: Set<ServerConnection>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #slotOf = new Map<ServerConnection, Set<ServerConnection>>();
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #pongTicks: number;
  #turn = 0;
  /** Ticks before which the event loop has turned, so that answers could be read. */
  #freeTicks = 0;
  /** The value of `#freeTicks` when each slot was pinged. */
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

  /** Adds a connection. Its first ping comes at a random time between half an interval and a whole one. */
  add(conn: ServerConnection): void {
    const ahead = Math.ceil(SLOTS / 2 + Math.random() * (SLOTS / 2));
    const slot = this.#slots[(this.#turn + ahead) % SLOTS]!;
    slot.add(conn);
    this.#slotOf.set(conn, slot);
  }

  delete(conn: ServerConnection): void {
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
