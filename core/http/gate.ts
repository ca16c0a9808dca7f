/**
 * The gate: decides who may open a connection, and how many.
 *
 * @module
 */

import { Inbox } from "../connections/inbox.ts";
import { collectGarbage, readMemory } from "../connections/memory.ts";
import { MemoryGuard } from "../connections/memory_guard.ts";
import { Liveness, type LivenessOptions } from "../connections/liveness.ts";
import { makeLane, Outbox } from "../connections/outbox.ts";
import { Turns } from "../connections/turns.ts";
import type { ConnectionHooks } from "../connections/connection_hooks.ts";
import { ServerConnection, type Wiring } from "../connections/server_connection.ts";
import type { Clock } from "../contract/clock.ts";
import { closeCodes } from "../contract/close_codes.ts";
import type { Connection } from "../contract/connection.ts";
import type { Endpoint, Upgrade } from "../contract/endpoint.ts";
import { refusal } from "../contract/errors.ts";
import type { Framing } from "../contract/framing.ts";
import type { Log } from "../contract/log.ts";
import type { Admission, ConnectionLimits } from "../contract/admission.ts";
import type { Sent, ServerState } from "../contract/plugin.ts";
import { attempt, chain, type MaybePromise } from "../contract/promises.ts";
import type { Transport } from "../contract/transport.ts";
import { ClosingSockets } from "./closing_sockets.ts";
import { Handshakes } from "./handshakes.ts";
import { Places } from "./places.ts";
import { internals, stopIdleTimer } from "./socket_internals.ts";
import { rejectSocket, SocketTransport, upgradeWebSocket } from "./websocket.ts";

/** The limits of all connections together and of each of them. */
export interface GateLimits extends ConnectionLimits, LivenessOptions {
  /** Connections of all clients. */
  readonly maxConnections: number;
  /** Connections from one address. */
  readonly maxConnectionsPerIp: number;
  /** Memory of the process. */
  readonly maxMemoryBytes: number;
}

/** The plugins' hooks, as the gate calls them. */
export interface GateHooks extends ConnectionHooks {
  /** Returns the first refusal. */
  upgrade(upgrade: Upgrade): MaybePromise<Response | undefined>;
  /** Returns the response to an error. */
  refused(plugin: string, hook: string, error: unknown): Response;
}

/** What the gate needs from the server. */
export interface GateOptions {
  readonly hooks: GateHooks;
  readonly log: Log;
  readonly clock: Clock;
  readonly limits: GateLimits;
  readonly state: () => ServerState;
}

/** A client that requests a connection. */
export type Applicant = Omit<Upgrade, "connectionId" | "offered" | "protocol">;

/** A place that is reserved for a connection. */
interface Place {
  readonly upgrade: Upgrade;
  readonly wiring: Wiring;
  readonly release: () => void;
}

/** Admits clients, keeps the set of connections, and counts. */
export class Gate {
  /** The connections that are open. */
  readonly connections = new Set<ServerConnection>();
  /** What was sent to the clients of each endpoint. */
  readonly sent = new Map<Endpoint, Sent>();
  /** Keeps clients from using up the memory. */
  readonly memory: MemoryGuard;
  readonly #options: GateOptions;
  readonly #outbox = new Outbox();
  readonly #turns = new Turns();
  readonly #liveness: Liveness;
  readonly #closing: ClosingSockets;
  readonly #handshakes: Handshakes;
  /** By endpoint and format. */
  readonly #wirings = new Map<Endpoint, Map<unknown, Wiring>>();
  readonly #places = new Places();

  constructor(options: GateOptions) {
    this.#options = options;
    const { clock, log, limits } = options;
    this.#liveness = new Liveness(clock, limits);
    this.#closing = new ClosingSockets(clock, internals);
    this.#handshakes = new Handshakes(clock);
    this.memory = new MemoryGuard({
      clock,
      log,
      maxBytes: limits.maxMemoryBytes,
      connections: this.connections,
      pingAll: () => this.#liveness.pingAll(),
      endClosing: () => this.#closing.endAll(),
      read: readMemory,
      collectGarbage,
    });
  }

  /** Starts to ping the connections, and to watch the memory. */
  start(): void {
    this.#liveness.start();
    this.#handshakes.start();
    this.memory.start();
  }

  /** Stops both, when the last connection has gone. */
  stop(): void {
    this.#liveness.stop();
    this.#handshakes.stop();
    this.memory.stop();
  }

  /** Resolves when all sockets are gone, including those of closed connections. */
  async empty(): Promise<void> {
    await this.#places.empty();
  }

  /** Counts the places that an address and its network take. */
  connectionsFrom(ip: string): number {
    return this.#places.from(ip);
  }

