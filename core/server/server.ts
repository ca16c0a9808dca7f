/**
 * The server: plugins in, everything started, everything released in the end.
 *
 * @module
 */

import { guardedClock } from "../contract/clock.ts";
import type { Connection } from "../contract/connection.ts";
import { PlugboardError, refusal, startFailed } from "../contract/errors.ts";
import type { AnyPlugin, ApiOf, Host, ServerState } from "../contract/plugin.ts";
import { settlesWithin } from "../contract/promises.ts";
import { Gate } from "../http/gate.ts";
import { type Address, Listener } from "../http/listener.ts";
import { Router } from "../http/router.ts";
import { drain } from "./drain.ts";
import { HookRunner, sinkOf } from "./hooks.ts";
import { type CompleteOptions, completeOptions, type ServerOptions } from "./options.ts";

/** How long a plugin may take to stop. */
const STOP_MS = 10_000;

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
  readonly #options: CompleteOptions;
  readonly #plugins: AnyPlugin[] = [];
  readonly #started: AnyPlugin[] = [];
  #state: ServerState = "idle";
  #hooks: HookRunner | undefined;
  #gate: Gate | undefined;
  #router: Router | undefined;
  #listener: Listener | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** Checks the options; opens nothing. */
  constructor(options: ServerOptions = {}) {
    this.#options = completeOptions(options);
  }

  /** Where the server is in its life. */
  get state(): ServerState {
    return this.#state;
  }

  /** Where it listens, while it does. */
  get address(): Address {
    if (this.#listener !== undefined) return this.#listener.address;
    throw new PlugboardError("not_listening", "The server does not listen");
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
    await (this.#starting = this.#start());
  }

  /**
   * Answers a request: the server within another `Deno.serve` or Hono app. Without `info` it cannot tell who asks,
   * and all count as one address.
   */
  readonly fetch = async (request: Request, info?: Deno.ServeHandlerInfo): Promise<Response> => {
    if (this.#router === undefined) {
      return refusal(503, "not_ready", "The server is starting or stopping", { "retry-after": "1" });
    }
    try {
      const addr = info?.remoteAddr;
      const peer = addr !== undefined && "hostname" in addr ? addr.hostname : "unknown";
      return await this.#router.fetch(request, this.#options.clientIp(request, peer));
    } catch (error) {
      this.#hooks!.failed("kernel", "request", error);
      return refusal(500, "internal", "Internal server error");
    }
  };

  /** Takes a WebSocket that somebody else accepted, as if it had come in at `path`. */
  async accept(
    socket: WebSocket,
    path: string,
    { headers = new Headers(), ip = "unknown" }: { headers?: Headers; ip?: string } = {},
  ): Promise<Connection> {
    if (this.#router === undefined) throw new PlugboardError("not_ready", "The server does not run");
    return await this.#router.accept(socket, path, headers, ip);
  }

  /** Stops: no new clients, the present ones told to reconnect, work awaited until the deadline, all released. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #start(): Promise<void> {
    const { clock, port, hostname, tls } = this.#options;
    const hooks = this.#hooks = new HookRunner(this.#plugins, sinkOf(this.#plugins));
    const gate = this.#gate = new Gate({ hooks, clock, limits: this.#options, state: () => this.#state });
    try {
      for (const plugin of this.#plugins) await this.#startPlugin(plugin);
      this.#router = new Router(this.#plugins, gate, hooks);
      if (port !== false) this.#listener = new Listener(port, hostname, tls, this.fetch);
      gate.start();
      this.#state = "ready";
    } catch (error) {
      await this.#release();
      throw error;
    }
    if (port === false) return;
    const endpoints = this.#plugins.flatMap(({ endpoints = [] }) => endpoints.flatMap(({ path }) => path));
    const plugins = new Set(this.#plugins.map(({ name }) => name));
    const what = { url: this.address.url, endpoints: endpoints.join(" "), plugins: [...plugins].join(" ") };
    hooks.logOf("kernel").info("listening", what);
  }

  async #startPlugin(plugin: AnyPlugin): Promise<void> {
    this.#started.push(plugin);
    try {
      await plugin.start?.(this.#hostFor(plugin.name));
    } catch (error) {
      throw startFailed(plugin.name, error);
    }
    if (this.#state === "starting") return;
    throw new PlugboardError("stopped", "The server was stopped while it started");
  }

  #hostFor(plugin: string): Host {
    const hooks = this.#hooks!;
    const gate = this.#gate!;
    const state = () => this.#state;
    return {
      log: hooks.logOf(plugin),
      clock: guardedClock(this.#options.clock, (error) => hooks.failed(plugin, "timer", error)),
      connections: gate.connections,
      sent: gate.sent,
      get state() {
        return state();
      },
      admit: (endpoint, { url, headers }, ip) =>
        gate.admit({ endpoint, url, headers: new Headers(headers), params: {}, ip }),
    };
  }

  async #stop(): Promise<void> {
    if (this.#state === "idle") this.#state = "stopped";
    if (this.#state === "stopped") return;
    this.#state = "draining";
    const { drainMs, clock } = this.#options;
    const end = clock.now() + drainMs;
    const left = () => Math.max(0, end - clock.now());
    await settlesWithin(clock, left(), this.#starting!);
    if (this.#router !== undefined) {
      await drain({ gate: this.#gate!, hooks: this.#hooks!, clock, ms: left() });
      await this.#listener?.close(clock, left());
    }
    await this.#release();
  }

  /** Stops what had started, the last first. */
  async #release(): Promise<void> {
    this.#router = this.#listener = undefined;
    this.#gate!.stop();
    for (const plugin of this.#started.splice(0).reverse()) {
      const stopped = this.#stopPlugin(plugin);
      if (await settlesWithin(this.#options.clock, STOP_MS, stopped)) continue;
      this.#hooks!.failed(plugin.name, "stop", new Error(`not done after ${STOP_MS} ms`));
    }
    this.#state = "stopped";
  }

  async #stopPlugin(plugin: AnyPlugin): Promise<void> {
    try {
      await plugin.stop?.();
    } catch (error) {
      this.#hooks!.failed(plugin.name, "stop", error);
    }
  }
}
