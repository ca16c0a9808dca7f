import type { Backlog } from "../../../core/connections/backlog.ts";
import type { Inbox } from "../../../core/connections/inbox.ts";
import type { SocketInternals } from "../../../core/http/socket_internals.ts";
import type { CloseCode, Closed, ConnectionLimits, Message, Transport } from "../../../core/mod.ts";
import type { Beginning, Figures, Numbers } from "../messages.ts";
import type { Receiver, threadIncoming } from "./incoming.ts";
import type { Reporter } from "./reporter.ts";
import type { Constants, Tools } from "./tools.ts";

/** The connections of a worker. */
export interface ThreadConnections {
  /** Takes over a socket that is being opened. */
  add(number: number, socket: WebSocket, limits: ConnectionLimits): void;
  send(to: Numbers, frames: Message | readonly Message[]): void;
  ping(number: number): void;
  close(number: number, why: CloseCode): void;
  /** The main thread has handled so many bytes of messages. */
  took(bytes: number): void;
  endClosing(): void;
  figures(): Pick<Figures, "sockets" | "queuedBytes" | "waitingBytes" | "framesSent">;
}

/** Holds the sockets of a worker: writes, keeps what slow readers do not take, and reports. Runs in a worker, as text. */
export function threadConnections(
  out: Reporter,
  tools: Tools & { readonly threadIncoming: typeof threadIncoming },
  internals: SocketInternals,
  constants: Constants,
  { pingIntervalMs, maxWaitingBytes }: Pick<Beginning, "pingIntervalMs" | "maxWaitingBytes">,
): ThreadConnections {
  const { report } = out;
  const { Backlog, ClosingSockets } = tools;
  /** How often to check whether slow readers take more. The runtime has no event for it. */
  const retryMs = 10;
  /** How long a socket may take to open, in checks. */
  const [handshakeChecks, handshakeCheckMs] = [5, 2_000];
  const closing = new ClosingSockets({ every: repeat }, internals);
  const connections = new Map<number, ThreadConnection>();
  /** Connections with equal limits share them. */
  const limitsOf = new Map<string, ConnectionLimits>();
  const opening = new Map<ThreadConnection, number>();
  /** With frames that wait for their readers. */
  const blocked = new Set<ThreadConnection>();
  const incoming = tools.threadIncoming<ThreadConnection>(out, tools, constants, maxWaitingBytes, (conn) => {
    if (conn.state === "gone") leave(conn);
  });
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let framesSent = 0;

  /** A socket, its backlog and its inbox. One object, because ten thousand of them are alive. */
  class ThreadConnection implements Transport, Receiver, EventListenerObject {
    readonly number: number;
    readonly socket: WebSocket;
    readonly limits: ConnectionLimits;
    readonly backlog: Backlog;
    inbox: Inbox | undefined;
    state: "opening" | "open" | "closing" | "gone" = "opening";
    pinged = false;
    /** Bytes that were reported to wait. */
    queued = 0;
    /** How the socket was closed. Reported after the messages that wait. */
    end: Closed | undefined;

    constructor(number: number, socket: WebSocket, limits: ConnectionLimits) {
      this.number = number;
      this.socket = socket;
      this.limits = limits;
      this.backlog = new Backlog(this, limits);
      socket.binaryType = "arraybuffer";
      for (const type of ["open", "message", "close", "error"]) socket.addEventListener(type, this);
    }

    get buffered(): number {
      return this.socket.bufferedAmount;
    }

    send(frame: Message): void {
      this.socket.send(frame as string | Uint8Array<ArrayBuffer>);
    }

    handleEvent(event: Event): void {
      try {
        if (event.type === "message") receive(this, (event as MessageEvent).data);
        else if (event.type === "open") opened(this);
        else if (event.type === "close") closed(this, event as CloseEvent);
        else event.preventDefault(); // A close event follows.
      } catch (error) {
        fault(this, event.type, error);
      }
    }

    close(code: number, reason: string): void {
      try {
        this.socket.close(code, reason);
      } catch {
        this.socket.close();
      }
      internals.waitForAnswer(this.socket, true);
      closing.add(this.socket);
    }
  }

  repeat(handshakeCheckMs, () => {
    for (const [conn, checks] of opening) {
      if (checks > 0) opening.set(conn, checks - 1);
      else failed(conn);
    }
  });
  repeat(pingIntervalMs, () => {
    for (const conn of connections.values()) {
      if (conn.state === "open" && conn.backlog.stalled()) end(conn, constants.slow);
    }
  });

  function repeat(ms: number, run: () => void): () => void {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  }

  function opened(conn: ThreadConnection): void {
    if (!opening.delete(conn)) return void (internals.endConnection(conn.socket) || conn.socket.close());
    conn.state = "open";
    connections.set(conn.number, conn);
    internals.onPong(conn.socket, () => {
      if (!conn.pinged) return;
      conn.pinged = false;
      report("heard", conn.number, undefined);
    });
    report("opened", conn.number, undefined);
  }

  /** A socket closes before it opens, or does not open in time. */
  function failed(conn: ThreadConnection): void {
    if (!opening.delete(conn)) return;
    conn.state = "gone";
    report("failed", conn.number, undefined);
  }

  function closed(conn: ThreadConnection, { code, reason, wasClean }: CloseEvent): void {
    if (conn.state === "opening") return failed(conn);
    // The runtime reports the end again if it failed to send the close frame.
    if (conn.state === "gone") return;
    internals.stopIdleTimer(conn.socket);
    closing.delete(conn.socket);
    blocked.delete(conn);
    conn.state = "gone";
    conn.end = { code: code || 1006, reason, by: wasClean ? "client" : "network" };
    if (conn.inbox === undefined) leave(conn);
  }

  function leave(conn: ThreadConnection): void {
    connections.delete(conn.number);
    report("gone", conn.number, conn.end!);
  }

  function receive(conn: ThreadConnection, data: string | ArrayBuffer): void {
    if (conn.state !== "open") return;
    const message = typeof data === "string" ? data : new Uint8Array(data);
    // The main thread counts the bytes of text. This keeps what is much too large from it.
    if (message.length > conn.limits.maxMessageBytes) return end(conn, constants.tooLarge);
    if (!incoming.receive(conn, message)) end(conn, constants.tooManyRequests);
  }

  function send(to: Numbers, frames: Message | readonly Message[]): void {
    if (typeof to === "number") return sendOne(to, frames);
    for (let i = 0; i < to.length; i++) sendOne(to[i]!, frames);
  }

  function sendOne(number: number, frames: Message | readonly Message[]): void {
    const conn = connections.get(number);
    if (conn === undefined || conn.state !== "open") return;
    const { backlog } = conn;
    let fits = true;
    try {
      if (typeof frames === "string" || frames instanceof Uint8Array) {
        framesSent++;
        fits = backlog.send(frames);
      } else {
        framesSent += frames.length;
        for (let i = 0; i < frames.length && fits; i++) fits = backlog.send(frames[i]!);
      }
    } catch (error) {
      return fault(conn, "send", error);
    }
    if (!fits) return end(conn, constants.slow);
    if (!backlog.hasFrames) return;
    blocked.add(conn);
    reportQueued(conn);
    retryTimer ??= setTimeout(retry, retryMs);
  }

  function retry(): void {
    retryTimer = undefined;
    for (const conn of blocked) {
      conn.backlog.retry();
      if (!conn.backlog.hasFrames) blocked.delete(conn);
      reportQueued(conn);
    }
    if (blocked.size > 0) retryTimer = setTimeout(retry, retryMs);
  }

  /** Reports what waits for a slow reader when it has changed by a quarter. */
  function reportQueued(conn: ThreadConnection): void {
    const bytes = conn.backlog.hasFrames ? conn.backlog.bytes : 0;
    if (bytes !== 0 && Math.abs(bytes - conn.queued) * 4 < conn.queued || bytes === conn.queued) return;
    conn.queued = bytes;
    report("queued", conn.number, bytes);
  }

  /** Closes a connection by itself. */
  function end(conn: ThreadConnection, why: CloseCode): void {
    shut(conn, why);
    report("ended", conn.number, { ...why, by: "server" });
  }

  /** A failure costs one connection, never the worker. */
  function fault(conn: ThreadConnection, what: string, error: unknown): void {
    report("fault", conn.number, `${what}: ${error}`);
    if (conn.state === "open") end(conn, constants.internalError);
  }

  function shut(conn: ThreadConnection, { code, reason }: CloseCode): void {
    conn.state = "closing";
    incoming.drop(conn);
    blocked.delete(conn);
    if (constants.dropping.includes(code)) conn.backlog.drop();
    else conn.backlog.flush();
    conn.close(code, reason);
  }

  return {
    add(number, socket, limits) {
      const shared = limitsOf.getOrInsert(Object.values(limits).join(), limits);
      opening.set(new ThreadConnection(number, socket, shared), handshakeChecks);
    },
    send,
    ping(number) {
      const conn = connections.get(number);
      if (conn?.state !== "open") return;
      conn.pinged = internals.sendPing(conn.socket);
    },
    close(number, why) {
      const conn = connections.get(number);
      if (conn?.state === "open") shut(conn, why);
      else if (conn?.state === "gone") {
        incoming.drop(conn);
        leave(conn);
      }
    },
    took: (bytes) => incoming.took(bytes),
    endClosing: () => closing.endAll(),
    figures() {
      const sum = (conns: Iterable<ThreadConnection>, bytes: (conn: ThreadConnection) => number) =>
        Array.from(conns, bytes).reduce((a, b) => a + b, 0);
      return {
        sockets: connections.size,
        queuedBytes: sum(blocked, ({ backlog }) => backlog.heldBytes),
        waitingBytes: incoming.waitingBytes,
        framesSent,
      };
    },
  };
}
