import type { ServerConnection } from "../connections/server_connection.ts";
import type { CloseCode } from "../contract/close_codes.ts";
import type { Message } from "../contract/framing.ts";
import type { Transport } from "../contract/transport.ts";
import type { ClosingSockets } from "./closing_sockets.ts";
import type { Handshake, Handshakes } from "./handshakes.ts";
import {
  canPing,
  endConnection,
  endRequestOnce,
  onPong,
  sendPing,
  stopIdleTimer,
  waitForAnswer,
} from "./socket_internals.ts";

/** Answers an upgrade request. `idleMs` is the fallback if pings cannot be sent. */
export function upgradeWebSocket(
  request: Request,
  protocol: string | undefined,
  idleMs: number,
): { socket: WebSocket; response: Response } {
  const idleTimeout = canPing ? 0 : idleMs / 1000;
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
  endRequestOnce(request);
  // The runtime finds the protocol only in lists with a space after each comma.
  if (protocol !== undefined) response.headers.set("sec-websocket-protocol", protocol);
  return { socket, response };
}

/** Closes a socket that does not become a connection. Calls `gone` when it is closed. */
export function rejectSocket(
  socket: WebSocket,
  { code, reason }: CloseCode,
  closing: ClosingSockets,
  gone: () => void = () => {},
): void {
  socket.addEventListener("close", () => {
    closing.delete(socket);
    gone();
  });
  socket.addEventListener("error", ignoreError);
  socket.close(code, reason);
  closing.add(socket);
}

/** What follows when a socket has opened, or has not. */
interface Opening {
  readonly handshakes: Handshakes;
  readonly opened: () => void;
  readonly failed: () => void;
}

const EVENTS = ["open", "message", "close", "error"] as const;

/**
 * A WebSocket as a transport, which also listens to it. One object for everything saves 2.5 KB, an eighth of a
 * connection, compared with a function for each event.
 */
export class SocketTransport implements Transport, EventListenerObject, Handshake {
  readonly #socket: WebSocket;
  readonly #closing: ClosingSockets;
  #opening: Opening | undefined;
  #abandoned = false;
  #conn: ServerConnection | undefined;
  #gone: ((conn: ServerConnection) => void) | undefined;

  constructor(socket: WebSocket, closing: ClosingSockets) {
    this.#socket = socket;
    this.#closing = closing;
    for (const type of EVENTS) socket.addEventListener(type, this);
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: Message): void {
    // The cast excludes shared memory, which messages do not use.
    this.#socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  close(code: number, reason: string): void {
    try {
      this.#socket.close(code, reason);
    } catch {
      // A socket that this side opened can send only 1000, and 3000 to 4999.
      this.#socket.close();
    }
    waitForAnswer(this.#socket, true);
    this.#closing.add(this.#socket);
  }

  ping(): boolean {
    return sendPing(this.#socket);
  }

  /** Calls `opened` when the socket is open, or `failed` if it closes before or does not open in time. */
  whenOpen(handshakes: Handshakes, opened: () => void, failed: () => void): void {
    const { readyState } = this.#socket;
    if (readyState === WebSocket.OPEN) return opened();
    if (readyState !== WebSocket.CONNECTING) return failed();
    this.#opening = { handshakes, opened, failed };
    handshakes.add(this);
  }

  /** Does not wait any longer for the socket to open. It is closed if it does so later. */
  abandon(): void {
    this.#abandoned = true;
    this.#endOpening()?.failed();
  }

  /** Passes the events of the socket to its connection. Calls `gone` once, when the socket is closed. */
  listen(conn: ServerConnection, gone: (conn: ServerConnection) => void): void {
    this.#conn = conn;
    this.#gone = gone;
    this.#socket.binaryType = "arraybuffer";
    onPong(this.#socket, () => conn.heard());
  }

  handleEvent(event: Event): void {
    switch (event.type) {
      case "message":
        return this.#message(event as MessageEvent);
      case "open":
        if (this.#abandoned) return void (endConnection(this.#socket) || this.#socket.close());
        return this.#endOpening()?.opened();
      case "close":
        if (this.#opening !== undefined) return this.abandon();
        return this.#close(event as CloseEvent);
      default:
        ignoreError(event);
        if (this.#opening !== undefined) this.abandon();
    }
  }

  #endOpening(): Opening | undefined {
    const opening = this.#opening;
    this.#opening = undefined;
    opening?.handshakes.delete(this);
    return opening;
  }

  #message({ data }: MessageEvent): void {
    const conn = this.#conn;
    if (conn?.open) conn.receive(typeof data === "string" ? data : new Uint8Array(data));
  }

  #close({ code, reason, wasClean }: CloseEvent): void {
    const gone = this.#gone;
    // The runtime reports the end again if it failed to send the close frame.
    if (gone === undefined) return;
    this.#gone = undefined;
    stopIdleTimer(this.#socket);
    this.#closing.delete(this.#socket);
    this.#conn!.ended({ code: code || 1006, reason, by: wasClean ? "client" : "network" });
    gone(this.#conn!);
  }
}

/** Keeps the runtime from printing an error. A close event follows it. */
function ignoreError(event: Event): void {
  event.preventDefault();
}
