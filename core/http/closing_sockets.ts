/**
 * Closing sockets: those whose clients have not answered the close frame yet.
 *
 * @module
 */

import type { Clock } from "../contract/clock.ts";
import { endConnection, pendingBytes, waitForAnswer } from "./socket_internals.ts";

/** How often closing sockets are checked. */
const SWEEP_MS = 1_000;

/** Checks after which the connection of a silent client is ended, so three to four seconds. */
const SWEEPS = 4;

/** Ends the connections of clients that do not answer a close frame. They could go on sending for ever. */
export class ClosingSockets {
  /** By the number of checks that are left. */
  readonly #left = new Map<WebSocket, number>();
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;
  #loopTurned = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A close frame was sent. */
  add(socket: WebSocket): void {
    this.#left.set(socket, SWEEPS);
    this.#cancel ??= this.#clock.every(SWEEP_MS, () => this.#sweep());
  }

  /** The socket is closed. */
  delete(socket: WebSocket): void {
    if (!this.#left.delete(socket) || this.#left.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Ends all of them now. */
  endAll(): void {
    for (const socket of this.#left.keys()) end(socket);
  }

  #sweep(): void {
    // While the event loop is blocked, answers cannot be read.
    if (!this.#loopTurned) return;
    this.#loopTurned = false;
    setImmediate(() => this.#loopTurned = true);
    for (const [socket, left] of this.#left) {
      if (left > 1) this.#left.set(socket, left - 1);
      // Until a stuck reader takes its last frames, its connection cannot end and has to be counted.
      else if (pendingBytes(socket) === 0) end(socket);
    }
  }
}

/** Ends a connection, at the latest when the client sends the next frame. */
function end(socket: WebSocket): void {
  if (!endConnection(socket)) waitForAnswer(socket, false);
}
