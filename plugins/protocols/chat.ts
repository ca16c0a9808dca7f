/**
 * The chat: rooms in which people talk, with nothing but a WebSocket.
 *
 * Somebody connects to `/ws/<room>/<name>`, sends plain text, and gets `{ Type, RoomId, Username, Content, Timestamp }`:
 * a `system` welcome, and `join`, `leave` and `message` of the others. `GET /rooms` lists rooms, `POST /rooms` makes one.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { chat } from "@plugboard/server/chat";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * const talk = server.use(chat({ channels: bus, history: { onJoin: 20 } }));
 * await server.start();
 * console.log(talk.rooms().map(({ name }) => name)); // ["General Chat"]
 * await server.stop();
 * ```
 *
 * Beyond the seed: messages are kept (`history`), rooms survive a restart (`store`), names can be unique in a room,
 * and clients may send `/typing` and `/msg Bob hello` where the options say so. Names with invisible characters, and
 * the name `System`, are refused. A message that could not be sent is answered with an `error`.
 *
 * With several nodes, messages reach everybody; the counts, unique names and private messages are those of one node.
 *
 * @module
 */

import {
  checkOptions,
  type Endpoint,
  type Host,
  type MaybePromise,
  PlugboardError,
  type Plugin,
  refusal,
  systemClock,
  type Upgrade,
} from "../../core/mod.ts";
import type { Access } from "../auth/types.ts";
import type { Channels, Identity } from "../channels.ts";
import type { RateLimits } from "../rate_limits.ts";
import type { Trace } from "../trace.ts";
import { NAMESPACE, namespaceOptions } from "./chat/channels.ts";
import { chatHistory, type HistoryOptions, prepareHistory } from "./chat/history.ts";
import { messageWriter } from "./chat/messages.ts";
import { userNameErrors } from "./chat/names.ts";
import { type ChatRoom, roomManager, type RoomStore } from "./chat/rooms.ts";
import { addRoutes, RESOURCE } from "./chat/routes.ts";
import { type ChatService, chatService } from "./chat/service.ts";

export type { HistoryOptions } from "./chat/history.ts";
export type { ChatMessage, ChatMessageType } from "./chat/messages.ts";
export type { ChatRoom, RoomStore } from "./chat/rooms.ts";

/** Options of {@linkcode chat}. */
export interface ChatOptions {
  /** What carries the messages. */
  channels: Pick<Channels, "addNamespace" | "connect" | "publish" | "history">;
  /**
   * Signs clients in: whoever has proven a user id is called by it. To see the list of rooms one has to be permitted
   * `read:chat`, to make one `write:chat`; to be in a room `read:chat:ROOMID`, to speak there `write:chat:ROOMID`.
   */
  access?: Pick<Access, "identityOf" | "refusal" | "requireAuth" | "allowsOrigin"> | undefined;
  /** Holds clients to how often they may send. */
  limits?: Pick<RateLimits, "spend" | "answerWith"> | undefined;
  /** Traces every operation. */
  trace?: Pick<Trace, "traced"> | undefined;
  /** What stands before the paths: with `/chat`, clients connect to `/chat/ws/<room>/<name>`. @default {""} */
  path?: string;
  /** Keeps messages, for those who join and to be read. @default {they are not kept} */
  history?: HistoryOptions;
  /** Keeps rooms over a restart. */
  store?: RoomStore;
  /** Whether a name can be had only once in a room. @default {false} */
  uniqueNames?: boolean;
  /** Whether clients may send `/typing`, to be shown as typing. @default {false} */
  typing?: boolean;
  /** Whether clients may send `/msg Bob hello`, to Bob alone. @default {false} */
  privateMessages?: boolean;
  /** Who may make rooms. @default {everybody whom `access` permits it} */
  mayCreate?: (request: Request, ip: string) => MaybePromise<boolean>;
  /** Rooms at most. @default {1000} */
  maxRooms?: number;
  /** Connections in one room. @default {1000} */
  maxUsersPerRoom?: number;
  /** Bytes of one message. @default {4096} */
  maxMessageBytes?: number;
}

/** What the chat offers to the app. */
export interface Chat {
  /** All rooms, by name. */
  rooms(): ChatRoom[];
  /** Makes a room; rejects if its name is unfit or taken. */
  createRoom(name: string): Promise<ChatRoom>;
  /** Says something in a room, as the system. */
  announce(roomId: string, content: string): Promise<void>;
}

