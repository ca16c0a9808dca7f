/**
 * The gate: who may become a connection, and how many.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { closeCodes } from "./close_codes.ts";
import { Connection, type Limits, type Wiring } from "./connection.ts";
import type { Endpoint, Transport, Upgrade } from "./endpoint.ts";
import { refusal } from "./errors.ts";
import type { HookRunner } from "./hooks.ts";
import { Inbox } from "./inbox.ts";
import { Liveness, type LivenessOptions } from "./liveness.ts";
import { Outbox } from "./outbox.ts";
import type { Admission, Sent, ServerState } from "./plugin.ts";
import { Tally } from "./tally.ts";
import {
  listenTo,
  stopIdleTimer,
  turnAway,
  upgradeWebSocket,
  WebSocketTransport,
  whenOpen,
} from "./websocket.ts";

/** How many connections, of what size, and how long a silent one is kept. */
export interface GateLimits extends Limits, LivenessOptions {
  /** Connections in all. */
  readonly maxConnections: number;
  /** Connections from one address. */
  readonly maxConnectionsPerIp: number;
}

/** What the gate needs from the server. */
export interface GateOptions {
  readonly hooks: HookRunner;
  readonly clock: Clock;
  readonly limits: GateLimits;
  readonly state: () => ServerState;
}

/** Somebody who wants to become a connection. */
export interface Applicant {
  readonly endpoint: Endpoint;
  readonly url: string;
  /** Must stay readable, unlike those of the runtime's requests. */
  readonly headers: Headers;
  readonly params: Readonly<Record<string, string>>;
  readonly ip: string;
}

/** Admits clients, keeps the set of those that are connected, and counts. */
export class Gate {
  /** Everyone connected right now. */
  readonly connections = new Set<Connection>();
  /** What was sent to the clients of each endpoint so far. */
  readonly sent = new Map<Endpoint, Sent>();
  readonly #options: GateOptions;
  readonly #outbox = new Outbox();
  readonly #liveness: Liveness;
  readonly #wirings = new Map<Endpoint, Wiring>();
  /** Places taken: by connections, those being admitted, and closed ones whose socket is not gone yet. */
  readonly #places = new Tally();
  readonly #placesByIp = new Map<string, number>();

  constructor(options: GateOptions) {
    this.#options = options;
    this.#liveness = new Liveness(options.clock, options.limits);
  }

  /** Begins to watch over the connections. */
  start(): void {
    this.#liveness.start();
  }

  /** Ends it; called when the last connection has gone. */
  stop(): void {
    this.#liveness.stop();
  }

  /** Resolves when all sockets are gone, those of connections that were closed included. */
  async empty(): Promise<void> {
    await this.#places.empty();
  }

  /** Answers an upgrade request: with a WebSocket, or with the reason why not. */
  async upgrade(applicant: Applicant, request: Request): Promise<Response> {
    const admission = await this.admit(applicant);
    if (admission instanceof Response) return admission;
    const { protocol, offered } = admission.upgrade;
    const answered = protocol !== undefined && offered.includes(protocol) ? protocol : undefined;
    try {
      const idleMs = 2 * this.#options.limits.pingIntervalMs;
      const { socket, response } = upgradeWebSocket(request, answered, idleMs);
      whenOpen(socket, this.#options.clock, () => this.#takeOver(socket, admission), admission.release);
      return response;
    } catch {
      admission.release();
      return refusal(400, "bad_handshake", "This is no proper WebSocket handshake");
    }
  }

  /** Makes a connection of a WebSocket that was accepted elsewhere. What it says meanwhile waits. */
  async adopt(applicant: Applicant, socket: WebSocket): Promise<Response | Connection> {
    const { clock, limits } = this.#options;
    const early = new Inbox(limits);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      const { code, reason } = closeCodes.tooManyRequests;
      if (!early.push(typeof data === "string" ? data : new Uint8Array(data))) socket.close(code, reason);
    };
    const admission = await this.admit(applicant);
    if (admission instanceof Response) return admission;
    return await new Promise((resolve) => {
      const opened = () => {
        socket.onmessage = null;
        stopIdleTimer(socket);
        const conn = this.#takeOver(socket, admission);
        for (let data = early.shift(); data !== undefined; data = early.shift()) conn?.receive(data);
        resolve(conn ?? notReady());
      };
      const failed = () => {
        admission.release();
        resolve(refusal(400, "not_open", "The socket has closed or has never opened"));
      };
      whenOpen(socket, clock, opened, failed);
    });
  }

