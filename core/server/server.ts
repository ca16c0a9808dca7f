/**
 * The server: runs plugins from start to stop.
 *
 * @module
 */

import { guardedClock } from "../contract/clock.ts";
import { checkServices, forgotten, markUsed, serverMade } from "../contract/built.ts";
import type { Connection } from "../contract/connection.ts";
import { PlugboardError, refusal, startFailed } from "../contract/errors.ts";
import type { Address, OpenListener } from "../contract/listening.ts";
import type { Admission } from "../contract/admission.ts";
import type { AnyPlugin, ApiOf, Host, ServerState } from "../contract/plugin.ts";
import { attempt, type MaybePromise, settlesWithin } from "../contract/promises.ts";
import { Gate, notReady } from "../http/gate.ts";
import { Listener, readTls } from "../http/listener.ts";
import { Router } from "../http/router.ts";
import { drain } from "./drain.ts";
import { HookRunner } from "./hooks.ts";
import { type CompleteOptions, completeOptions, MAIN, type ServerOptions } from "./options.ts";

/** How long a plugin may take to stop. */
const STOP_MS = 10_000;

/** How a plugin is used. */
export interface UseOptions {
  /** The listener that serves the plugin's routes and endpoints. @default {"main"} */
  readonly listener?: string;
}

/**
 * A realtime server. It knows only connections and hooks; plugins do everything else.
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
  readonly #number: number = serverMade();
  readonly #options: CompleteOptions;
  readonly #plugins: AnyPlugin[] = [];
  readonly #pluginsOf: ReadonlyMap<string, AnyPlugin[]>;
  readonly #started: AnyPlugin[] = [];
  #state: ServerState = "idle";
  #hooks: HookRunner | undefined;
  #gate: Gate | undefined;
  /** The main router. */
  #router: Router | undefined;
  readonly #listeners = new Map<string, OpenListener>();
  readonly #failed = Promise.withResolvers<Error>();
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** Checks the options, and opens nothing. */
  constructor(options: ServerOptions = {}) {
    this.#options = completeOptions(options);
    this.#pluginsOf = new Map([...this.#options.listeners.keys()].map((name) => [name, []]));
  }

  /** Where the server is in its life. */
  get state(): ServerState {
    return this.#state;
  }

  /** Where the main listener listens. Throws `not_listening` unless it does. */
  get address(): Address {
    const main = this.#listeners.get(MAIN);
    if (main !== undefined) return main.address;
    throw new PlugboardError("not_listening", "The server does not listen");
  }

  /** Where the listeners listen, by name. `main` is the first. */
  get addresses(): ReadonlyMap<string, Address> {
    return new Map([...this.#listeners].map(([name, { address }]) => [name, address]));
  }

  /** The connections that are open. */
  get connections(): ReadonlySet<Connection> {
    return this.#gate?.connections ?? new Set();
  }

  /** Adds a plugin and returns its API. Plugins start in the order of `use`, and stop in reverse. */
  use<P extends AnyPlugin>(plugin: P, { listener = MAIN }: UseOptions = {}): ApiOf<P> {
    const cannot = `Cannot use ${plugin.name}: the server has`;
    if (this.#state !== "idle") throw new PlugboardError("started", `${cannot} started already`);
    const plugins = this.#pluginsOf.get(listener);
    if (plugins === undefined) {
      const known = [...this.#pluginsOf.keys()].join(", ");
      throw new PlugboardError("unknown_listener", `${cannot} no listener "${listener}", only ${known}`);
    }
    plugins.push(plugin);
    this.#plugins.push(plugin);
    markUsed(plugin);
    return (plugin as { api?: ApiOf<P> }).api as ApiOf<P>;
  }

  /** Starts the plugins, then listens. If anything fails, stops what has started. */
  async start(): Promise<void> {
    if (this.#state !== "idle") throw new PlugboardError("started", "A server starts only once");
    this.#state = "starting";
    await (this.#starting = this.#start());
  }

  /**
   * Answers a request as the main listener does, for use within another `Deno.serve` or Hono app. Without `info` the
   * client's address is unknown, and all clients count as one address.
   */
  readonly fetch = async (request: Request, info?: Deno.ServeHandlerInfo): Promise<Response> =>
    await this.#answer(this.#router, request, info);

  /** Opens a connection on a WebSocket that was accepted elsewhere, as if it had been requested at `path`. */
  async accept(
    socket: WebSocket,
    path: string,
    { headers = new Headers(), ip = "unknown" }: { headers?: Headers; ip?: string } = {},
  ): Promise<Connection> {
    if (this.#router === undefined) throw new PlugboardError("not_ready", "The server is not running");
    return await this.#router.accept(socket, path, headers, ip);
  }

  /** Refuses new clients, asks the others to reconnect, waits for pending work, then stops the plugins. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  #answer(
    router: Router | undefined,
    request: Request,
    info?: Deno.ServeHandlerInfo,
  ): MaybePromise<Response> {
    if (router === undefined) return notReady();
    return attempt(() => {
      const peer = peerOf(info);
      const completed = info && (() => info.completed.catch(() => {}));
      return router.fetch(request, { ip: this.#options.clientIp(request, peer), completed });
    }, (error) => {
      this.#hooks!.failed("kernel", "request", error);
      return refusal(500, "internal", "Internal server error");
    });
  }

  #admit(router: Router, request: Request, info: Peer): MaybePromise<Response | Admission> {
    return attempt(() => router.admit(request, this.#options.clientIp(request, peerOf(info))), (error) => {
      this.#hooks!.failed("kernel", "request", error);
      return refusal(500, "internal", "Internal server error");
    });
  }

  async #start(): Promise<void> {
    const { clock } = this.#options;
    const hooks = this.#hooks = new HookRunner(this.#plugins);
    const gate = this.#gate = new Gate({
      hooks,
      log: hooks.logOf("kernel"),
      clock,
      limits: this.#options,
      state: () => this.#state,
    });
    try {
      this.#plugins.forEach(checkServices);
      for (const plugin of this.#plugins) await this.#startPlugin(plugin);
      await this.#listen(gate, hooks);
      gate.start();
      this.#state = "ready";
    } catch (error) {
      await this.#closeListeners(0);
      await this.#release();
      throw error;
    }
    for (const name of forgotten(this.#plugins, this.#number)) {
      hooks.logOf("kernel").warn(`the plugin ${name} was built, but server.use was not called with it`);
    }
    for (const [listener, { address: { url } }] of this.#listeners) {
      const used = this.#pluginsOf.get(listener)!;
      const endpoints = used.flatMap(({ endpoints = [] }) => endpoints.flatMap(({ path }) => path)).join(" ");
      const plugins = [...new Set(used.map(({ name }) => name))].join(" ");
      hooks.logOf("kernel").info("listening", {
        ...(listener !== MAIN && { listener }),
        url,
        endpoints,
        plugins,
      });
    }
  }

  async #listen(gate: Gate, hooks: HookRunner): Promise<void> {
    const routers = [...this.#pluginsOf].map(([name, used]) =>
      [name, new Router(used, gate, hooks)] as const
    );
    this.#router = routers[0]![1];
    for (const [name, router] of routers) {
      const options = this.#options.listeners.get(name);
      if (options === undefined) continue;
      const handler = (request: Request, info: Deno.ServeHandlerInfo) => this.#answer(router, request, info);
      const plugin = this.#pluginsOf.get(name)!.find(({ listen }) => listen !== undefined);
      const { clock } = this.#options;
      const events = { clock, log: hooks.logOf("kernel"), gaveUp: this.#failed.resolve };
      const listener = await plugin?.listen?.({
        ...options,
        tls: options.tls && readTls(options.tls),
        fetch: handler,
        admit: (request, info) => this.#admit(router, request, info),
      }) ?? new Listener(options, handler, events);
      this.#listeners.set(name, listener);
    }
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
    const problems = () => [gate.memory, ...this.#listeners.values()].flatMap(({ problem }) => problem ?? []);
    const { clock, maxConnections, pingIntervalMs, listeners } = this.#options;
    return {
      log: hooks.logOf(plugin),
      clock: guardedClock(clock, (error) => hooks.failed(plugin, "timer", error)),
      connections: gate.connections,
      sent: gate.sent,
      failed: this.#failed.promise,
      memory: gate.memory,
      maxConnections,
      pingIntervalMs,
      hostnames: [...listeners.values()].flatMap((listener) => listener?.hostname ?? []),
      get state() {
        return state();
      },
      get problems() {
        return problems();
      },
      connectionsFrom: (ip) => gate.connectionsFrom(ip),
      admit: async (endpoint, { url, headers }, ip) =>
        await gate.admit({ endpoint, url, headers: new Headers(headers), params: {}, ip }),
    };
  }

  async #stop(): Promise<void> {
    if (this.#state === "idle") this.#state = "stopped";
    if (this.#state === "stopped") return;
    this.#state = "draining";
    const { drainMs, clock } = this.#options;
    const end = clock.monotonicTime() + drainMs;
    const left = () => Math.max(0, end - clock.monotonicTime());
    await settlesWithin(clock, left(), this.#starting!);
    if (this.#router !== undefined) {
      await drain({ gate: this.#gate!, hooks: this.#hooks!, clock, ms: left() });
      await this.#closeListeners(left());
    }
    await this.#release();
  }

  async #closeListeners(ms: number): Promise<void> {
    await Promise.all([...this.#listeners.values()].map((each) => each.close(ms)));
    this.#listeners.clear();
  }

  /** Stops the plugins that have started, the last one first. */
  async #release(): Promise<void> {
    this.#router = undefined;
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

/** Where a request comes from. */
type Peer = Pick<Deno.ServeHandlerInfo, "remoteAddr">;

/** Returns the address of the other end of the socket. */
function peerOf(info: Peer | undefined): string {
  const addr = info?.remoteAddr;
  return addr !== undefined && "hostname" in addr ? addr.hostname : "unknown";
}
