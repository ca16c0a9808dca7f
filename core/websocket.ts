/**
 * The WebSocket transport.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Message, Transport } from "./endpoint.ts";

/**
 * The runtime's method that starts a socket's idle timer anew. With `idleTimeout` the runtime sends pings itself,
 * but after the event loop was blocked its timers run before the answers are read, and it closes everybody.
 * There is no public way to prevent that; where a later runtime has no such method, nothing is done.
 */
const restartIdleTimer = Object.getOwnPropertySymbols(WebSocket.prototype)
  .find((symbol) => symbol.description === "[[serverHandleIdleTimeout]]");

/** A WebSocket as a transport. */
export function webSocketTransport(socket: WebSocket): Transport {
  return {
    get buffered() {
      return socket.bufferedAmount;
    },
    // The copy satisfies the type only: a message never lies in shared memory.
    send: (frame: Message) => socket.send(frame as string | Uint8Array<ArrayBuffer>),
    close: (code, reason) => socket.close(code, reason),
    forgive() {
      if (restartIdleTimer === undefined || socket.readyState !== WebSocket.OPEN) return;
      (socket as unknown as Record<symbol, () => void>)[restartIdleTimer]!();
    },
  };
}

/** Has a connection hear what its socket hears; `gone` is called once, when nothing more can come. */
export function listenTo(socket: WebSocket, conn: Connection, gone: () => void): void {
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => conn.receive(typeof data === "string" ? data : new Uint8Array(data));
  // An error is followed by a close event, which is handled; unhandled, it would be printed.
  socket.onerror = (event) => event.preventDefault();
  socket.onclose = ({ code, reason, wasClean }) => {
    conn.ended({ code: code || 1006, reason, by: wasClean ? "client" : "network" });
    gone();
  };
}
