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
  closeCode,
  type Connection,
  type Endpoint,
  type Host,
  PlugboardError,
  type Plugin,
  systemClock,
} from "../../core/mod.ts";
import type { Access } from "../auth.ts";
import type { Channels } from "../channels.ts";
import type { Presence } from "../presence.ts";
import type { Rpc } from "../rpc.ts";
import { anybody } from "../shared/identity.ts";
import { cursors } from "./json/cursors.ts";
import { encoder, write } from "./json/envelope.ts";
import type { MessageData, MessageType } from "./json/messages.ts";
import { capabilities, type JsonServices, JsonSession } from "./json/session.ts";

export type * from "./json/messages.ts";

/** Options of {@linkcode json}. */
export interface JsonOptions {
  /** What clients subscribe and publish to. */
  channels: Pick<Channels, "connect" | "publish" | "clients" | "subscribeClients" | "unsubscribeClients">;
  /** Who is in a channel; without it clients cannot ask, and counts are of clients. */
  presence?: Pick<Presence, "list" | "count"> | undefined;
  /** The methods clients can call. */
  rpc?: Pick<Rpc, "call"> | undefined;
  /** Signs clients in; without it everybody may do everything. */
  access?: Pick<Access, "connect"> | undefined;
  /** Where it is spoken. @default {"/ws"} */
  path?: string;
  /** How often every client gets a heartbeat. @default {30000} */
  heartbeatMs?: number;
  /** How often a client's cursor is passed on at most; of the moves between, the latest counts. @default {50} */
  cursorMs?: number;
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
  /** Ends a client's subscription; `false` if there was none. */
  unsubscribeClient(client: string, channel: string): boolean;
  /** How many clients are connected here. */
  clientCount(): number;
}

const unauthorized = closeCode(4401, "unauthorized");
const internalError = closeCode(3004, "internal server error");

/** Speaks JSON envelopes. */
export function json(options: JsonOptions): Plugin<Json> {
  const { channels, presence, rpc, access, path = "/ws", heartbeatMs = 30_000, cursorMs = 50 } = options;
  const check = checkOptions("json");
  check.positiveInteger("heartbeatMs", heartbeatMs);
  check.positiveInteger("cursorMs", cursorMs);
  check.that(path.startsWith("/"), "path", "a path that begins with /", path);

  let host: Host | undefined;
  let endHeartbeat: (() => void) | undefined;
  const own = new Set<Connection>();
  const format = encoder((channel) => presence?.count(channel).clients ?? own.size);

  const services: JsonServices = {
    presence,
    rpc,
    cursors: cursors(() => host?.clock ?? systemClock, cursorMs, (client, channel, data) => {
      const { user } = client.identity;
      const cursor = { ...data as object, userId: user, clientId: client.id };
      channels.publish(channel, cursor, { tags: { type: "user:cursor" }, ephemeral: true, except: client.id })
        .catch((error) => host?.log.warn("a cursor was not passed on", { channel, error }));
    }),
    async connect(conn) {
      const identity = access === undefined ? anybody : (await access.connect(conn)).identity;
      if (!conn.open) throw new PlugboardError("closed", "The connection has ended");
      return channels.connect(conn, { identity, encoder: format });
    },
    greeting: (client) => ({
      clientId: client.id,
      userId: client.identity.user,
      capabilities,
      heartbeatInterval: heartbeatMs,
    }),
    closeCodeFor: (error) => error instanceof PlugboardError ? unauthorized : internalError,
  };

  const endpoint: Endpoint = {
    name: "json",
    path,
    format,
    open(conn) {
      own.add(conn);
      return new JsonSession(conn, services);
    },
  };

  return {
    name: "json",
    endpoints: [endpoint],
    api: {
      broadcast({ type, channel, data }, except) {
        const text = write(type, channel, data);
        return [...own].filter((conn) => conn.id !== except && conn.send(text)).length;
      },
      async broadcastToChannel(channel, { type, data }) {
        return (await channels.publish(channel, data, { tags: { type } })).receivers;
      },
      subscribeClient: async (client, channel) => await channels.subscribeClients({ client }, channel) > 0,
      unsubscribeClient: (client, channel) => channels.unsubscribeClients({ client }, channel) > 0,
      clientCount: () => own.size,
    },
    start(given) {
      host = given;
      endHeartbeat = given.clock.every(heartbeatMs, () => {
        const text = write("heartbeat", "", { connectedClients: own.size });
        for (const conn of own) conn.send(text);
      });
    },
    stop() {
      endHeartbeat?.();
      services.cursors.stop();
    },
    close: (conn) => void own.delete(conn),
  };
}
