import type { ServerConnection } from "../connections/server_connection.ts";
import type { Clock } from "../contract/clock.ts";
import type { CloseCode } from "../contract/close_codes.ts";
import type { Message } from "../contract/framing.ts";
import type { Transport } from "../contract/transport.ts";

/**
 * The internal method that restarts the runtime's idle timer after each message and each pong.
 *
 * The runtime sends pings only through `idleTimeout`, which closes live connections in two cases. After the event
 * loop was blocked, its timers run before the answers are read. A message that arrives while a ping is pending starts
 * a second series of timers, which no answer stops. (`idleTimeout` also keeps each request and its headers in
 * memory.) So the kernel starts the timer itself. If the method is missing, it falls back to `idleTimeout`.
 */
const restartIdleTimer = symbolOf(WebSocket.prototype, "[[serverHandleIdleTimeout]]");

/** Where a socket stores its idle timeout, in seconds, and its role. */
let idleTimeout: symbol | undefined;
let role: symbol | undefined;

/**
 * The role of the server's side of a connection, and of the client's side. As a server, the runtime drops a closing
 * socket at the next incoming frame, together with the close frame: measured, a client that keeps sending never
 * receives the close code, and reconnects at once. As a client, the runtime waits for the answer to the close frame.
 */
const [SERVER, CLIENT] = [0, 1];

/** Frames that a client may send without an answer to the close frame. */
const MAX_LATE_FRAMES = 1_000;

/** A timeout that never fires but does not overflow the runtime's timers. */
const NEVER_S = 30 * 86_400;

/** The runtime sends the ping after half of the timeout. A timer takes at least a millisecond. */
const AT_ONCE_S = 0.002;

/** How long a socket may take to open after its upgrade. */
const HANDSHAKE_MS = 10_000;

/** A socket with its internal fields. */
type Internals = Record<symbol, unknown>;

/** Answers an upgrade request. `idleMs` is the fallback if pings cannot be sent. */
export function upgradeWebSocket(
  request: Request,
  protocol: string | undefined,
  idleMs: number,
): { socket: WebSocket; response: Response } {
  const idleTimeout = restartIdleTimer === undefined ? idleMs / 1000 : 0;
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
  // The runtime finds the protocol only in lists with a space after each comma.
  if (protocol !== undefined) response.headers.set("sec-websocket-protocol", protocol);
  return { socket, response };
}

/** Calls `opened` when a socket is open, or `failed` if it closes before or does not open in time. */
export function whenOpen(socket: WebSocket, clock: Clock, opened: () => void, failed: () => void): void {
  if (socket.readyState === WebSocket.OPEN) return opened();
  if (socket.readyState !== WebSocket.CONNECTING) return failed();
  const settle = (event?: Event) => {
    cancel();
    for (const type of ["open", "close", "error"]) socket.removeEventListener(type, settle);
    if (event?.type === "open") return opened();
    socket.addEventListener("open", () => socket.close());
    socket.addEventListener("error", ignoreError);
    event?.preventDefault();
    failed();
  };
  // The runtime reports nothing if the client disconnected before the upgrade.
  const cancel = clock.after(HANDSHAKE_MS, () => settle());
  for (const type of ["open", "close", "error"]) socket.addEventListener(type, settle);
}

/** Closes a socket that opened too late to become a connection. Calls `gone` when it is closed. */
export function rejectSocket(socket: WebSocket, { code, reason }: CloseCode, gone: () => void): void {
  socket.addEventListener("close", gone);
  socket.addEventListener("error", ignoreError);
  socket.close(code, reason);
}

/**
 * A WebSocket as a transport, which also listens to it. One object for everything saves 2.5 KB, an eighth of a
 * connection, compared with a function for each event.
 */
export class SocketTransport implements Transport, EventListenerObject {
  readonly #socket: WebSocket;
  #conn: ServerConnection | undefined;
  #gone: ((conn: ServerConnection) => void) | undefined;
  #lateFrames = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
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
    setRole(this.#socket, CLIENT);
  }

  ping(): boolean {
    return startIdleTimer(this.#socket, AT_ONCE_S);
  }

  /** Passes the events of the socket to its connection. Calls `gone` once, when the socket is closed. */
  listen(conn: ServerConnection, gone: (conn: ServerConnection) => void): void {
    const socket = this.#socket;
    this.#conn = conn;
    this.#gone = gone;
    socket.binaryType = "arraybuffer";
    for (const type of ["message", "close", "error"]) socket.addEventListener(type, this);
    if (restartIdleTimer !== undefined) {
      (socket as unknown as Internals)[restartIdleTimer] = () => conn.heard();
    }
  }

  handleEvent(event: Event): void {
    if (event.type === "message") this.#message(event as MessageEvent);
    else if (event.type === "close") this.#close(event as CloseEvent);
    else ignoreError(event);
  }

  #message({ data }: MessageEvent): void {
    const conn = this.#conn!;
    if (conn.open) conn.receive(typeof data === "string" ? data : new Uint8Array(data));
    else if (++this.#lateFrames === MAX_LATE_FRAMES) setRole(this.#socket, SERVER);
  }

  #close({ code, reason, wasClean }: CloseEvent): void {
    stopIdleTimer(this.#socket);
    this.#conn!.ended({ code: code || 1006, reason, by: wasClean ? "client" : "network" });
    this.#gone!(this.#conn!);
  }
}

/** Stops the runtime's idle timer, which may run for a socket that was accepted elsewhere. */
export function stopIdleTimer(socket: WebSocket): void {
  idleTimeout ??= symbolOf(socket, "[[idleTimeout]]");
  const runs = idleTimeout !== undefined && Boolean((socket as unknown as Internals)[idleTimeout]);
  // A timer can only be replaced. The new one has no effect if the socket is closed.
  if (runs) startIdleTimer(socket, socket.readyState === WebSocket.OPEN ? NEVER_S : AT_ONCE_S);
}

/** Has the runtime send a ping after half of `seconds`. The timer does not close the socket after that. */
function startIdleTimer(socket: WebSocket, seconds: number): boolean {
  idleTimeout ??= symbolOf(socket, "[[idleTimeout]]");
  if (restartIdleTimer === undefined || idleTimeout === undefined) return false;
  const internals = socket as unknown as Internals;
  internals[idleTimeout] = seconds;
  (WebSocket.prototype as unknown as Record<symbol, () => void>)[restartIdleTimer]!.call(socket);
  internals[idleTimeout] = NEVER_S;
  return true;
}

function setRole(socket: WebSocket, value: number): void {
  role ??= symbolOf(socket, "[[role]]");
  if (role !== undefined) (socket as unknown as Internals)[role] = value;
}

function symbolOf(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
}

/** Keeps the runtime from printing an error. A close event follows it. */
function ignoreError(event: Event): void {
  event.preventDefault();
}
