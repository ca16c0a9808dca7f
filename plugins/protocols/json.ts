/**
 * The json protocol: channels, presence, live queries and calls for people with nothing but `new WebSocket`.
 *
 * Every message is `{ id, timestamp, type, channel, data }`; a client may leave out all but the type:
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
import type { Channels } from "../channels.ts";
import type { Presence } from "../presence.ts";
import type { RateLimits, RefusedMessage } from "../rate_limits.ts";
import type { Rpc } from "../rpc.ts";
import { anonymousSignIn } from "../shared/identity.ts";
import { errorData } from "./json/codes.ts";
import { cursors, type Move } from "./json/cursors.ts";
import { encoder, read, write } from "./json/envelope.ts";
import type { ClientMessage, ClientMessageType, MessageData, MessageType } from "./json/messages.ts";
import { capabilitiesOf, expiry, type JsonServices, JsonSession, requestFor } from "./json/session.ts";

export type * from "./json/messages.ts";

/** Options of {@linkcode json}. */
export interface JsonOptions {
  /** What clients subscribe and publish to. */
  channels: Pick<
    Channels,
    "connect" | "clientOf" | "publish" | "subscribeClients" | "unsubscribeClients" | "namespaceOf"
  >;
  /** Who is in a channel; without it clients cannot ask, and counts are of all clients. */
  presence?: Pick<Presence, "list"> | undefined;
  /** The methods clients can call. */
  rpc?: Pick<Rpc, "call"> | undefined;
  /** Signs clients in; without it everybody may do everything. */
  access?: Pick<Access, "connect" | "refresh" | "signsInByMessage"> | undefined;
  /** Tells of messages that are refused for being too many, so that they are answered. */
  limits?: Pick<RateLimits, "answerWith"> | undefined;
  /** Channels that every client hears from the start, if it may. @default {none} */
  autoSubscribe?: readonly string[];
  /** Where it is spoken; one path or several. @default {"/ws"} */
  path?: string | readonly string[];
  /** How often every client gets a heartbeat. @default {30000} */
  heartbeatMs?: number;
  /** How often a client's cursor is passed on at most; of the moves between, the latest counts. @default {50} */
  cursorMs?: number;
  /** Bytes of a message; one with more gets an error, one with sixteen times as many ends the connection. @default {65536} */
  maxMessageBytes?: number;
}

/** What json offers to the app. */
export interface Json {
  /** Sends a message to every client of this protocol, but for one. Returns the number of receivers. */
  broadcast<Type extends MessageType>(
    message: { type: Type; channel: string; data: MessageData[Type] },
    except?: string,
  ): number;
  /** Sends a message to a channel's subscribers. Resolves to the number of receivers. */
  broadcastToChannel<Type extends MessageType>(
    channel: string,
    message: { type: Type; data: MessageData[Type] },
  ): Promise<number>;
  /** Subscribes a client, by its id. Resolves to whether there is one. */
  subscribeClient(client: string, channel: string): Promise<boolean>;
  /** Ends a client's subscription; resolves to `false` if there was none. */
  unsubscribeClient(client: string, channel: string): Promise<boolean>;
  /** How many clients are connected here. */
  clientCount(): number;
}

/** Speaks JSON envelopes. */
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
  /** Nobody else hears what is said to all. */
  const signedIn = new Set<Connection>();
  const format = encoder((channel) =>
    presence === undefined ? signedIn.size : people(presence.list(channel))
  );
  const framing: Framing = { accepts: "any", format }; // bytes are refused by an answer

  const services: JsonServices = {
    presence,
    rpc,
    get queries() {
      return hasLiveQueries(channels);
    },
    maxMessageBytes,
    cursors: cursors(() => host?.clock ?? systemClock, cursorMs, passOn),
    async connect(conn, { url }, { expiring, refreshed }) {
      const user = access && nameIn(url);
      const { identity, channels: granted } = await access?.connect(conn, { user, expiring }) ??
        anonymousSignIn;
      if (!conn.open) throw new PlugboardError("closed", "The connection has ended");
      const subscriptions = new Map(autoSubscribe.map((channel) => [channel, requestFor(channel)]));
      for (const [channel, request] of granted) {
        subscriptions.set(channel, { ...requestFor(channel), ...request, serverSide: true });
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

  /** In the client's name, so that the same rules and limits hold as for what it publishes. */
  async function passOn({ client, channel, data, refuse }: Move): Promise<number> {
    const cursor = { ...data, userId: client.identity.user, clientId: client.id };
    const tags = { type: "user:cursor" satisfies MessageType };
    try {
      const how = { tags, ephemeral: true, except: client.id };
      return (await client.publish(channel, cursor, how)).receivers;
    } catch (error) {
      refuse(error);
      return 0;
    }
  }

  /** The message was refused unread; it is looked at for its id alone, without which nobody knows what was refused. */
  const answerTooMany: RefusedMessage = (conn, message, error) => {
    let refused: Pick<ClientMessage, "id" | "channel"> = { id: undefined, channel: "" };
    try {
      refused = read(message, maxMessageBytes);
    } catch { /* it was no message anyway */ }
    conn.send(write("error", refused.channel, errorData(error), refused.id));
  };

  const endpoint: Endpoint = {
    name: "json",
    path,
    maxMessageBytes: maxMessageBytes * 16,
    framing: () => framing,
    open: (conn, upgrade) => new JsonSession(conn, upgrade, services),
  };

  return {
    name: "json",
    endpoints: [endpoint],
    api: {
      broadcast({ type, channel, data }, except) {
        const text = write(type, channel, data);
        return [...signedIn].filter((conn) => conn.id !== except && conn.send(text)).length;
      },
      async broadcastToChannel(channel, { type, data }) {
        return (await channels.publish(channel, data, { tags: { type } })).receivers;
      },
      async subscribeClient(client, channel) {
        if (channels.clientOf(client)?.subscriptions.has(channel)) return true;
        return await channels.subscribeClients({ client }, channel) > 0;
      },
      unsubscribeClient: async (client, channel) =>
        await channels.unsubscribeClients({ client }, channel) > 0,
      clientCount: () => signedIn.size,
    },
    start(given) {
      host = given;
      access?.signsInByMessage(endpoint);
      limits?.answerWith(endpoint, answerTooMany);
      endHeartbeat = given.clock.every(heartbeatMs, () => {
        const text = write("heartbeat", "", { connectedClients: signedIn.size });
        for (const conn of signedIn) conn.send(text);
      });
    },
    stop() {
      endHeartbeat?.();
      services.cursors.stop();
    },
    close: (conn) => void signedIn.delete(conn),
  };
}

/** Live queries bring a namespace along; without them `live:` is a name like any other. */
function hasLiveQueries(channels: Pick<Channels, "namespaceOf">): boolean {
  try {
    return channels.namespaceOf("live:").name === "live";
  } catch {
    return false; // only known namespaces are allowed, and this is none
  }
}

/** How a client calls itself, by `?userId=`: that counts only where nobody has to prove anything. */
function nameIn(url: string): string | undefined {
  const name = new URL(url).searchParams.get("userId") ?? undefined;
  if (name === undefined || name.length <= MAX_NAME_CHARS) return name;
  throw new PlugboardError("bad_request", `A userId may have at most ${MAX_NAME_CHARS} characters`);
}

const MAX_NAME_CHARS = 128;

/** Who has two tabs open is one; of those without a name, each connection is one. */
function people(present: readonly { readonly user: string }[]): number {
  const named = present.filter(({ user }) => user !== "");
  return new Set(named.map(({ user }) => user)).size + present.length - named.length;
}
