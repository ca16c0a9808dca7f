/**
 * A realtime server as one object: channels, presence, live queries, sign-in and limits, wired.
 *
 * ```ts
 * import { RealtimeServer } from "@plugboard/server/realtime_server";
 *
 * const server = new RealtimeServer({ port: 0 });
 * server.subscribe("chat", (message) => console.log(message));
 * await server.publish("chat", { user: "Alice", text: "Hello!" });
 * await server.stop();
 * ```
 *
 * The server wires plugins; its fields give access to them. Write your own wiring, as in `main.ts`, if you need another.
 * Without `start` it works in memory and without a network, which is useful in tests.
 *
 * Two things are safer than in the original: the server listens on the loopback address unless `host` says otherwise,
 * and clients added by `handleConnection` have the same permissions and limits as all others.
 *
 * @module
 */

import {
  addressOf,
  type AnyPlugin,
  type ApiOf,
  checkOptions,
  messageOf,
  PlugboardError,
  sayAtTerminal,
  Server,
} from "../../core/mod.ts";
import { type Access, type ApiKeyOptions, auth, type AuthResult } from "../auth.ts";
import {
  type ChannelCallback,
  type Channels,
  channels,
  type ChannelStats,
  type Client,
} from "../channels.ts";
import { type LiveQueries, liveQueries, type Params, type Row } from "../live_queries.ts";
import { type MessageChecks, messageChecks } from "../message_checks.ts";
import { memoryPresenceStore, type Presence, presence, type Present } from "../presence.ts";
import { centrifuge } from "../protocols/centrifuge.ts";
import { json } from "../protocols/json.ts";
import { type Operation, type RateLimits, rateLimits } from "../rate_limits.ts";
import { type InProcess, inProcess, type LogicalClient } from "./realtime_server/in_process.ts";
import { limitsOf, type RealtimeConfig } from "./realtime_server/config.ts";
import { signInOptions } from "./shared/sign_in.ts";
import { type Rpc, rpc } from "../rpc.ts";
import { type ConnectionInfo, type Stats, stats } from "../stats.ts";

export type { RateLimitConfig, RealtimeConfig } from "./realtime_server/config.ts";
export type { LogicalClient } from "./realtime_server/in_process.ts";
export type { SignInConfig } from "./shared/sign_in.ts";

/** Channels, presence, live queries, sign-in and limits as one object. */
export class RealtimeServer {
  /** Channels. */
  readonly channels: Channels;
  /** Presence. */
  readonly presence: Presence;
  /** Live queries. */
  readonly queries: LiveQueries;
  /** Sign-in and API keys. */
  readonly access: Access;
  /** The methods clients can call. */
  readonly rpc: Rpc;
  /** Statistics. */
  readonly stats: Stats;
  readonly #server: Server;
  readonly #limits: RateLimits;
  readonly #checks: MessageChecks;
  readonly #present = memoryPresenceStore();
  readonly #inProcess: InProcess;
  readonly #config: RealtimeConfig;
  #running: Promise<void> | undefined;
  #http: Deno.HttpServer<Deno.NetAddr> | undefined;