/** Lets people talk in rooms. */
export function chat(options: ChatOptions): Plugin<Chat> {
  const { channels, access, limits, trace, path = "", mayCreate = () => true } = options;
  const { uniqueNames = false, typing = false, privateMessages = false, store } = options;
  const { maxRooms = 1_000, maxUsersPerRoom = 1_000, maxMessageBytes = 4_096 } = options;
  const check = checkOptions("chat");
  check.that(path === "" || /^\/.*[^/]$/.test(path), "path", "empty or a path such as /chat", path);
  for (const [name, value] of Object.entries({ maxRooms, maxUsersPerRoom, maxMessageBytes })) {
    check.positiveInteger(name, value);
  }
  const kept = options.history && prepareHistory(options.history);

  let host: Host | undefined;
  const clock = () => host?.clock ?? systemClock;
  const now = () => clock().now();
  const failed = (what: string, error: unknown) => host?.log.error(what, { error });
  const traced: Trace["traced"] = (name, service) => trace?.traced(name, service) ?? service;

  const messages = messageWriter(now);
  const rooms = traced(
    "ChatRoomManager",
    roomManager({ store, maxRooms, maxUsersPerRoom, uniqueNames, now }),
  );
  const history = kept && chatHistory(channels, kept);
  const service: ChatService = traced(
    "ChatService",
    chatService({
      channels,
      rooms,
      messages,
      history,
      typing,
      privateMessages,
      spend(conn, roomId) {
        if (access?.identityOf(conn)?.can("write", resourceOf(roomId)) === false) {
          throw new PlugboardError("permission_denied", "Permission denied");
        }
        limits?.spend(conn, "publish");
      },
      stopping: () => host?.state !== "ready",
      failed,
      self: () => service,
    }),
  );

  const endpoint: Endpoint = {
    name: "chat",
    path: `${path}/ws/:roomId/:username`,
    maxMessageBytes,
    upgrade(upgrade) {
      const { roomId = "", username = "" } = upgrade.params;
      const errors = userNameErrors(username);
      if (roomId.length > MAX_ROOM_ID) errors.push("No room has so long an id");
      if (errors.length > 0) return refusal(400, "bad_request", errors.join(". "));
      const refused = access?.refusal(upgrade, "read", resourceOf(roomId));
      if (refused !== undefined) return refused;
      const { user } = proven(upgrade) ?? { user: username };
      if (user !== username) return refusal(403, "permission_denied", "The name is not that of your sign-in");
    },
    open(conn, upgrade) {
      const { roomId = "", username = "" } = upgrade.params;
      const identity = proven(upgrade) ?? STRANGER;
      return service.handleWebSocketConnection({ roomId, username, identity, conn });
    },
  };

  /** Who a client has proven to be, if anybody: on an open server everybody is nobody in particular. */
  function proven(upgrade: Upgrade): Identity | undefined {
    const identity = access?.identityOf(upgrade);
    return identity === undefined || identity.anonymous || identity.user === "" ? undefined : identity;
  }

  return {
    name: "chat",
    endpoints: [endpoint],
    api: {
      rooms: () => rooms.getAllRooms(),
      async createRoom(name) {
        const errors = rooms.validateRoomName(name);
        if (errors.length > 0) throw new PlugboardError("bad_request", errors.join(". "));
        return await rooms.createRoom(name);
      },
      announce: (roomId, content) =>
        service.broadcastToRoom({ roomId, message: messages.system("system", roomId, content) }),
    },
    async start(given) {
      host = given;
      await channels.addNamespace(NAMESPACE, namespaceOptions(kept));
      limits?.answerWith(endpoint, (conn, _message, { message }) => {
        conn.send(JSON.stringify(messages.system("error", "", message)));
      });
      await rooms.loadRooms();
    },
    routes: (app) => addRoutes(app, { base: path, access, rooms, history, mayCreate, clock, failed }),
  };
}

/** What permissions call a room. */
const resourceOf = (roomId: string) => `${RESOURCE}:${roomId}`;

/** Longer than any id that the chat makes. */
const MAX_ROOM_ID = 64;

/** Somebody whose name is only what they say. Clients of the chat cannot ask the channels for anything. */
const STRANGER: Identity = { user: "", can: () => false, anonymous: true };
