/**
 * One object for people who want one line: channels, presence, live queries, sign-in and limits, put together.
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
 * It only wires plugins, which can be reached by its fields; whoever wants another wiring writes it as `main.ts` does.
 * Without `start` it works in memory, without a network, for the tests of people's own code.
 *
 * It differs from the original where that was unsafe: it listens on this machine alone unless told otherwise, and a
 * client it is told of (`handleConnection`) is one that the same rules hold for as for everybody.
 *
 * @module
 */

import {
  type AnyPlugin,
  closeCodes,
  type Connection,
  type Endpoint,
  type Host,
  messageOf,
  PlugboardError,
  Server,
  type Transport,
} from "../core/mod.ts";
import { type Access, type ApiKeyOptions, auth, type AuthResult } from "./auth.ts";
import {
  type ChannelCallback,
  type ChannelEncoder,
  type Channels,
  channels,
  type ChannelStats,
  type Client,
} from "./channels.ts";
import { type LiveQueries, liveQueries, type LiveStore, type Params, type Row } from "./live_queries.ts";
import { type MessageChecks, messageChecks } from "./message_checks.ts";
import { type Presence, presence, type Present } from "./presence.ts";
import { centrifuge } from "./protocols/centrifuge.ts";
import { json } from "./protocols/json.ts";
import { type RateLimits, rateLimits } from "./rate_limits.ts";
import { type Rpc, rpc } from "./rpc.ts";
import { type ConnectionInfo, type Stats, stats } from "./stats.ts";

/** Options of {@linkcode RealtimeServer}. */
export interface RealtimeConfig {
  /** The port to listen on. @default {8080} */
  port?: number;
  /** The address to listen on. Another than this machine's needs `requireAuth` to be said. @default {"127.0.0.1"} */
  host?: string;
  /** Milliseconds between pings. @default {30000} */
  pingInterval?: number;
  /** How long somebody without a connection is present after the last update, in milliseconds. @default {60000} */
  presenceTimeout?: number;
  /** Whether clients must sign in. Saying `false` opens the server to whoever reaches it. @default {false} */
  requireAuth?: boolean;
  /** The secret that tokens are signed with. */
  jwtSecret?: string;
  /** Limits for clients. @default {generous ones} */
  rateLimit?: {
    /** Connections at once from one address. */
    maxConnections?: number;
    /** Messages of one client in a window. */
    maxMessagesPerMinute?: number;
    /** The window, in milliseconds. @default {60000} */
    windowMs?: number;
  };
  /** The database of the live queries; without one their results are told by `notifyQueryUpdate`. */
  store?: LiveStore;
  /** Further plugins. */
  plugins?: readonly AnyPlugin[];
}

/** A client that the app itself connects. */
export interface LogicalClient {
  /** What the app calls it. */
  readonly id: string;
  /** Its token. */
  readonly auth?: string;
  /** Its API key. */
  readonly apiKey?: string;
  /** Its address, for the limits. */
  readonly ip?: string;
}

/** Frames for a client that is no socket go nowhere: the app hears its channels by callbacks. */
const nowhere = (release: () => void): Transport => ({ buffered: 0, send() {}, close: release });
const silent: ChannelEncoder = {
  publication: () => "",
  join: () => "",
  leave: () => "",
  subscribed: () => "",
  unsubscribed: () => "",
};

/** Where clients without a socket come in; no request gets there. */
const inProcess: Endpoint = { name: "in_process", path: "/.in-process", open: () => ({ message() {} }) };

/** Channels, presence, live queries, sign-in and limits as one object. */
export class RealtimeServer {
  /** The plugins by name, for all that has no method here. */
  readonly channels: Channels;
  /** Who is where. */
  readonly presence: Presence;
  /** The live queries. */
  readonly queries: LiveQueries;
  /** Sign-in and API keys. */
  readonly access: Access;
  /** What clients can call. */
  readonly rpc: Rpc;
  /** What is counted. */
  readonly stats: Stats;
  readonly #server: Server;
  readonly #limits: RateLimits;
  readonly #checks: MessageChecks;
  readonly #config: RealtimeConfig;
  readonly #logical = new Map<string, Client>();
  #host: Host | undefined;
  #running: Promise<void> | undefined;
  #http: Deno.HttpServer<Deno.NetAddr> | undefined;

