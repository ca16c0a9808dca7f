/**
 * One object for query progress, table changes and collaboration: events that the app tells of, or that its database
 * has, for every client that connects with nothing but `new WebSocket`.
 *
 * ```ts
 * import { createWebSocketServer } from "@plugboard/server/websocket_server";
 *
 * const wsServer = createWebSocketServer({ port: 0, path: "/ws", heartbeatInterval: 30_000, maxConnections: 100 });
 *
 * wsServer.notifyQueryProgress({ queryId: "query-123", progress: 50, message: "Processing rows…", rowCount: 5000 });
 * wsServer.notifyTableCreated({ tableName: "users", userId: "user-456", timestamp: Date.now() });
 * console.log(`Connected clients: ${wsServer.getClientCount()}`);
 * await wsServer.stop();
 * ```
 *
 * It only wires plugins, which can be reached by its fields; whoever wants another wiring writes it as `main.ts` does.
 * Clients speak the json protocol: they hear the four channels from the start, leave and join them by `unsubscribe`
 * and `subscribe`, and say who they are by `?userId=` or by a token.
 *
 * It differs from the original where that was unsafe: it listens on this machine alone unless told otherwise, and only
 * the server publishes on `queries`, `tables` and `notifications`.
 *
 * @module
 */

import { type AnyPlugin, type ApiOf, checkOptions, type Plugin, Server } from "../../core/mod.ts";
import { type Access, auth, type AuthOptions } from "../auth.ts";
import { type Channels, channels } from "../channels.ts";
import { type Presence, presence } from "../presence.ts";
import { type Channel, type Json, json, type MessageData, type MessageType } from "../protocols/json.ts";
import { rateLimits } from "../rate_limits.ts";
import { type SignInConfig, signInOptions } from "./shared/sign_in.ts";
import {
  type QueryCancelledData,
  type QueryCompleteData,
  type QueryErrorData,
  type QueryProgressData,
  type QueryStartedData,
  type SqlEvents,
  sqlEvents,
  type SqlEventsOptions,
  type TableEventData,
} from "../sql_events.ts";

export type * from "../protocols/json/messages.ts";
export type { SignInConfig } from "./shared/sign_in.ts";

/** Options of {@linkcode createWebSocketServer}. */
export interface WebSocketServerConfig extends SignInConfig {
  /** The port to listen on, 0 for any; `false` does not listen, for use within another server. @default {3001} */
  port?: number | false;
  /** Where clients connect. @default {"/ws"} */
  path?: string;
  /** Milliseconds between heartbeats, and between pings that find clients which are gone. @default {30000} */
  heartbeatInterval?: number;
  /** Connections at once. @default {100} */
  maxConnections?: number;
  /** Whether to listen with TLS. @default {false} */
  enableWss?: boolean;
  /** The file with the certificate, in PEM. */
  wssCertPath?: string;
  /** The file with its key, in PEM. */
  wssKeyPath?: string;
  /** The channels that every client hears from the start. @default {all four} */
  autoSubscribe?: readonly Channel[];
  /** A database whose tables are followed, and that `sqlEvents` runs queries in: `persistence({ path })`. */
  store?: Plugin<NonNullable<SqlEventsOptions["store"]>>;
}

/** A client, by its id or by what has one. */
export type ClientRef = string | { readonly id: string };

/** A message to be sent: all of an envelope but its id and its time. */
export interface OutgoingMessage<Type extends MessageType> {
  /** What kind of message it is. */
  readonly type: Type;
  /** The channel it is about. */
  readonly channel: string;
  /** What it carries. */
  readonly data: MessageData[Type];
}

/** Who is connected. */
export interface ClientInfo {
  /** Its id, as its `connection:ack` told it. */
  readonly id: string;
  /** Empty for somebody anonymous. */
  readonly userId: string;
  /** Its address. */
  readonly ip: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  /** What it hears. */
  readonly subscriptions: readonly string[];
}

const CHANNELS: readonly Channel[] = ["queries", "tables", "notifications", "collaboration"];

/** Whatever else the app allows: what the server says here, nobody else does. */
const serverOnly: NonNullable<AuthOptions["rule"]> = ({ verb, resource }) =>
  verb === "write" && ["queries", "tables", "notifications"].includes(resource) ? false : undefined;

