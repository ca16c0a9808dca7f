import type { Clock } from "../contract/clock.ts";

/** A socket opens within one to two of these after its upgrade, or it is abandoned. */
const SWEEP_MS = 5_000;

/** A socket that has not opened yet. */
export interface Handshake {
  /** Gives up. */
  abandon(): void;
}

/**
 * Sockets that have not opened yet. The runtime reports nothing about a client that has disconnected before its upgrade. One
 * timer for all of them, since many come at once and most open within a millisecond.
 */
export class Handshakes {
  readonly #clock: Clock;
  #recent = new Set<Handshake>();
  /** Those that were pending at the last sweep. */
  #earlier = new Set<Handshake>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(): void {
    this.#cancel = this.#clock.every(SWEEP_MS, () => this.#sweep());
  }

  stop(): void {
    this.#cancel?.();
  }

  add(handshake: Handshake): void {
    this.#recent.add(handshake);
  }

  /** The socket has opened or closed. */
  delete(handshake: Handshake): void {
    if (!this.#recent.delete(handshake)) this.#earlier.delete(handshake);
  }

  #sweep(): void {
    const late = this.#earlier;
    this.#earlier = this.#recent;
    this.#recent = new Set();
    for (const handshake of late) handshake.abandon();
  }
}
