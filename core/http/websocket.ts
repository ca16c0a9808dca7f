/**
 * The WebSocket transport.
 *
 * @module
 */

import type { ServerConnection } from "../connections/server_connection.ts";
import type { Clock } from "../contract/clock.ts";
import type { CloseCode } from "../contract/close_codes.ts";
import type { Message } from "../contract/framing.ts";
import type { Transport } from "../contract/transport.ts";

/**
 * The runtime can send ping frames only by itself, with `idleTimeout`, and that drops clients that are there: after
 * the event loop was blocked its timers run before the answers are read; and a message that comes in while a ping
 * is on its way starts a second series of timers, which no answer stops. So its idle timer, which it starts anew
 * by this method after each message and each pong, is wound by hand. (Also, `idleTimeout` keeps each request with
 * its headers in memory.) A runtime with other insides pings on its own after all.
 */
const wind = symbolOf(WebSocket.prototype, "[[serverHandleIdleTimeout]]");

/** Where a socket keeps the timeout, in seconds, and which end of the connection it is. */
let idleTimeout: symbol | undefined;
let role: symbol | undefined;

/**
 * At the server's end, the runtime drops a socket that is being closed at the next frame that comes in, and with it
 * the close frame: measured, no client that goes on talking learns why it was closed, and so it comes back at once.
 * At the client's end it waits for the answer to the close frame.
 */
const [IMPATIENT, PATIENT] = [0, 1];

/** What a client may still say without answering that its connection is being closed. */
const MAX_LATE_FRAMES = 1_000;

/** A timeout that does not come, yet the milliseconds of which still fit the runtime's timers. */
const NEVER_S = 30 * 86_400;

/** Half of it is the shortest time a timer takes. */
const AT_ONCE_S = 0.002;

/** A socket that has not opened this long after its upgrade never will. */
const HANDSHAKE_MS = 10_000;

/** A socket with its insides. */
type Bare = Record<symbol, unknown>;

/** Answers an upgrade request; `idleMs` is for a runtime that has to ping on its own. */
export function upgradeWebSocket(
  request: Request,
  protocol: string | undefined,
  idleMs: number,
): { socket: WebSocket; response: Response } {
  const idleTimeout = wind === undefined ? idleMs / 1000 : 0;
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
  // Not left to the runtime: it finds the protocol only in lists with a space after each comma.
  if (protocol !== undefined) response.headers.set("sec-websocket-protocol", protocol);
  return { socket, response };
}

/** Calls `opened` when a socket is open, or `failed` when it is clear that it never will be. */
export function whenOpen(socket: WebSocket, clock: Clock, opened: () => void, failed: () => void): void {
  if (socket.readyState === WebSocket.OPEN) return opened();
  if (socket.readyState !== WebSocket.CONNECTING) return failed();
  const settle = (event?: Event) => {
    cancel();
    for (const type of ["open", "close", "error"]) socket.removeEventListener(type, settle);
    if (event?.type === "open") return opened();
    socket.addEventListener("open", () => socket.close());
    socket.addEventListener("error", quiet);
    event?.preventDefault();
    failed();
  };
  // When the client vanished while the upgrade was considered, the runtime tells of nothing at all.
  const cancel = clock.after(HANDSHAKE_MS, () => settle());
  for (const type of ["open", "close", "error"]) socket.addEventListener(type, settle);
}

/** Ends a socket that has opened too late to become a connection; `gone` is called when it is gone. */
export function rejectSocket(socket: WebSocket, { code, reason }: CloseCode, gone: () => void): void {
  socket.addEventListener("close", gone);
  socket.addEventListener("error", quiet);
  socket.close(code, reason);
}

/** A socket as a connection's transport. */
export class WebSocketTransport implements Transport {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: Message): void {
    // The copy satisfies the type only: a message never lies in shared memory.
    this.#socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  close(code: number, reason: string): void {
    try {
      this.#socket.close(code, reason);
    } catch {
      // A socket that this side opened may say only 1000, and 3000 and above.
      this.#socket.close();
    }
    setRole(this.#socket, PATIENT);
  }

  ping(): boolean {
    return windUp(this.#socket, AT_ONCE_S);
  }
}

/** Has a connection hear what its socket hears; `gone` is called once, when nothing more can come. */
export function listenTo(
  socket: WebSocket,
  conn: ServerConnection,
  gone: (conn: ServerConnection) => void,
): void {
  socket.binaryType = "arraybuffer";
  const ear = new Ear(socket, conn, gone);
  for (const type of ["message", "close", "error"]) socket.addEventListener(type, ear);
  if (wind !== undefined) (socket as unknown as Bare)[wind] = () => conn.heard();
}

/** Listens to one socket. One object for all events takes 2.5 KB less than a handler for each: an eighth of it all. */
class Ear implements EventListenerObject {
  readonly #socket: WebSocket;
  readonly #conn: ServerConnection;
  readonly #gone: (conn: ServerConnection) => void;
  #lateFrames = 0;

  constructor(socket: WebSocket, conn: ServerConnection, gone: (conn: ServerConnection) => void) {
    this.#socket = socket;
    this.#conn = conn;
    this.#gone = gone;
  }

  handleEvent(event: Event): void {
    if (event.type === "message") this.#message(event as MessageEvent);
    else if (event.type === "close") this.#close(event as CloseEvent);
    else quiet(event);
  }

  #message({ data }: MessageEvent): void {
    const conn = this.#conn;
    if (conn.open) conn.receive(typeof data === "string" ? data : new Uint8Array(data));
    else if (++this.#lateFrames === MAX_LATE_FRAMES) setRole(this.#socket, IMPATIENT);
  }

  #close({ code, reason, wasClean }: CloseEvent): void {
    stopIdleTimer(this.#socket);
    this.#conn.ended({ code: code || 1006, reason, by: wasClean ? "client" : "network" });
    this.#gone(this.#conn);
  }
}

/** Stops the runtime's idle timer, if it runs; that of a socket which was opened elsewhere may do so. */
export function stopIdleTimer(socket: WebSocket): void {
  idleTimeout ??= symbolOf(socket, "[[idleTimeout]]");
  const runs = idleTimeout !== undefined && Boolean((socket as unknown as Bare)[idleTimeout]);
  // Only another timer takes its place; where the socket is closed, that one does nothing.
  if (runs) windUp(socket, socket.readyState === WebSocket.OPEN ? NEVER_S : AT_ONCE_S);
}

/** Winds the idle timer up: after half of that time the runtime sends a ping. It does not close the socket later. */
function windUp(socket: WebSocket, seconds: number): boolean {
  idleTimeout ??= symbolOf(socket, "[[idleTimeout]]");
  if (wind === undefined || idleTimeout === undefined) return false;
  const bare = socket as unknown as Bare;
  bare[idleTimeout] = seconds;
  (WebSocket.prototype as unknown as Record<symbol, () => void>)[wind]!.call(socket);
  bare[idleTimeout] = NEVER_S;
  return true;
}

function setRole(socket: WebSocket, value: number): void {
  role ??= symbolOf(socket, "[[role]]");
  if (role !== undefined) (socket as unknown as Bare)[role] = value;
}

function symbolOf(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
}

/** An error is followed by a close event, which is handled; the error itself, unhandled, would be printed. */
function quiet(event: Event): void {
  event.preventDefault();
}