  /** Puts the plugins together; opens nothing. */
  constructor(config: RealtimeConfig = {}) {
    const { host = "127.0.0.1", pingInterval = 30_000, presenceTimeout = 60_000, rateLimit = {} } = config;
    const { requireAuth, jwtSecret, store, plugins = [] } = config;
    const { maxConnections, maxMessagesPerMinute, windowMs = 60_000 } = rateLimit;
    this.#config = config;
    const server = this.#server = new Server({
      port: false,
      pingIntervalMs: pingInterval,
      pongTimeoutMs: Math.ceil(pingInterval / 3),
      ...(maxConnections !== undefined && { maxConnectionsPerIp: maxConnections }),
    });
    this.#limits = server.use(rateLimits({
      limits: {
        ...(maxConnections !== undefined && { connectionsPerIp: maxConnections }),
        ...(maxMessagesPerMinute !== undefined &&
          { messages: `${maxMessagesPerMinute}/${windowMs}ms` as const }),
      },
    }));
    this.access = server.use(auth({
      hostname: host,
      limits: this.#limits.signIns,
      ...(jwtSecret !== undefined && { jwt: { secret: jwtSecret } }),
      ...(requireAuth !== true && (requireAuth === false || jwtSecret !== undefined) && {
        anonymous: { permissions: ["*"] },
      }),
    }));
    const bus = this.channels = server.use(channels());
    bus.extend(this.#limits.extension);
    bus.extend(this.access.extension);
    this.presence = server.use(presence({ channels: bus, timeoutMs: presenceTimeout }));
    this.queries = server.use(liveQueries({ channels: bus, ...(store !== undefined && { store }) }));
    this.rpc = server.use(rpc());
    this.#checks = server.use(messageChecks({ channels: bus, script: "refuse" }));
    this.stats = server.use(stats({ channels: bus }));
    const services = { channels: bus, presence: this.presence, rpc: this.rpc, access: this.access };
    server.use(centrifuge({ ...services, pingIntervalMs: pingInterval }));
    server.use(json({ ...services, heartbeatMs: pingInterval }));
    for (const plugin of plugins) server.use(plugin);
    server.use({
      name: "realtime_server",
      start: (given) => void (this.#host = given),
      endpoints: [inProcess],
    });
  }

  /** Listens. */
  async start(): Promise<void> {
    await this.#run();
    const { port = 8080, host: hostname = "127.0.0.1" } = this.#config;
    this.#http = Deno.serve(
      { port, hostname, onListen() {} },
      (request, info) => this.#server.fetch(request, info),
    );
  }

  /** Where it listens. */
  get url(): string {
    if (this.#http === undefined) throw new PlugboardError("not_listening", "The server does not listen");
    const { hostname, port } = this.#http.addr;
    return `http://${hostname}:${port}`;
  }

  /** Tells everybody, closes everything. */
  async stop(): Promise<void> {
    await this.#server.stop();
    await this.#http?.shutdown();
  }

  /** Calls back for every message of a channel. Returns the function that ends it. */
  subscribe(channel: string, callback: ChannelCallback): () => void {
    return this.channels.subscribe(channel, callback);
  }

  /** Publishes; resolves to the number of receivers. */
  async publish(channel: string, data: unknown): Promise<number> {
    await this.#run();
    return (await this.channels.publish(channel, data)).receivers;
  }

  /** Puts somebody into a channel, or changes what they show. */
  updatePresence(clientId: string, channel: string, data: unknown): void {
    this.presence.update(channel, clientId, data);
  }

  /** Who is in a channel. */
  getPresence(channel: string): Present[] {
    return this.presence.list(channel);
  }

  /** Subscribes a client to a query; resolves to an id for {@linkcode RealtimeServer.unsubscribeFromQuery}. */
  async subscribeToQuery(
    clientId: string,
    query: string,
    params: readonly Params[string][] = [],
  ): Promise<string> {
    await this.#run();
    return await this.queries.subscribeToQuery(this.#connectionOf(clientId), query, params);
  }

  /** Ends that; `false` if there was none. */
  unsubscribeFromQuery(subscriptionId: string): boolean {
    return this.queries.unsubscribeFromQuery(subscriptionId);
  }

  /** Tells the result of a query; without parameters, to whoever asked for it with whatever parameters. */
  async notifyQueryUpdate(
    query: string,
    result: readonly Row[],
    params?: readonly Params[string][],
  ): Promise<number> {
    await this.#run();
    return this.queries.notifyQueryUpdate(query, result, params);
  }

  /** What channels are doing. */
  getChannelStats(channel?: string): ChannelStats[] {
    return this.channels.stats(channel);
  }

  /** Who is connected. */
  getClientInfo(clientId?: string): ConnectionInfo[] {
    return this.stats.clientInfo(clientId === undefined ? undefined : this.#connectionOf(clientId));
  }

  /** How many are connected. */
  getActiveConnections(): number {
    return this.stats.activeConnections();
  }

  /** Checks a token. */
  async authenticateConnection(token: string): Promise<AuthResult> {
    await this.#run();
    return await this.access.authenticateConnection(token);
  }

  /** Connects a client that has no socket of its own here; `false` if it may not. */
  async handleConnection({ id, auth: token, apiKey, ip = "127.0.0.1" }: LogicalClient): Promise<boolean> {
    await this.#run();
    const headers = new Headers({
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(apiKey !== undefined && { "x-api-key": apiKey }),
    });
    const request = new Request("http://in-process/", { headers });
    const admission = await this.#host!.admit(inProcess, request, ip);
    if (admission instanceof Response) return false;
    const conn: Connection = admission.open(nowhere(admission.release));
    try {
      const { identity } = await this.access.connect(conn);
      this.#logical.set(id, this.channels.connect(conn, { identity, encoder: silent }));
      return true;
    } catch (error) {
      conn.close(closeCodes.normal);
      if (error instanceof PlugboardError) return false;
      throw new Error(messageOf(error), { cause: error });
    }
  }

  /** Adds a key for backends. */
  addApiKey(key: string, options: ApiKeyOptions): void {
    this.access.addApiKey(key, options);
  }

  /** Whether a client may subscribe to a channel. */
  checkChannelPermission(clientId: string, channel: string): boolean {
    try {
      this.#client(clientId).check("subscribe", channel);
      return true;
    } catch {
      return false;
    }
  }

  /** Counts an operation of a client; `false` when it is one too many. */
  enforceRateLimit(clientId: string, operation: Parameters<RateLimits["enforceRateLimit"]>[1]): boolean {
    return this.#limits.enforceRateLimit(this.#connectionOf(clientId), operation);
  }

  /** Whether a message is small and flat enough, and holds no script. */
  validateMessage(message: unknown): boolean {
    return this.#checks.validateMessage(message);
  }

  /** Subscribes a client, if it may; `false` if not. */
  async subscribeClient(clientId: string, channel: string): Promise<boolean> {
    try {
      await this.#client(clientId).subscribe(channel, {}, () => {});
      return true;
    } catch (error) {
      if (error instanceof PlugboardError) return false;
      throw error;
    }
  }

  /** Publishes in a client's name, if it may; resolves to the number of receivers. */
  async publishFromClient(clientId: string, channel: string, data: unknown): Promise<number> {
    return (await this.#client(clientId).publish(channel, data)).receivers;
  }

  #client(clientId: string): Client {
    const client = this.#logical.get(clientId) ?? this.channels.clientOf(clientId);
    if (client === undefined) {
      throw new PlugboardError("unauthorized", "Authentication required for WebSocket connection");
    }
    return client;
  }

  /** The id of a client's connection. */
  #connectionOf(clientId: string): string {
    return this.#logical.get(clientId)?.id ?? clientId;
  }

  /** The plugins start with the first call that needs them. */
  #run(): Promise<void> {
    return this.#running ??= this.#server.start();
  }
}