/** Channels, presence, SQL events and the json protocol as one object. */
export class WebSocketServer {
  /** The plugins by name, for all that has no method here. */
  readonly channels: Channels;
  /** Who is where. */
  readonly presence: Presence;
  /** Runs queries that everybody hears of. */
  readonly sqlEvents: SqlEvents;
  /** Sign-in. */
  readonly access: Access;
  readonly #server: Server;
  readonly #json: Json;
  readonly #path: string;
  #starting: Promise<void> | undefined;

  /** Puts the plugins together; opens nothing. */
  constructor(config: WebSocketServerConfig = {}) {
    const { port = 3001, host = "127.0.0.1", path = "/ws", heartbeatInterval = 30_000 } = config;
    const { maxConnections = 100, autoSubscribe = CHANNELS, store } = config;
    const check = checkOptions("websocket_server");
    check.positiveInteger("heartbeatInterval", heartbeatInterval);
    check.positiveInteger("maxConnections", maxConnections);
    const server = this.#server = new Server({
      port,
      hostname: host,
      tls: tlsOf(config),
      maxConnections,
      maxConnectionsPerIp: maxConnections,
      pingIntervalMs: heartbeatInterval,
      pongTimeoutMs: Math.ceil(heartbeatInterval / 3),
    });
    if (store !== undefined) server.use(store);
    const limits = server.use(rateLimits({ limits: { connectionsPerIp: maxConnections } }));
    const signIn = { ...signInOptions("websocket_server", config), rule: serverOnly };
    const access = this.access = server.use(auth({ limits: limits.signIns, ...signIn }));
    const bus = this.channels = server.use(channels({ defaults: { joinLeaveLimit: maxConnections } }));
    bus.extend(limits.extension);
    const people = this.presence = server.use(presence({ channels: bus }));
    this.sqlEvents = server.use(sqlEvents({ channels: bus, ...(store && { store: store.api }) }));
    const heartbeatMs = heartbeatInterval;
    const spoken = { presence: people, access, limits, path, heartbeatMs, autoSubscribe };
    this.#json = server.use(json({ channels: bus, ...spoken }));
    this.#path = path;
  }

  /** Adds a plugin of one's own, and gives its API; only before it starts. */
  use<P extends AnyPlugin>(plugin: P): ApiOf<P> {
    return this.#server.use(plugin);
  }

  /** Starts, and resolves when clients can connect; where it has begun already, it is waited for. */
  start(): Promise<void> {
    return this.#starting ??= this.#server.start();
  }

  /** Tells everybody, closes everything. */
  stop(): Promise<void> {
    this.#starting?.catch(() => {}); // it may not have been done with starting, which then fails
    return this.#server.stop();
  }

  /** Where clients connect: `ws://127.0.0.1:3001/ws`. */
  get url(): string {
    return this.#server.address.url.replace(/^http/, "ws") + this.#path;
  }

  /** Answers a request within another server; see {@linkcode integrateWithServe}. */
  get fetch(): Server["fetch"] {
    return this.#server.fetch;
  }

  /** How many clients are connected. */
  getClientCount(): number {
    return this.#json.clientCount();
  }

  /** Who is connected. */
  getClients(): ClientInfo[] {
    return Array.from(this.channels.clients.values(), ({ id, identity, conn, subscriptions }) => ({
      id,
      userId: identity.user,
      ip: conn.ip,
      connectedAt: conn.openedAt,
      subscriptions: [...subscriptions.keys()],
    }));
  }

  /** Tells that a query was started. */
  notifyQueryStarted(data: QueryStartedData): void {
    this.sqlEvents.notifyQueryStarted(data);
  }

  /** Tells how far a query is. */
  notifyQueryProgress(data: QueryProgressData): void {
    this.sqlEvents.notifyQueryProgress(data);
  }

  /** Tells that a query has ended well. */
  notifyQueryComplete(data: QueryCompleteData): void {
    this.sqlEvents.notifyQueryComplete(data);
  }

  /** Tells that a query has failed. */
  notifyQueryError(data: QueryErrorData): void {
    this.sqlEvents.notifyQueryError(data);
  }

  /** Tells that a query was cancelled. */
  notifyQueryCancelled(data: QueryCancelledData): void {
    this.sqlEvents.notifyQueryCancelled(data);
  }

  /** Tells that a table was created. */
  notifyTableCreated(data: TableEventData): void {
    this.sqlEvents.notifyTableCreated(data);
  }

  /** Tells that a table was altered. */
  notifyTableModified(data: TableEventData): void {
    this.sqlEvents.notifyTableModified(data);
  }

  /** Tells that a table was dropped. */
  notifyTableDropped(data: TableEventData): void {
    this.sqlEvents.notifyTableDropped(data);
  }

  /** Sends a message to every client but one, whatever they are subscribed to. Returns the number of receivers. */
  broadcast<Type extends MessageType>(message: OutgoingMessage<Type>, exclude?: ClientRef): number {
    return this.#json.broadcast(message, exclude && idOf(exclude));
  }

  /** Sends a message to a channel's subscribers; resolves to their number. */
  broadcastToChannel<Type extends MessageType>(
    channel: string,
    message: Omit<OutgoingMessage<Type>, "channel"> & { readonly channel?: string },
  ): Promise<number> {
    return this.#json.broadcastToChannel(channel, message);
  }

  /** Subscribes a client; resolves to whether there is one. */
  subscribeClient(client: ClientRef, channel: string): Promise<boolean> {
    return this.#json.subscribeClient(idOf(client), channel);
  }

  /** Ends a client's subscription; `false` if there was none. */
  unsubscribeClient(client: ClientRef, channel: string): boolean {
    return this.#json.unsubscribeClient(idOf(client), channel);
  }
}