  /** Wires the plugins. Opens nothing. */
  constructor(config: RealtimeConfig = {}) {
    const { pingInterval = 30_000, presenceTimeout = 60_000, rateLimit = {}, store } = config;
    const check = checkOptions("realtime_server");
    check.positiveInteger("pingInterval", pingInterval);
    check.positiveInteger("presenceTimeout", presenceTimeout);
    for (const [name, value] of Object.entries(rateLimit)) check.positiveInteger(`rateLimit.${name}`, value);
    this.#config = config;
    const server = this.#server = new Server({
      port: false,
      pingIntervalMs: pingInterval,
      pongTimeoutMs: Math.ceil(pingInterval / 3),
      // The rate limits refuse first, with their own error.
      maxConnectionsPerIp: 2 * (rateLimit.maxConnections ?? 1_000),
    });
    if (store !== undefined) server.use(store);
    const limits = this.#limits = server.use(rateLimits({ limits: limitsOf(rateLimit) }));
    const signIn = signInOptions("realtime_server", config);
    const access = this.access = server.use(auth({ limits: limits.signIns, ...signIn }));
    const bus = this.channels = server.use(channels({ limits, access }));
    const people = this.presence = server.use(
      presence({ channels: bus, store: this.#present, timeoutMs: presenceTimeout }),
    );
    this.queries = server.use(liveQueries({ channels: bus, ...(store && { store: store.api }) }));
    this.rpc = server.use(rpc({ limits }));
    this.#checks = server.use(messageChecks({ channels: bus, script: "refuse" }));
    this.stats = server.use(stats({ channels: bus }));
    const services = { channels: bus, presence: people, rpc: this.rpc, access };
    server.use(centrifuge({ ...services, limits }));
    server.use(json({ ...services, limits, heartbeatMs: pingInterval, path: ["/ws", "/"] }));
    this.#inProcess = server.use(inProcess({ channels: bus, access }));
  }

  /** Adds a plugin and returns its API. Throws after the first call that starts the plugins. */
  use<P extends AnyPlugin>(plugin: P): ApiOf<P> {
    return this.#server.use(plugin);
  }

  /** Starts listening. */
  async start(): Promise<void> {
    if (this.#http !== undefined) throw new PlugboardError("started", "A server starts only once");
    await this.#run();
    const { port = 8080, host: hostname = "127.0.0.1" } = this.#config;
    if (port === false) return;
    try {
      this.#http = Deno.serve({ port, hostname, onListen() {} }, this.#server.fetch);
    } catch (error) {
      await this.stop();
      const message = `Cannot listen on ${hostname}:${port}: ${messageOf(error)}`;
      throw new PlugboardError("listen_failed", message, { cause: error });
    }
    const clients = `${this.url.replace(/^http/, "ws")}/ws`;
    sayAtTerminal(`RealtimeServer is at ${this.url}/, for WebSockets at ${clients}. Press Ctrl-C to stop.`);
  }

  /** The URL the server listens on. */
  get url(): string {
    if (this.#http !== undefined) return addressOf(this.#http.addr).url;
    throw new PlugboardError("not_listening", "The server does not listen");
  }

  /** Disconnects all clients and stops. */
  async stop(): Promise<void> {
    await this.#server.stop();
    await this.#http?.shutdown();
  }

  /** Calls back for every message of a channel. Returns a function that unsubscribes. */
  subscribe(channel: string, callback: ChannelCallback): () => void {
    return this.channels.subscribe(channel, callback);
  }

  /** Publishes a message. Resolves to the number of receivers. */
  async publish(channel: string, data: unknown): Promise<number> {
    await this.#run();
    return (await this.channels.publish(channel, data)).receivers;
  }

  /** Adds a client to a channel's presence, or updates its data. */
  updatePresence(clientId: string, channel: string, data: unknown): void {
    void this.presence.update(channel, this.#connectionOf(clientId), data);
    // The presence timeout needs the plugins running. A failed start is reported by the next call that awaits it.
    this.#run().catch(() => {});
  }

  /** Returns the clients present in a channel. */
  getPresence(channel: string): Present[] {
    return this.#present.list(channel).map((each) => ({ ...each, client: this.#nameOf(each.client) }));
  }

  /**
   * Subscribes a client to a query: it receives the rows, then each change. Resolves to an id for
   * {@linkcode RealtimeServer.unsubscribeFromQuery}.
   */
  async subscribeToQuery(
    clientId: string,
    query: string,
    params: readonly Params[string][] = [],
  ): Promise<string> {
    await this.#run();
    return await this.queries.subscribeToQuery(this.#connectionOf(clientId), query, params);
  }

  /** Ends a query subscription. Resolves to `false` if there was none. */
  unsubscribeFromQuery(subscriptionId: string): Promise<boolean> {
    return this.queries.unsubscribeFromQuery(subscriptionId);
  }

  /**
   * Publishes the result of a query; without `params`, to its subscribers with any parameters. Resolves to the number
   * of queries that were updated.
   */
  async notifyQueryUpdate(
    query: string,
    result: readonly Row[],
    params?: readonly Params[string][],
  ): Promise<number> {
    await this.#run();
    return this.queries.notifyQueryUpdate(query, result, params);
  }

  /** Returns statistics of the channels, or of one. */
  getChannelStats(channel?: string): ChannelStats[] {
    return this.channels.localStats(channel);
  }

  /** Returns the connected clients, or one. */
  getClientInfo(clientId?: string): ConnectionInfo[] {
    const found = this.stats.clientInfo(clientId === undefined ? undefined : this.#connectionOf(clientId));
    return found.map((info) => ({ ...info, id: this.#nameOf(info.id) }));
  }

  /** Returns the number of open connections. */
  getActiveConnections(): number {
    return this.stats.activeConnections();
  }

  /** Verifies a token. */
  async authenticateConnection(token: string): Promise<AuthResult> {
    await this.#run();
    return await this.access.authenticateConnection(token);
  }

  /** Connects a client without a socket. Resolves to `true`, or rejects with the reason. */
  async handleConnection(client: LogicalClient): Promise<boolean> {
    await this.#run();
    await this.#inProcess.connect(client);
    return true;
  }

  /** Adds an API key. */
  addApiKey(key: string, options: ApiKeyOptions): void {
    this.access.addApiKey(key, options);
  }

  /** Returns whether a client may subscribe to a channel. */
  checkChannelPermission(clientId: string, channel: string): boolean {
    return allowed(() => this.#client(clientId).check("subscribe", channel));
  }

  /** Counts an operation of a client. Returns `false` if it exceeds the limit. */
  enforceRateLimit(clientId: string, operation: Operation): boolean {
    return this.#limits.enforceRateLimit(this.#connectionOf(clientId), operation);
  }

  /** Returns whether a message is within the size and depth limits and contains no script. */
  validateMessage(message: unknown): boolean {
    return this.#checks.validateMessage(message);
  }

  /** Subscribes a client. Resolves to `false` without permission. Rejects for unknown clients and exceeded limits. */
  async subscribeClient(clientId: string, channel: string): Promise<boolean> {
    const client = this.#client(clientId);
    if (client.subscriptions.has(channel)) return true;
    if (!allowed(() => client.check("subscribe", channel))) return false;
    await client.subscribe(channel, {}, (subscribed) => {
      client.conn.send(client.encoder.subscribed(channel, subscribed));
    });
    return true;
  }

  /** Publishes as a client. Resolves to the number of receivers, or rejects with the reason. */
  async publishFromClient(clientId: string, channel: string, data: unknown): Promise<number> {
    const client = this.#client(clientId);
    this.#limits.spend(client.conn, "message");
    return (await client.publish(channel, data)).receivers;
  }

  #client(clientId: string): Client {
    const client = this.#inProcess.find(clientId) ?? this.channels.clientOf(clientId);
    if (client !== undefined) return client;
    throw new PlugboardError("unauthorized", "Authentication required for WebSocket connection");
  }

  /** Returns the id of a client's connection. */
  #connectionOf(clientId: string): string {
    return this.#inProcess.find(clientId)?.id ?? clientId;
  }

  /** Returns the app's id of a connection. */
  #nameOf(connection: string): string {
    return this.#inProcess.nameOf(connection) ?? connection;
  }

  /** Starts the plugins, once. */
  #run(): Promise<void> {
    return this.#running ??= this.#server.start();
  }
}

function allowed(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof PlugboardError) return false;
    throw error;
  }
}