  /** Checks the limits and asks the plugins and the endpoint. */
  async admit(applicant: Applicant): Promise<Response | Admission> {
    const { hooks, state } = this.#options;
    const { endpoint, ip } = applicant;
    const full = this.#full(ip);
    if (full !== undefined) return full;
    const release = this.#takePlace(ip);
    const upgrade = describe(applicant);
    try {
      const refused = await hooks.upgrade(upgrade) ?? await endpoint.upgrade?.(upgrade);
      // The server may have begun to stop meanwhile.
      if (refused === undefined && state() === "ready") {
        return { upgrade, release, open: (transport) => this.#open(upgrade, transport) };
      }
      release();
      return refused ?? notReady();
    } catch (error) {
      release();
      hooks.failed(endpoint.name, "upgrade", error);
      return refusal(500, "internal", "Internal server error");
    }
  }

  /** Makes a connection of a socket that has opened. */
  #takeOver(socket: WebSocket, { open, release }: Admission): Connection | undefined {
    if (this.#options.state() !== "ready") {
      turnAway(socket, closeCodes.shutdown, release);
      return;
    }
    const conn = open(new WebSocketTransport(socket));
    listenTo(socket, conn, this.#gone);
    return conn;
  }

  readonly #gone = (conn: Connection): void => this.#givePlaceBack(conn.ip);

  #open(upgrade: Upgrade, transport: Transport): Connection {
    const { clock } = this.#options;
    const conn = new Connection(this.#wiringOf(upgrade.endpoint), transport, upgrade.ip, clock.now());
    this.connections.add(conn);
    this.#liveness.add(conn);
    conn.begin(upgrade);
    return conn;
  }

  #wiringOf(endpoint: Endpoint): Wiring {
    let wiring = this.#wirings.get(endpoint);
    if (wiring === undefined) {
      const { hooks, limits } = this.#options;
      const { maxMessageBytes = limits.maxMessageBytes, maxQueuedBytes = limits.maxQueuedBytes } = endpoint;
      const outbox = this.#outbox;
      const lane = outbox.lane(endpoint.separator);
      const ended = (conn: Connection) => {
        this.connections.delete(conn);
        this.#liveness.delete(conn);
      };
      const sent = { frames: 0, chars: 0 };
      this.sent.set(endpoint, sent);
      wiring = {
        endpoint,
        hooks,
        outbox,
        lane,
        limits: { ...limits, maxMessageBytes, maxQueuedBytes },
        sent,
        ended,
      };
      this.#wirings.set(endpoint, wiring);
    }
    return wiring;
  }

  #full(ip: string): Response | undefined {
    const { limits, state } = this.#options;
    if (state() !== "ready") return notReady();
    if (this.#places.count >= limits.maxConnections) return tooMany("Too many connections");
    if ((this.#placesByIp.get(ip) ?? 0) >= limits.maxConnectionsPerIp) {
      return tooMany("Too many connections from your address");
    }
  }

  #takePlace(ip: string): () => void {
    this.#places.add();
    this.#placesByIp.set(ip, (this.#placesByIp.get(ip) ?? 0) + 1);
    let released = false;
    return () => {
      if (!released) this.#givePlaceBack(ip);
      released = true;
    };
  }

  #givePlaceBack(ip: string): void {
    this.#places.remove();
    const left = this.#placesByIp.get(ip)! - 1;
    if (left === 0) this.#placesByIp.delete(ip);
    else this.#placesByIp.set(ip, left);
  }
}

function describe(applicant: Applicant): Upgrade {
  const { endpoint, headers } = applicant;
  const offered = headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim()) ?? [];
  return { ...applicant, offered, protocol: endpoint.protocols?.find((name) => offered.includes(name)) };
}

function notReady(): Response {
  return refusal(503, "not_ready", "The server is starting or stopping", { "retry-after": "1" });
}

function tooMany(message: string): Response {
  return refusal(503, "too_many_connections", message, { "retry-after": "5" });
}
