/**
 * The server: plugins in, requests answered, everything released in the end.
 *
 * @module
 */

import { Hono } from "@hono/hono";
import { type Clock, systemClock } from "./clock.ts";
import { closeCodes } from "./close_codes.ts";
import type { Connection } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { checkOptions, messageOf, PlugboardError } from "./errors.ts";
import { Gate, refusal } from "./gate.ts";
import { HookRunner } from "./hooks.ts";
import { consoleSink, type LogRecord, type LogSink } from "./log.ts";
import type { AnyPlugin, ApiOf, Host, ServerState } from "./plugin.ts";

/** Options of a {@linkcode Server}. */
export interface ServerOptions {
  /** The port to listen on, 0 for any; `false` does not listen, for use within another server. @default {8080} */
  port?: number | false;
  /** The address to listen on. @default {"127.0.0.1"} */
  hostname?: string;
  /** Files with the certificate and its key, in PEM. */
  tls?: { certFile: string; keyFile: string };
  /** Connections at once. @default {50000} */
  maxConnections?: number;
  /** Connections at once from one address. @default {1000} */
  maxConnectionsPerIp?: number;
  /** Bytes of one message from a client; endpoints may say otherwise. @default {65536} */
  maxMessageBytes?: number;
  /** Bytes that may wait for a slow reader before it is closed. @default {1048576} */
  maxQueuedBytes?: number;
  /** Messages of one client that may wait behind the one being handled. @default {1024} */
  maxWaitingMessages?: number;
  /** Bytes of those. @default {1048576} */
  maxWaitingBytes?: number;
  /** How often a connection is pinged. @default {25000} */
  pingIntervalMs?: number;
  /** How long a ping may stay unanswered; must be shorter than the interval. @default {8000} */
  pongTimeoutMs?: number;
  /** How long stopping may take at most. @default {10000} */
  drainMs?: number;
  /** Tells the client's address, when `peer` may be a proxy's. @default {(request, peer) => peer} */
  clientIp?: (request: Request, peer: string) => string;
  /** The time; tests bring their own. */
  clock?: Clock;
}

/** Where the server listens. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
  /** `http://…` or `https://…`, without a slash at the end. */
  readonly url: string;
}

type Bindings = { ip: string; socket?: WebSocket; accepted?: Connection };

/** Clients told to reconnect each second while draining; more at once would storm whoever takes over. */
const FAREWELLS_PER_SECOND = 500;

/**
 * A realtime server: nothing but connections and hooks until plugins are used.
 *
 * ```ts no-assert
 * import { Server } from "@plugboard/server";
 *
 * const server = new Server({ port: 0 });
 * server.use({ name: "greeter", open: (conn) => void conn.send("hello") });
 * await server.start();
 * await server.stop();
 * ```
 */
export class Server {
  readonly #options: ServerOptions;
  readonly #clock: Clock;
  readonly #plugins: AnyPlugin[] = [];
  readonly #started: AnyPlugin[] = [];
  readonly #app = new Hono<{ Bindings: Bindings }>();
  readonly #hooks: () => HookRunner;
  #runner: HookRunner | undefined;
  #gate: Gate | undefined;
  #http: Deno.HttpServer<Deno.NetAddr> | undefined;
  #abort = new AbortController();
  #state: ServerState = "idle";
  #stopping: Promise<void> | undefined;

  /** Checks the options; opens nothing. */
  constructor(options: ServerOptions = {}) {
    checkServerOptions(options);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#hooks = () => this.#runner ??= new HookRunner(this.#plugins, sinkOf(this.#plugins));
  }

  /** Where the server is in its life. */
  get state(): ServerState {
    return this.#state;
  }

  /** Where it listens, once it does. */
  get address(): Address {
    const addr = this.#http?.addr;
    if (addr === undefined) throw new PlugboardError("not_listening", "The server does not listen");
    const { hostname, port } = addr;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    return { hostname, port, url: `${this.#options.tls ? "https" : "http"}://${host}:${port}` };
  }

  /** Everyone connected right now. */
  get connections(): ReadonlySet<Connection> {
    return this.#gate?.connections ?? new Set();
  }

  /** Adds a plugin and gives its API. The order counts: `start` runs in it, `stop` in reverse. */
  use<P extends AnyPlugin>(plugin: P): ApiOf<P> {
    if (this.#state !== "idle") {
      throw new PlugboardError("started", `Cannot use ${plugin.name}: the server has started already`);
    }
    this.#plugins.push(plugin);
    return (plugin as { api?: ApiOf<P> }).api as ApiOf<P>;
  }