/** Makes such a server and starts it; `start` tells when it listens, or why it cannot. */
export function createWebSocketServer(config?: WebSocketServerConfig): WebSocketServer {
  const server = new WebSocketServer(config);
  server.start();
  return server;
}

/** A Hono app, as far as it matters here. */
export interface HonoApp {
  /** Adds a handler for a path. */
  all(
    path: string,
    handler: (c: { readonly req: { readonly raw: Request }; readonly env: unknown }) => Promise<Response>,
  ): unknown;
}

/** What can be said of a server within another one; that one has the port, the address and TLS. */
export type MountedConfig = Omit<
  WebSocketServerConfig,
  "port" | "path" | "enableWss" | "wssCertPath" | "wssKeyPath"
>;

/**
 * Puts such a server into a Hono app.
 *
 * ```ts no-assert
 * import { Hono } from "@hono/hono";
 * import { integrateWithHono } from "@plugboard/server/websocket_server";
 *
 * const app = new Hono();
 * app.get("/", (c) => c.text("the app's own"));
 * const wsServer = integrateWithHono({ app, path: "/ws", config: { maxConnections: 100 } });
 *
 * const http = Deno.serve({ port: 0, hostname: "127.0.0.1" }, app.fetch);
 * await http.shutdown();
 * await wsServer.stop();
 * ```
 */
export function integrateWithHono(
  { app, path = "/ws", config }: { app: HonoApp; path?: string; config?: MountedConfig },
): WebSocketServer {
  const server = createWebSocketServer({ ...config, path, port: false });
  app.all(path, ({ req, env }) => server.fetch(req.raw, env as Deno.ServeHandlerInfo | undefined));
  return server;
}

/**
 * Puts such a server in front of a plain `Deno.serve` handler, which gets all that is not for it.
 *
 * ```ts no-assert
 * import { integrateWithServe } from "@plugboard/server/websocket_server";
 *
 * const { wsServer, handler } = integrateWithServe({ handler: () => new Response("the app's own"), path: "/ws" });
 *
 * const http = Deno.serve({ port: 0, hostname: "127.0.0.1" }, handler);
 * await http.shutdown();
 * await wsServer.stop();
 * ```
 */
export function integrateWithServe(
  { handler, path = "/ws", config }: { handler: Deno.ServeHandler; path?: string; config?: MountedConfig },
): { wsServer: WebSocketServer; handler: Deno.ServeHandler } {
  const wsServer = createWebSocketServer({ ...config, path, port: false });
  return {
    wsServer,
    handler: (request, info) =>
      new URL(request.url).pathname === path ? wsServer.fetch(request, info) : handler(request, info),
  };
}

function idOf(client: ClientRef): string {
  return typeof client === "string" ? client : client.id;
}

function tlsOf({ enableWss = false, wssCertPath = "", wssKeyPath = "" }: WebSocketServerConfig) {
  if (!enableWss) return undefined;
  const check = checkOptions("websocket_server");
  check.that(wssCertPath !== "", "wssCertPath", "the file with the certificate", wssCertPath);
  check.that(wssKeyPath !== "", "wssKeyPath", "the file with its key", wssKeyPath);
  return { certFile: wssCertPath, keyFile: wssKeyPath };
}