  /** Answers an upgrade request with a WebSocket or a refusal. */
  upgrade(applicant: Applicant, request: Request): MaybePromise<Response> {
    return chain(this.#reserve(applicant), (place) => {
      if (place instanceof Response) return place;
      const { protocol, offered } = place.upgrade;
      const answered = protocol !== undefined && offered.includes(protocol) ? protocol : undefined;
      try {
        const idleMs = 2 * this.#options.limits.pingIntervalMs;
        const { socket, response } = upgradeWebSocket(request, answered, idleMs);
        const transport = new SocketTransport(socket, this.#closing);
        const opened = () => void this.#takeOver(socket, transport, place);
        transport.whenOpen(this.#handshakes, opened, place.release);
        return response;
      } catch {
        place.release();
        return refusal(400, "bad_handshake", "This is not a valid WebSocket handshake");
      }
    });
  }

  /** Opens a connection on a WebSocket that was accepted elsewhere. Its messages wait until then. */
  async adopt(applicant: Applicant, socket: WebSocket): Promise<Response | Connection> {
    const { limits } = this.#options;
    const early = new Inbox(limits);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (early.push(typeof data === "string" ? data : new Uint8Array(data))) return;
      socket.onmessage = null;
      rejectSocket(socket, closeCodes.tooManyRequests, this.#closing);
    };
    const place = await this.#reserve(applicant);
    if (place instanceof Response) return place;
    const transport = new SocketTransport(socket, this.#closing);
    return await new Promise((resolve) => {
      const opened = () => {
        socket.onmessage = null;
        stopIdleTimer(socket);
        const conn = this.#takeOver(socket, transport, place);
        for (let data = early.shift(); data !== undefined; data = early.shift()) conn?.receive(data);
        resolve(conn ?? notReady());
      };
      const failed = () => {
        place.release();
        resolve(refusal(400, "not_open", "The socket has closed or has never opened"));
      };
      transport.whenOpen(this.#handshakes, opened, failed);
    });
  }

  /** Admits a client over any transport. */
  admit(applicant: Applicant): MaybePromise<Response | Admission> {
    return chain(this.#reserve(applicant), (place) => {
      if (place instanceof Response) return place;
      const { upgrade, release, wiring: { limits } } = place;
      const open = (transport: Transport) => {
        const conn = this.#open(place, transport);
        return { connection: conn, incoming: conn };
      };
      return { upgrade, limits, release, open };
    });
  }

  /** Checks the limits, then asks the plugins and the endpoint. */
  #reserve(applicant: Applicant): MaybePromise<Response | Place> {
    const { hooks, state } = this.#options;
    const { endpoint, ip } = applicant;
    const full = this.#refusalIfFull(ip);
    if (full !== undefined) return full;
    const release = this.#places.take(ip);
    const upgrade = toUpgrade(applicant);
    const decide = (refused: Response | undefined) => {
      // The server may have started to stop in the meantime.
      if (refused === undefined && state() === "ready") {
        return { upgrade, release, wiring: this.#wiringOf(upgrade) };
      }
      release();
      return refused ?? notReady();
    };
    const failed = (error: unknown) => {
      release();
      return hooks.refused(endpoint.name, "upgrade", error);
    };
    const ask = () => chain(hooks.upgrade(upgrade), (refused) => refused ?? endpoint.upgrade?.(upgrade));
    return attempt(() => chain(ask(), decide), failed);
  }

  /** Opens a connection on an open socket. */
  #takeOver(socket: WebSocket, transport: SocketTransport, place: Place): ServerConnection | undefined {
    if (this.#options.state() !== "ready") {
      rejectSocket(socket, closeCodes.shutdown, this.#closing, place.release);
      return;
    }
    const conn = this.#open(place, transport);
    transport.listen(conn, this.#gone);
    return conn;
  }

  readonly #gone = (conn: ServerConnection): void => this.#places.release(conn.ip);

  #open({ upgrade, wiring }: Place, transport: Transport): ServerConnection {
    const conn = new ServerConnection(wiring, transport, upgrade, this.#options.clock.wallTime());
    this.connections.add(conn);
    this.#liveness.add(conn);
    conn.begin(upgrade);
    return conn;
  }

  #wiringOf(upgrade: Upgrade): Wiring {
    const { endpoint } = upgrade;
    const framing: Framing = endpoint.framing?.(upgrade) ?? { accepts: "text", format: endpoint };
    const { accepts, format, join } = framing;
    const wirings = this.#wirings.getOrInsertComputed(endpoint, () => new Map<unknown, Wiring>());
    let wiring = wirings.get(format);
    if (wiring === undefined) {
      const { hooks, limits } = this.#options;
      // The largest message of an endpoint may wait.
      const maxWaitingBytes = Math.max(limits.maxWaitingBytes, endpoint.maxMessageBytes ?? 0);
      const { maxMessageBytes = limits.maxMessageBytes, maxQueuedBytes = limits.maxQueuedBytes } = endpoint;
      const sent = this.sent.getOrInsertComputed(endpoint, () => ({ frames: 0, chars: 0 }));
      wiring = {
        endpoint,
        accepts,
        format,
        hooks,
        outbox: this.#outbox,
        turns: this.#turns,
        lane: makeLane(join),
        limits: { maxMessageBytes, maxQueuedBytes, maxWaitingBytes },
        sent,
        ended: this.#ended,
      };
      wirings.set(format, wiring);
    }
    return wiring;
  }

  readonly #ended = (conn: ServerConnection): void => {
    this.connections.delete(conn);
    this.#liveness.delete(conn);
  };

  #refusalIfFull(ip: string): Response | undefined {
    const { limits, state } = this.#options;
    if (state() !== "ready") return notReady();
    if (this.memory.level > 0) return refuse("out_of_memory", "The server is short of memory");
    if (this.#places.count >= limits.maxConnections) return refuse(TOO_MANY, "Too many connections");
    if (this.connectionsFrom(ip) >= limits.maxConnectionsPerIp) {
      return refuse(TOO_MANY, "Too many connections from your address");
    }
  }
}

function toUpgrade(applicant: Applicant): Upgrade {
  const { endpoint, headers } = applicant;
  const offered = headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim()) ?? [];
  const protocol = endpoint.protocols?.find((name) => offered.includes(name));
  return { ...applicant, connectionId: crypto.randomUUID(), offered, protocol };
}

/** Refuses a request while the server starts or stops. */
export function notReady(): Response {
  return refusal(503, "not_ready", "The server is starting or stopping", { "retry-after": "1" });
}

const TOO_MANY = "too_many_connections";

function refuse(code: string, message: string): Response {
  return refusal(503, code, message, { "retry-after": "5" });
}
