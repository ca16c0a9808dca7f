/**
 * The json protocol: channels, presence, live queries and RPC for clients with a plain `WebSocket`.
 *
 * Every message is `{ id, timestamp, type, channel, data }`. A client may leave out everything but the type:
 *
 * ```ts ignore
 * const socket = new WebSocket("ws://localhost:8080/ws");
 * socket.onmessage = ({ data }) => console.log(data);
 * socket.onopen = () => {
 *   socket.send('{"type":"subscribe","channel":"news"}');
 *   socket.send('{"type":"publish","channel":"news","data":{"text":"hello"}}');
 * };
 * ```
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { json } from "@plugboard/server/json";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * server.use(json({ channels: bus }));
 * ```
 *
 * @module
 */

import {
  built,
  checkOptions,
  type Connection,
  type Endpoint,
  type Framing,
  type Host,
  PlugboardError,
  type Plugin,
  systemClock,
} from "../../core/mod.ts";
import type { Access } from "../auth.ts";
import type { Channels, SubscribeRequest } from "../channels.ts";
import type { Presence } from "../presence.ts";
import type { RateLimits, RefusedMessage } from "../rate_limits.ts";
import type { Rpc } from "../rpc.ts";
import { anonymousSignIn } from "../shared/identity.ts";
import { errorData } from "./json/codes.ts";
import { cursors, type Move } from "./json/cursors.ts";
import { decode, encode, encoder } from "./json/envelope.ts";
import type { ClientMessage, ClientMessageType, MessageData, MessageType } from "./json/messages.ts";
import { capabilitiesOf, expiry, type JsonServices, JsonSession, requestFor } from "./json/session.ts";

export type * from "./json/messages.ts";

/** Options of {@linkcode json}. */
export interface JsonOptions {
  /** What clients subscribe and publish to. */
  channels: Pick<
    Channels,
    "connect" | "clientOf" | "publish" | "subscribeClients" | "unsubscribeClients" | "hasNamespace"
  >;
  /** Lists who is in a channel; without it clients cannot ask, and counts include all clients. */
  presence?: Pick<Presence, "list"> | undefined;
  /** The methods that clients can call. */
  rpc?: Pick<Rpc, "call"> | undefined;
  /** Signs clients in; without it everybody may do everything. */
  access?: Pick<Access, "connect" | "refresh" | "signsInByMessage"> | undefined;
  /** Reports messages above the rate limit, so that they get a reply. */
  limits?: Pick<RateLimits, "answerWith"> | undefined;
  /** Channels that every client is subscribed to if it has the permission. @default {none} */
  autoSubscribe?: readonly string[];
  /** One or more paths. @default {"/ws"} */
  path?: string | readonly string[];
  /** How often every client gets a heartbeat. @default {30000} */
  heartbeatMs?: number;
  /** Minimum time between two positions of a client's cursor; the latest counts. @default {50} */
  cursorMs?: number;
  /** Maximum bytes of a message. A larger one gets an error; 16 times as many close the connection. @default {65536} */
  maxMessageBytes?: number;
}

/** What the protocol offers to the app. */
export interface Json {
  /** Sends a message to every client of this protocol except one. Returns the number of receivers. */
  broadcast<Type extends MessageType>(
    message: { type: Type; channel: string; data: MessageData[Type] },
    except?: string,
  ): number;
  /** Sends a message to a channel's subscribers. Resolves to the number of receivers. */
  broadcastToChannel<Type extends MessageType>(
    channel: string,
    message: { type: Type; data: MessageData[Type] },
  ): Promise<number>;
  /** Subscribes a client. Resolves to `false` if there is no client with this id. */
  subscribeClient(client: string, channel: string): Promise<boolean>;
  /** Ends a client's subscription. Resolves to `false` if there was none. */
  unsubscribeClient(client: string, channel: string): Promise<boolean>;
  /** Returns the number of clients on this node. */
  clientCount(): number;
}

