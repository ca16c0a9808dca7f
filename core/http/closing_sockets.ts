/**
 * Closing sockets: those whose clients have not answered the close frame yet.
 *
 * @module
 */

import type { Clock } from "../contract/clock.ts";
import type { SocketInternals } from "./socket_internals.ts";

/**
 * Ends the connections of clients that do not answer a close frame. They could go on sending for ever. Workers use it as
 * text, so it uses nothing outside of itself.
 */
export class ClosingSockets {
  /** How often closing sockets are checked. */
  static readonly #sweepMs = 1_000;
  /** Checks after which the connection of a silent client is ended, so three to four seconds. */
  static readonly #sweeps = 4;
  /** By the number of checks that are left. */
  readonly #left = new Map<WebSocket, number>();
  readonly #clock: Pick<Clock, "every">;
  readonly #internals: SocketInternals;
  #cancel: (() => void) | undefined;
  #loopTurned = true;

  constructor(clock: Pick<Clock, "every">, internals: SocketInternals) {
    this.#clock = clock;
    this.#internals = internals;
  }

  /** A close frame was sent. */
  add(socket: WebSocket): void {
    this.#left.set(socket, ClosingSockets.#sweeps);
    this.#cancel ??= this.#clock.every(ClosingSockets.#sweepMs, () => this.#sweep());
  }

  /** The socket is closed. */
  delete(socket: WebSocket): void {
    if (!this.#left.delete(socket) || this.#left.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Ends all of them now. */
  endAll(): void {
    for (const socket of this.#left.keys()) this.#end(socket);
  }

  #sweep(): void {
    // While the event loop is blocked, answers cannot be read.
    if (!this.#loopTurned) return;
    this.#loopTurned = false;
    setImmediate(() => this.#loopTurned = true);
    for (const [socket, left] of this.#left) {
      if (left > 1) this.#left.set(socket, left - 1);
      // Until a stuck reader takes its last frames, its connection cannot end and has to be counted.
      else if (this.#internals.pendingBytes(socket) === 0) this.#end(socket);
    }
  }

  /** Ends a connection, at the latest when the client sends the next frame. */
  #end(socket: WebSocket): void {
    if (!this.#internals.endConnection(socket)) this.#internals.waitForAnswer(socket, false);
  }
}