  /** Starts the plugins, then listens. When anything fails, what had started is stopped again. */
  async start(): Promise<void> {
    if (this.#state !== "idle") throw new PlugboardError("started", "A server starts only once");
    this.#state = "starting";
    const { maxConnections, maxConnectionsPerIp, ...rest } = { ...DEFAULTS, ...this.#options };
    const { maxMessageBytes, maxQueuedBytes, maxWaitingMessages, maxWaitingBytes } = rest;
    this.#gate = new Gate({
      hooks: this.#hooks(),
      clock: this.#clock,
      limits: {
        maxConnections,
        maxConnectionsPerIp,
        maxMessageBytes,
        maxQueuedBytes,
        maxWaitingMessages,
        maxWaitingBytes,
      },
      liveness: { pingIntervalMs: rest.pingIntervalMs, pongTimeoutMs: rest.pongTimeoutMs },
      state: () => this.#state,
    });
    try {
      for (const plugin of this.#plugins) await this.#startPlugin(plugin);
      this.#addRoutes();
      this.#gate.start();
      this.#state = "ready";
      if (rest.port !== false) this.#listen(rest.port, rest.hostname);
    } catch (error) {
      this.#state = "draining";
      await this.#release();
      throw error;
    }
  }

  /** Answers a request: the server within another `Deno.serve` or Hono app. */
  async fetch(request: Request, info?: Deno.ServeHandlerInfo): Promise<Response> {
    const peer = info !== undefined && "hostname" in info.remoteAddr ? info.remoteAddr.hostname : "unknown";
    const ip = this.#options.clientIp?.(request, peer) ?? peer;
    return await this.#app.fetch(request, { ip });
  }

  /** Takes a WebSocket that somebody else accepted, as if it had come in at `path`. */
  async accept(
    socket: WebSocket,
    path: string,
    { headers, ip = "unknown" }: { headers?: Headers; ip?: string } = {},
  ): Promise<Connection> {
    const request = new Request(new URL(path, "http://accepted"), {
      method: "SOCKET",
      headers: headers ?? {},
    });
    const env: Bindings = { ip, socket };
    const response = await this.#app.fetch(request, env);
    if (env.accepted !== undefined) return env.accepted;
    throw new PlugboardError("refused", `The connection was refused: ${await response.text()}`);
  }

  /** Stops: no new clients, the present ones told to reconnect, work awaited until the deadline, all released. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#state === "idle" || this.#state === "stopped") {
      this.#state = "stopped";
      return;
    }
    this.#state = "draining";
    const { drainMs = DEFAULTS.drainMs } = this.#options;
    let cancel = () => {};
    const deadline = new Promise<void>((resolve) => cancel = this.#clock.after(drainMs, resolve));
    await Promise.race([deadline, Promise.all([this.#hooks().drain(), this.#farewell(drainMs)])]);
    for (const conn of this.connections) conn.close(closeCodes.shutdown);
    // Requests under way may finish; those that do not are cut off at the deadline.
    const late = await Promise.race([deadline.then(() => true), this.#http?.shutdown()]);
    if (late === true) this.#abort.abort();
    cancel();
    await this.#release();
  }

  /** Closes everybody, one after the other, each when what it asked for is done. */
  async #farewell(drainMs: number): Promise<void> {
    const all = [...this.connections];
    const spreadMs = Math.min(drainMs * 0.8, all.length * 1000 / FAREWELLS_PER_SECOND);
    await Promise.all(all.map(async (conn, i) => {
      await new Promise<void>((resolve) => this.#clock.after(i * spreadMs / all.length, resolve));
      await conn.settled();
      conn.close(closeCodes.shutdown);
    }));
  }

  async #startPlugin(plugin: AnyPlugin): Promise<void> {
    this.#started.push(plugin);
    try {
      await plugin.start?.(this.#hostFor(plugin.name));
    } catch (error) {
      if (error instanceof PlugboardError) throw error;
      throw new PlugboardError("start_failed", `Cannot start ${plugin.name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #hostFor(plugin: string): Host {
    const gate = this.#gate!;
    const server = this;
    return {
      log: this.#hooks().logOf(plugin),
      clock: this.#clock,
      connections: gate.connections,
      get state() {
        return server.#state;
      },
      admit: (endpoint, request, ip) => gate.admit(endpoint, request, {}, ip),
    };
  }

  #addRoutes(): void {
    const app = this.#app;
    for (const plugin of this.#plugins) {
      plugin.routes?.(app as unknown as Hono<{ Bindings: { ip: string } }>);
      for (const endpoint of plugin.endpoints ?? []) this.#mount(endpoint);
    }
    app.notFound(() => refusal(404, "not_found", "There is nothing at this path"));
    app.onError((error) => {
      this.#hooks().failed("http", "request", error);
      return refusal(500, "internal", "Internal server error");
    });
  }

  #mount(endpoint: Endpoint): void {
    const gate = this.#gate!;
    for (const path of [endpoint.path].flat()) {
      this.#app.get(path, (c) => gate.upgrade(endpoint, c.req.raw, c.req.param(), c.env.ip));
      this.#app.on("SOCKET", path, async (c) => {
        const admission = await gate.admit(endpoint, c.req.raw, c.req.param(), c.env.ip);
        if (admission instanceof Response) return admission;
        c.env.accepted = gate.takeOver(c.env.socket!, admission);
        return c.body(null);
      });
    }
  }

  #listen(port: number, hostname: string): void {
    const { tls } = this.#options;
    try {
      const pem = tls && { cert: readPem("certFile", tls.certFile), key: readPem("keyFile", tls.keyFile) };
      const options = { port, hostname, signal: this.#abort.signal, onListen() {}, ...pem };
      this.#http = Deno.serve(options, (request, info) => this.fetch(request, info));
    } catch (error) {
      if (error instanceof PlugboardError) throw error;
      const hint = error instanceof Deno.errors.AddrInUse ? "the address is in use" : messageOf(error);
      throw new PlugboardError("listen_failed", `Cannot listen on ${hostname}:${port}: ${hint}`, {
        cause: error,
      });
    }
  }

  /** Stops what had started, the last first. */
  async #release(): Promise<void> {
    for (const plugin of this.#started.splice(0).reverse()) {
      try {
        await plugin.stop?.();
      } catch (error) {
        this.#hooks().failed(plugin.name, "stop", error);
      }
    }
    this.#gate?.stop();
    this.#state = "stopped";
  }
}

const DEFAULTS = {
  port: 8080,
  hostname: "127.0.0.1",
  maxConnections: 50_000,
  maxConnectionsPerIp: 1_000,
  maxMessageBytes: 65_536,
  maxQueuedBytes: 1_048_576,
  maxWaitingMessages: 1_024,
  maxWaitingBytes: 1_048_576,
  pingIntervalMs: 25_000,
  pongTimeoutMs: 8_000,
  drainMs: 10_000,
} as const satisfies ServerOptions;

function checkServerOptions(options: ServerOptions): void {
  const check = checkOptions("the server");
  const { port, hostname, drainMs, ...numbers } = { ...DEFAULTS, ...options };
  check.that(
    port === false || Number.isInteger(port) && port >= 0 && port < 65_536,
    "port",
    "a port number",
    port,
  );
  check.filled("hostname", hostname);
  check.wholeNumber("drainMs", drainMs);
  for (const [name, value] of Object.entries(numbers)) {
    if (name in DEFAULTS) check.positiveInteger(name, value as number);
  }
  const { pingIntervalMs, pongTimeoutMs } = numbers;
  check.that(
    pongTimeoutMs < pingIntervalMs,
    "pongTimeoutMs",
    "shorter than the ping interval",
    pongTimeoutMs,
  );
}

function readPem(option: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new PlugboardError(
      "bad_tls",
      `Cannot start the server: "tls.${option}" cannot be read: ${messageOf(error)}`,
    );
  }
}

/** Everybody with a `log` hook hears every line; a failing one is passed over, there is nowhere to tell it. */
function sinkOf(plugins: readonly AnyPlugin[]): LogSink {
  const takers = plugins.filter((plugin) => plugin.log !== undefined);
  if (takers.length === 0) return consoleSink;
  return (record: LogRecord) => {
    for (const plugin of takers) {
      try {
        plugin.log!(record);
      } catch (error) {
        consoleSink({ level: "error", plugin: plugin.name, message: "log failed", fields: { error } });
      }
    }
  };
}
