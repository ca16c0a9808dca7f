import { type AnyPlugin, type ApiOf, checkOptions, sayAtTerminal, Server } from "../../../core/mod.ts";
import { type Access, auth, type AuthOptions } from "../../auth.ts";
import { type Channels, channels } from "../../channels.ts";
import { type Presence, presence } from "../../presence.ts";
import { type Channel, type Json, json, type MessageData, type MessageType } from "../../protocols/json.ts";
import { rateLimits } from "../../rate_limits.ts";
import { type SqlEvents, sqlEvents } from "../../sql_events.ts";
import { signInOptions } from "../shared/sign_in.ts";
import { tlsOf, type WebSocketServerConfig } from "./config.ts";

/** A client id, or an object that has one. */
export type ClientRef = string | { readonly id: string };

/** A message to send: an envelope without its id and timestamp. */
export interface OutgoingMessage<Type extends MessageType> {
  /** The message type. */
  readonly type: Type;
  /** The channel. */
  readonly channel: string;
  /** The payload. */
  readonly data: MessageData[Type];
}

/** A connected client. */
export interface ClientInfo {
  /** The client id, as sent in its `connection:ack`. */
  readonly id: string;
  /** The user id; empty for an anonymous client. */
  readonly userId: string;
  /** The IP address. */
  readonly ip: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  /** The channels it is subscribed to. */
  readonly subscriptions: readonly string[];
}

const CHANNELS: readonly Channel[] = ["queries", "tables", "notifications", "collaboration"];

/** Denies clients to publish on the channels that belong to the server. */
const serverOnly: NonNullable<AuthOptions["rule"]> = ({ verb, resource }) =>
  verb === "write" && ["queries", "tables", "notifications"].includes(resource) ? false : undefined;

/** Channels, presence, SQL events and the json protocol as one object. */
export class WebSocketServer {
  /** Channels. */
  readonly channels: Channels;
  /** Presence. */
  readonly presence: Presence;
  /** Runs queries and announces them. */
  readonly sqlEvents: SqlEvents;
  /** Sign-in. */
  readonly access: Access;
  /** Announces that a query has started. */
  readonly notifyQueryStarted: SqlEvents["notifyQueryStarted"];
  /** Announces the progress of a query. */
  readonly notifyQueryProgress: SqlEvents["notifyQueryProgress"];
  /** Announces that a query has completed. */
  readonly notifyQueryComplete: SqlEvents["notifyQueryComplete"];
  /** Announces that a query has failed. */
  readonly notifyQueryError: SqlEvents["notifyQueryError"];
  /** Announces that a query was cancelled. */
  readonly notifyQueryCancelled: SqlEvents["notifyQueryCancelled"];
  /** Announces that a table was created. */
  readonly notifyTableCreated: SqlEvents["notifyTableCreated"];
  /** Announces that a table was altered. */
  readonly notifyTableModified: SqlEvents["notifyTableModified"];
  /** Announces that a table was dropped. */
  readonly notifyTableDropped: SqlEvents["notifyTableDropped"];
  readonly #server: Server;
  readonly #json: Json;
  readonly #path: string;
  readonly #listens: boolean;
  #starting: Promise<void> | undefined;

  /** Wires the plugins. Opens nothing. */
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
    const bus = this.channels = server.use(
      channels({ limits, defaults: { joinLeaveLimit: maxConnections } }),
    );
    const people = this.presence = server.use(presence({ channels: bus }));
    this.sqlEvents = server.use(sqlEvents({ channels: bus, ...(store && { store: store.api }) }));
    ({
      notifyQueryStarted: this.notifyQueryStarted,
      notifyQueryProgress: this.notifyQueryProgress,
      notifyQueryComplete: this.notifyQueryComplete,
      notifyQueryError: this.notifyQueryError,
      notifyQueryCancelled: this.notifyQueryCancelled,
      notifyTableCreated: this.notifyTableCreated,
      notifyTableModified: this.notifyTableModified,
      notifyTableDropped: this.notifyTableDropped,
    } = this.sqlEvents);
    const services = { channels: bus, presence: people, access, limits };
    this.#json = server.use(json({ ...services, path, autoSubscribe, heartbeatMs: heartbeatInterval }));
    this.#path = path;
    this.#listens = port !== false;
  }

  /** Adds a plugin and returns its API. Throws after the start. */
  use<P extends AnyPlugin>(plugin: P): ApiOf<P> {
    return this.#server.use(plugin);
  }

  /** Starts the server, once; resolves when it listens. */
  start(): Promise<void> {
    return this.#starting ??= this.#start();
  }

  /** Disconnects all clients and stops. */
  stop(): Promise<void> {
    this.#starting?.catch(() => {}); // a start in progress rejects when the server stops
    return this.#server.stop();
  }

  async #start(): Promise<void> {
    await this.#server.start();
    if (this.#listens) sayAtTerminal(`WebSocketServer is at ${this.url}. Press Ctrl-C to stop.`);
  }

  /** The URL clients connect to: `ws://127.0.0.1:3001/ws`. */
  get url(): string {
    return this.#server.address.url.replace(/^http/, "ws") + this.#path;
  }

  /** Handles a request of another server; see `integrateWithServe`. */
  get fetch(): Server["fetch"] {
    return this.#server.fetch;
  }

  /** Returns the number of connected clients. */
  getClientCount(): number {
    return this.#json.clientCount();
  }

  /** Returns the connected clients. */
  getClients(): ClientInfo[] {
    return Array.from(this.channels.clients.values(), ({ id, identity, conn, subscriptions }) => ({
      id,
      userId: identity.user,
      ip: conn.ip,
      connectedAt: conn.openedAt,
      subscriptions: [...subscriptions.keys()],
    }));
  }

  /** Sends a message to all clients except one, whatever their subscriptions. Returns the number of receivers. */
  broadcast<Type extends MessageType>(message: OutgoingMessage<Type>, exclude?: ClientRef): number {
    return this.#json.broadcast(message, exclude && idOf(exclude));
  }

  /** Sends a message to a channel's subscribers. Resolves to the number of receivers. */
  broadcastToChannel<Type extends MessageType>(
    channel: string,
    message: Omit<OutgoingMessage<Type>, "channel"> & { readonly channel?: string },
  ): Promise<number> {
    return this.#json.broadcastToChannel(channel, message);
  }

  /** Subscribes a client. Resolves to `false` if it is not connected. */
  subscribeClient(client: ClientRef, channel: string): Promise<boolean> {
    return this.#json.subscribeClient(idOf(client), channel);
  }

  /** Ends a client's subscription. Resolves to `false` if there was none. */
  unsubscribeClient(client: ClientRef, channel: string): Promise<boolean> {
    return this.#json.unsubscribeClient(idOf(client), channel);
  }
}

function idOf(client: ClientRef): string {
  return typeof client === "string" ? client : client.id;
}
