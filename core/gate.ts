/**
 * The gate: who may become a connection, and how many.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { closeCodes } from "./close_codes.ts";
import { Connection, type Wiring } from "./connection.ts";
import type { Endpoint, Message, Session, Transport, Upgrade } from "./endpoint.ts";
import type { HookRunner } from "./hooks.ts";
import type { Limits } from "./backlog.ts";
import { Liveness, type LivenessOptions } from "./liveness.ts";
import { Outbox } from "./outbox.ts";
import type { Admission, ServerState } from "./plugin.ts";
import { listenTo, webSocketTransport } from "./websocket.ts";

/** How many connections, and of what size. */
export interface GateLimits extends Limits {
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
  readonly liveness: LivenessOptions;
  readonly state: () => ServerState;
}

/** A WebSocket that has not opened this long after its upgrade never will. */
const HANDSHAKE_MS = 10_000;

/** Admits clients, keeps the set of those that are connected, and counts. */
export class Gate {
  /** Everyone connected right now. */
  readonly connections = new Set<Connection>();
  readonly #options: GateOptions;
  readonly #outbox = new Outbox();
  readonly #liveness: Liveness;
  readonly #wirings = new Map<Endpoint, Wiring>();
  /** Places taken by address: connections, those being admitted, and closed ones whose socket is not gone yet. */
  readonly #places = new Map<string, number>();
  #taken = 0;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#liveness = new Liveness(options.clock, options.liveness);
  }

  /** Begins to watch over the connections. */
  start(): void {
    this.#liveness.start();
  }

  /** Ends it; called when the last connection has gone. */
  stop(): void {
    this.#liveness.stop();
  }

  /** Answers a request to an endpoint: with a WebSocket, or with the reason why not. */
  async upgrade(
    endpoint: Endpoint,
    request: Request,
    params: Record<string, string>,
    ip: string,
  ): Promise<Response> {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      const headers = { upgrade: "websocket", connection: "upgrade" };
      return refusal(426, "upgrade_required", "This is a WebSocket endpoint", headers);
    }
    const admission = await this.admit(endpoint, request, params, ip);
    if (admission instanceof Response) return admission;
    try {
      const { protocol } = admission.upgrade;
      const idleTimeout = 2 * this.#options.liveness.pingIntervalMs / 1000;
      const { socket, response } = Deno.upgradeWebSocket(request, {
        idleTimeout,
        ...(protocol && { protocol }),
      });
      this.#onOpen(socket, admission);
      return response;
    } catch {
      admission.release();
      return refusal(400, "bad_handshake", "This is no proper WebSocket handshake");
    }
  }

  /** Checks the limits and asks the plugins and the endpoint. */
  async admit(
    endpoint: Endpoint,
    request: Pick<Request, "url" | "headers">,
    params: Record<string, string>,
    ip: string,
  ): Promise<Response | Admission> {
    const full = this.#full(ip);
    if (full !== undefined) return full;
    const release = this.#takePlace(ip);
    const upgrade = describe(endpoint, request, params, ip);
    try {
      const refused = await this.#options.hooks.upgrade(upgrade) ?? await endpoint.upgrade?.(upgrade);
      if (refused !== undefined) {
        release();
        return refused;
      }
    } catch (error) {
      release();
      this.#options.hooks.failed(endpoint.name, "upgrade", error);
      return refusal(500, "internal", "Internal server error");
    }
    return { upgrade, release, open: (transport) => this.#open(upgrade, transport) };
  }

  #onOpen(socket: WebSocket, { upgrade, open, release }: Admission): void {
    const stopWaiting = this.#options.clock.after(HANDSHAKE_MS, release);
    socket.onerror = (event) => event.preventDefault();
    socket.onclose = () => {
      stopWaiting();
      release();
    };
    socket.onopen = () => {
      stopWaiting();
      const { code, reason } = closeCodes.shutdown;
      if (this.#options.state() === "ready") this.takeOver(socket, { upgrade, open, release });
      else socket.close(code, reason);
    };
  }

  /** Makes a connection of a socket that is open. */
  takeOver(socket: WebSocket, { open, release }: Admission): Connection {
    const conn = open(webSocketTransport(socket));
    listenTo(socket, conn, release);
    return conn;
  }

  #open(upgrade: Upgrade, transport: Transport): Connection {
    const { hooks, clock } = this.#options;
    const { endpoint, ip } = upgrade;
    const conn = new Connection(this.#wiringOf(endpoint), transport, ip, clock.now());
    this.connections.add(conn);
    this.#liveness.add(conn);
    hooks.open(conn, upgrade);
    try {
      conn.attach(endpoint.open(conn, upgrade) as Session<Message>);
    } catch (error) {
      hooks.failed(endpoint.name, "open", error);
      conn.close(closeCodes.internalError);
    }
    return conn;
  }

  #wiringOf(endpoint: Endpoint): Wiring {
    let wiring = this.#wirings.get(endpoint);
    if (wiring === undefined) {
      const { hooks, limits } = this.#options;
      const outbox = this.#outbox;
      wiring = {
        endpoint,
        hooks,
        outbox,
        lane: outbox.lane(endpoint.separator),
        limits: { ...limits, maxMessageBytes: endpoint.maxMessageBytes ?? limits.maxMessageBytes },
        ended: (conn) => {
          this.connections.delete(conn);
          this.#liveness.delete(conn);
        },
      };
      this.#wirings.set(endpoint, wiring);
    }
    return wiring;
  }

  #full(ip: string): Response | undefined {
    const { limits, state } = this.#options;
    if (state() !== "ready") {
      return refusal(503, "not_ready", "The server is starting or stopping", { "retry-after": "1" });
    }
    if (this.#taken >= limits.maxConnections) {
      return refusal(503, "too_many_connections", "Too many connections", { "retry-after": "5" });
    }
    if ((this.#places.get(ip) ?? 0) >= limits.maxConnectionsPerIp) {
      return refusal(503, "too_many_connections", "Too many connections from your address", {
        "retry-after": "5",
      });
    }
  }

  #takePlace(ip: string): () => void {
    this.#taken++;
    this.#places.set(ip, (this.#places.get(ip) ?? 0) + 1);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#taken--;
      const left = this.#places.get(ip)! - 1;
      if (left === 0) this.#places.delete(ip);
      else this.#places.set(ip, left);
    };
  }
}

function describe(
  endpoint: Endpoint,
  { url, headers }: Pick<Request, "url" | "headers">,
  params: Record<string, string>,
  ip: string,
): Upgrade {
  const offered = headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim()) ?? [];
  return {
    endpoint,
    url,
    params,
    headers: new Headers(headers),
    ip,
    offered,
    protocol: endpoint.protocols?.find((name) => offered.includes(name)),
  };
}

/** A refusal as a small JSON body. */
export function refusal(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ error: { code, message } }, { status, headers });
}
