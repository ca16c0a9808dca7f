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

/** Turns that a late tick catches up with. After more, all connections are pinged. */
const STALL_TURNS = SLOTS / 10;

/** When to ping, and how long to wait for an answer. */
export interface LivenessOptions {
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
}

/** The connections that are pinged at the same time. */
class Slot {
  readonly connections = new Set<ServerConnection>();
  /** When their answers are due, in ticks. */
  due = Infinity;
}

/**
 * Pings every connection once per interval, and closes those that do not answer.
 *
 * The wheel turns with the clock, so pings are on time although ticks are late. Clients count their own time, and
 * leave without a ping. The timeout of an answer is counted in ticks. There are no ticks while the event loop is
 * blocked, so the time in which answers could not be read does not count.
 */
export class Liveness {
  readonly #slots = Array.from({ length: SLOTS }, () => new Slot());
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #pongTicks: number;
  #startedAt = 0;
  #turn = 0;
  /** Ticks before which the event loop has turned, so that answers could be read. */
  #freeTicks = 0;
  #loopTurned = true;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, { pingIntervalMs, pongTimeoutMs }: LivenessOptions) {
    this.#clock = clock;
    this.#tickMs = pingIntervalMs / SLOTS;
    this.#pongTicks = Math.ceil(pongTimeoutMs / this.#tickMs);
  }

  start(): void {
    this.#startedAt = this.#clock.monotonicTime();
    this.#cancel = this.#clock.every(this.#tickMs, () => this.#tick());
  }

  stop(): void {
    this.#cancel?.();
  }

  /** Adds a connection. Its first ping comes at a random time between half an interval and a whole one. */
  add(conn: ServerConnection): void {
    const ahead = Math.ceil(SLOTS / 2 + Math.random() * (SLOTS / 2));
    conn.livenessSlot = (this.#turn + ahead) % SLOTS;
    this.#slots[conn.livenessSlot]!.connections.add(conn);
  }

  /** Pings all connections now. */
  pingAll(): void {
    for (const slot of this.#slots) this.#ping(slot);
  }

  delete(conn: ServerConnection): void {
    this.#slots[conn.livenessSlot]!.connections.delete(conn);
  }

  #tick(): void {
    if (this.#loopTurned) {
      this.#loopTurned = false;
      this.#freeTicks++;
      setImmediate(() => this.#loopTurned = true);
    }
    for (const slot of this.#slots) if (slot.due <= this.#freeTicks) this.#check(slot);
    const from = this.#turn;
    this.#turn = Math.round((this.#clock.monotonicTime() - this.#startedAt) / this.#tickMs);
    // After a stall, many clients are about to leave. Their readers were not slow: nothing was sent to them.
    if (this.#turn - from > STALL_TURNS) return this.pingAll();
    for (let turn = from + 1; turn <= this.#turn; turn++) {
      const slot = this.#slotAt(turn);
      for (const conn of slot.connections) conn.checkReader();
      this.#ping(slot);
    }
  }

  #slotAt(turn: number): Slot {
    return this.#slots[turn % SLOTS]!;
  }

  /** While answers are due, another ping does not postpone them: otherwise stalls that recur would keep a dead peer. */
  #ping(slot: Slot): void {
    const again = slot.due < Infinity;
    if (!again) slot.due = this.#freeTicks + this.#pongTicks;
    for (const conn of slot.connections) conn.ping(again);
  }

  #check(slot: Slot): void {
    slot.due = Infinity;
    for (const conn of slot.connections) conn.checkPong();
  }
}