/** Speaks the json protocol. */
export function json(options: JsonOptions): Plugin<Json> {
  const { channels, presence, rpc, access, limits, path = "/ws" } = options;
  const { autoSubscribe = [], heartbeatMs = 30_000, cursorMs = 50, maxMessageBytes = 65_536 } = options;
  const check = checkOptions("json");
  check.positiveInteger("heartbeatMs", heartbeatMs);
  check.positiveInteger("cursorMs", cursorMs);
  check.positiveInteger("maxMessageBytes", maxMessageBytes);
  for (const each of [path].flat()) {
    check.that(each.startsWith("/"), "path", "a path that begins with /", each);
  }

  let host: Host | undefined;
  let endHeartbeat: (() => void) | undefined;
  let capabilities: readonly ClientMessageType[] | undefined;
  /** The receivers of broadcasts and heartbeats. */
  const signedIn = new Set<Connection>();
  const format = encoder(() => signedIn.size);
  const framing: Framing = { accepts: "any", format }; // bytes are refused by an answer

  const services: JsonServices = {
    presence,
    rpc,
    get queries() {
      return channels.hasNamespace("live"); // added by live queries when they start
    },
    maxMessageBytes,
    cursors: cursors(() => host?.clock ?? systemClock, cursorMs, publishCursor),
    async connect(conn, { url }, { expiring, refreshed }) {
      const user = access && nameIn(url);
      const { identity, channels: granted } = await access?.connect(conn, { user, expiring }) ??
        anonymousSignIn;
      if (!conn.open) throw new PlugboardError("closed", "The connection has ended");
      const subscriptions = new Map<string, SubscribeRequest>(
        autoSubscribe.map((channel) => [channel, requestFor(channel)]),
      );
      for (const [channel, request] of granted) {
        const grant = { ...requestFor(channel), ...request.grant };
        subscriptions.set(channel, { ...request, grant, serverSide: true });
      }
      return { client: channels.connect(conn, { identity, encoder: format, refreshed }), subscriptions };
    },
    refresh: access && (async (conn, token) => (await access.refresh(conn, token)).identity),
    welcome({ id, conn, identity }) {
      if (conn.open) signedIn.add(conn);
      return {
        clientId: id,
        userId: identity.user,
        capabilities: capabilities ??= capabilitiesOf(services),
        heartbeatInterval: heartbeatMs,
        ...expiry(identity.expiresAt),
      };
    },
    failed: ({ id }, error) => host?.log.error("a client's message failed", { client: id, error }),
  };

  /** Publishes as the client, under the same rules and limits as its other publications. */
  async function publishCursor({ client, channel, data, refuse }: Move): Promise<number> {
    const cursor = { ...data, userId: client.identity.user, clientId: client.id };
    const tags = { type: "user:cursor" satisfies MessageType };
    try {
      const options = { tags, ephemeral: true, except: client.id };
      return (await client.publish(channel, cursor, options)).receivers;
    } catch (error) {
      refuse(error);
      return 0;
    }
  }

  /** The message was refused, but the reply needs its id. */
  const answerTooMany: RefusedMessage = (conn, message, error) => {
    let refused: Pick<ClientMessage, "id" | "channel"> = { id: undefined, channel: "" };
    try {
      refused = decode(message, maxMessageBytes);
    } catch { /* not a message of this protocol */ }
    conn.send(encode("error", refused.channel, errorData(error), refused.id));
  };

  const endpoint: Endpoint = {
    name: "json",
    path,
    maxMessageBytes: maxMessageBytes * 16,
    framing: () => framing,
    open: (conn, upgrade) => new JsonSession(conn, upgrade, services),
  };

  return built({
    name: "json",
    endpoints: [endpoint],
    api: {
      broadcast({ type, channel, data }, except) {
        const text = encode(type, channel, data);
        return [...signedIn].filter((conn) => conn.id !== except && conn.send(text)).length;
      },
      async broadcastToChannel(channel, { type, data }) {
        return (await channels.publish(channel, data, { tags: { type } })).receivers;
      },
      async subscribeClient(client, channel) {
        if (channels.clientOf(client)?.subscriptions.has(channel)) return true;
        return await channels.subscribeClients({ client }, channel) > 0;
      },
      async unsubscribeClient(client, channel) {
        return await channels.unsubscribeClients({ client }, channel) > 0;
      },
      clientCount: () => signedIn.size,
    },
    start(given) {
      host = given;
      access?.signsInByMessage(endpoint);
      limits?.answerWith(endpoint, answerTooMany);
      endHeartbeat = given.clock.every(heartbeatMs, () => {
        const text = encode("heartbeat", "", { connectedClients: signedIn.size });
        for (const conn of signedIn) conn.send(text);
      });
    },
    stop() {
      endHeartbeat?.();
      services.cursors.stop();
    },
    close: (conn) => void signedIn.delete(conn),
  }, options);
}

/** The name that a client gives itself by `?userId=`. It counts only for anonymous clients. */
function nameIn(url: string): string | undefined {
  const name = url.includes("?") ? new URL(url).searchParams.get("userId") ?? undefined : undefined;
  if (name === undefined || name.length <= MAX_NAME_CHARS) return name;
  throw new PlugboardError("bad_request", `A userId may have at most ${MAX_NAME_CHARS} characters`);
}

const MAX_NAME_CHARS = 128;
