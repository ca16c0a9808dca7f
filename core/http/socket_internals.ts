/**
 * Internals of the runtime's WebSockets: pings, the wait for a close frame, and the end of the TCP connection. Each is
 * looked up by its description. If one is missing, the function for it says so and changes nothing.
 *
 * Workers use them too, as text: {@linkcode socketInternals} uses nothing outside of itself.
 *
 * @module
 */

/** A socket with its internal fields. */
type Internals = Record<symbol, unknown>;

/** What is used of the runtime's core. */
interface Core {
  close?(rid: number): void;
  readSync?(rid: number, into: Uint8Array): number;
}

/** What can be done with the internals. */
export type SocketInternals = ReturnType<typeof socketInternals>;

/** Looks up the internals. */
export function socketInternals() {
  /**
   * The internal method that restarts the runtime's idle timer after each message and each pong.
   *
   * The runtime sends pings only through `idleTimeout`, which closes live connections in two cases. After the event
   * loop was blocked, its timers run before the answers are read. A message that arrives while a ping is pending starts
   * a second series of timers, which no answer stops. (`idleTimeout` also keeps each request and its headers in
   * memory.) So the kernel starts the timer itself. If the method is missing, it falls back to `idleTimeout`.
   */
  const restartIdleTimer = symbolOf(WebSocket.prototype, "[[serverHandleIdleTimeout]]");

  /** Where a socket stores its idle timeout in seconds, its state, its role, and the number of its TCP connection. */
  let idleTimeout: symbol | undefined;
  let readyState: symbol | undefined;
  let role: symbol | undefined;
  let rid: symbol | undefined;

  /** Where a request stores its signal: `false` if it has ended before anything asked for the signal. */
  let signal: symbol | undefined;

  /** A timeout that never fires but does not overflow the runtime's timers. */
  const NEVER_S = 30 * 86_400;

  /** The runtime sends the ping after half of the timeout. A timer takes at least a millisecond. */
  const AT_ONCE_S = 0.002;

  /** Whether {@linkcode sendPing} and {@linkcode onPong} work. */
  const canPing = restartIdleTimer !== undefined;

  /** Sends a ping. Returns `false` if that is not possible. */
  function sendPing(socket: WebSocket): boolean {
    return startIdleTimer(socket, AT_ONCE_S);
  }

  /**
   * Lets an upgraded request end cheaply. The runtime ends it twice: when it is upgraded, and when it is answered. The
   * second time it takes the mark of the first one for a signal, and makes one that nobody has asked for, with two errors
   * and their stacks: measured, a third of what a socket costs until it is open.
   */
  function endRequestOnce(request: Request): void {
    signal ??= symbolOf(request, "signalCache");
    if (signal === undefined) return;
    const internals = request as unknown as Internals;
    if (internals[signal] === false) internals[signal] = undefined;
  }

  /** Calls `heard` after each message and each pong. */
  function onPong(socket: WebSocket, heard: () => void): void {
    if (restartIdleTimer !== undefined) internalsOf(socket)[restartIdleTimer] = heard;
  }

  /** Stops the runtime's idle timer, which may run for a socket that was accepted elsewhere. */
  function stopIdleTimer(socket: WebSocket): void {
    idleTimeout ??= symbolOf(socket, "[[idleTimeout]]");
    const runs = idleTimeout !== undefined && Boolean(internalsOf(socket)[idleTimeout]);
    // A timer can only be replaced. The new one has no effect if the socket is closed.
    if (runs) startIdleTimer(socket, socket.readyState === WebSocket.OPEN ? NEVER_S : AT_ONCE_S);
  }

  /** Has the runtime send a ping after half of `seconds`. The timer does not close the socket after that. */
  function startIdleTimer(socket: WebSocket, seconds: number): boolean {
    idleTimeout ??= symbolOf(socket, "[[idleTimeout]]");
    if (restartIdleTimer === undefined || idleTimeout === undefined) return false;
    const internals = internalsOf(socket);
    internals[idleTimeout] = seconds;
    (WebSocket.prototype as unknown as Record<symbol, () => void>)[restartIdleTimer]!.call(socket);
    internals[idleTimeout] = NEVER_S;
    return true;
  }

  /**
   * Sets whether a closing socket waits for the answer to its close frame. As the server's side of a connection, the
   * runtime drops it at the next incoming frame, together with the close frame: measured, a client that keeps sending
   * never receives the close code, and reconnects at once. As the client's side, it waits for the answer.
   */
  function waitForAnswer(socket: WebSocket, wait: boolean): void {
    role ??= symbolOf(socket, "[[role]]");
    if (role !== undefined) internalsOf(socket)[role] = wait ? 1 : 0;
  }

  /**
   * Ends the TCP connection of a closing socket at once. The runtime itself waits for the client without a limit, and
   * joins the fragments that it sends meanwhile without a limit too. Returns `false` if that is not possible. Frames that
   * the network has not taken keep the connection alive, although the runtime reports its end; see
   * {@linkcode pendingBytes}. Closing sockets only: the runtime crashes when it uses an open one after that.
   */
  function endConnection(socket: WebSocket): boolean {
    const id = ridOf(socket);
    if (core?.close === undefined || id === undefined || socket.readyState !== WebSocket.CLOSING) {
      return false;
    }
    try {
      core.close(id);
      return true;
    } catch {
      return false; // It has ended.
    }
  }

  /**
   * Bytes that a closing socket has sent and that the network has not taken; 0 if that is unknown. The runtime tells it
   * only of open sockets, and crashes if the connection has ended, which is checked first.
   */
  function pendingBytes(socket: WebSocket): number {
    readyState ??= symbolOf(socket, "[[readyState]]");
    if (readyState === undefined || socket.readyState !== WebSocket.CLOSING || !hasConnection(socket)) {
      return 0;
    }
    const internals = internalsOf(socket);
    internals[readyState] = WebSocket.OPEN;
    try {
      return socket.bufferedAmount;
    } finally {
      internals[readyState] = WebSocket.CLOSING;
    }
  }

  /** Whether a socket has its connection for the rest of this turn. A read fails, but in another way without one. */
  function hasConnection(socket: WebSocket): boolean {
    const id = ridOf(socket);
    if (core?.readSync === undefined || id === undefined) return false;
    try {
      core.readSync(id, NOTHING);
      return true;
    } catch (error) {
      return error instanceof Deno.errors.NotSupported;
    }
  }

  const NOTHING = new Uint8Array();
  const core = coreOf(Deno);

  function coreOf(runtime: object): Core | undefined {
    const { internal } = runtime as { internal?: symbol };
    return internal && (runtime as Record<symbol, { core?: Core } | undefined>)[internal]?.core;
  }

  function ridOf(socket: WebSocket): number | undefined {
    rid ??= symbolOf(socket, "[[rid]]");
    const id = rid && internalsOf(socket)[rid];
    return typeof id === "number" ? id : undefined;
  }

  function internalsOf(socket: WebSocket): Internals {
    return socket as unknown as Internals;
  }

  function symbolOf(object: object, description: string): symbol | undefined {
    return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
  }

  return {
    canPing,
    endRequestOnce,
    sendPing,
    onPong,
    stopIdleTimer,
    waitForAnswer,
    endConnection,
    pendingBytes,
  };
}

/** The internals in this thread. */
export const internals: SocketInternals = socketInternals();
export const { canPing, endRequestOnce, sendPing, onPong, stopIdleTimer, waitForAnswer, endConnection } =
  internals;
