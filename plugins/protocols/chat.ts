/**
 * The chat: rooms in which people talk over a plain WebSocket.
 *
 * A client connects to `/ws/<room>/<name>`, sends plain text, and gets `{ Type, RoomId, Username, Content, Timestamp }`:
 * a `system` welcome, and `join`, `leave` and `message` of others. `GET /rooms` lists rooms, `POST /rooms` creates one.
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
 * Beyond the seed: messages are stored (`history`), rooms survive a restart (`store`), names can be unique in a room,
 * and options allow clients to send `/typing` and `/msg Bob hello`. Names with invisible characters and the name
 * `System` are refused. A message that cannot be sent is answered with an `error`.
 *
 * With several nodes, messages reach all of them; counts, unique names and private messages are those of one node.
 *
 * @module
 */

import {
  built,
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
import { isProven, unprovenIdentity } from "../shared/identity.ts";
import { logChannel, NAMESPACE } from "./chat/channels.ts";
import { chatHistory, type HistoryOptions, namespaceOptions, prepareHistory } from "./chat/history.ts";
import { messageWriter } from "./chat/messages.ts";
import { userNameErrors } from "./chat/names.ts";
import { type ChatRoom, roomManager, type RoomStore } from "./chat/rooms.ts";
import { addRoutes, RESOURCE } from "./chat/routes.ts";
import { type ChatService, chatService, roomNotFound } from "./chat/service.ts";

export type { HistoryOptions } from "./chat/history.ts";
export type { ChatMessage, ChatMessageType } from "./chat/messages.ts";
export type { ChatRoom, RoomStore } from "./chat/rooms.ts";

/** What the chat needs of sign-in. */
export type ChatAccess = Pick<
  Access,
  "signsIn" | "identityOf" | "refusal" | "requireAuth" | "requestIdentity" | "allowsOrigin"
>;

/** Options of {@linkcode chat}. */
export interface ChatOptions {
  /** What carries the messages. */
  channels: Pick<Channels, "addNamespace" | "connect" | "publish" | "history" | "removeHistory">;
  /**
   * Signs clients in. A client with a proven user id must use it as its name; if there is a way to sign in, the names of
   * all others begin with `guest-`. Listing rooms requires `read:chat`, creating one and deleting an own one
   * `write:chat`, deleting any one `admin:chat`, entering a room `read:chat:ROOMID`, and sending messages there
   * `write:chat:ROOMID`. Without `access`, only the app deletes rooms.
   */
  access?: ChatAccess | undefined;
  /** Limits the messages of clients. */
  limits?: Pick<RateLimits, "spend" | "answerWith"> | undefined;
  /** Traces every operation. */
  trace?: Pick<Trace, "traced"> | undefined;
  /** The prefix of the paths: with `/chat`, clients connect to `/chat/ws/<room>/<name>`. @default {""} */
  path?: string;
  /** Stores messages, for clients that join and for the REST API. @default {messages are not stored} */
  history?: HistoryOptions;
  /** Stores rooms across restarts. */
  store?: RoomStore;
  /** Whether names are unique in a room. @default {false} */
  uniqueNames?: boolean;
  /** Whether clients may send `/typing`. @default {false} */
  typing?: boolean;
  /** Whether clients may send `/msg Bob hello`, to Bob only. @default {false} */
  privateMessages?: boolean;
  /** Whether a client may create rooms. @default {if `access` allows it} */
  mayCreate?: (request: Request, ip: string) => MaybePromise<boolean>;
  /** Maximum number of rooms. @default {1000} */
  maxRooms?: number;
  /** Maximum number of rooms of one user, or of the clients of one address without a user. @default {a quarter of all} */
  maxRoomsPerClient?: number;
  /** How long a room that a client has created is kept without members. @default {604800000} seven days */
  emptyRoomMs?: number;
  /** Maximum number of connections in one room. @default {1000} */
  maxUsersPerRoom?: number;
  /** Maximum bytes of one message. @default {4096} */
  maxMessageBytes?: number;
}

/** The chat, for the app. */
export interface Chat {
  /** Returns all rooms, by name. */
  rooms(): ChatRoom[];
  /** Creates a room; rejects if its name is invalid or taken. */
  createRoom(name: string): Promise<ChatRoom>;
  /** Deletes a room with its messages, and closes its connections; `false` if there is none, or it is `general`. */
  deleteRoom(roomId: string): Promise<boolean>;
  /** Sends a system message to a room. */
  announce(roomId: string, content: string): Promise<void>;
}

/** Adds the chat. */
export function chat(options: ChatOptions): Plugin<Chat> {
  const { channels, access, limits, trace, path = "", mayCreate = () => true } = options;
  const { uniqueNames = false, typing = false, privateMessages = false, store } = options;
  const { maxRooms = 1_000, maxUsersPerRoom = 1_000, maxMessageBytes = 4_096 } = options;
  const check = checkOptions("chat");
  check.that(path === "" || /^\/.*[^/]$/.test(path), "path", "empty or a path such as /chat", path);
  const { maxRoomsPerClient = Math.ceil(maxRooms / 4), emptyRoomMs = 604_800_000 } = options;
  const numbers = { maxRooms, maxRoomsPerClient, emptyRoomMs, maxUsersPerRoom, maxMessageBytes };
  for (const [name, value] of Object.entries(numbers)) check.positiveInteger(name, value);
  const stored = options.history && prepareHistory(options.history);

  let host: Host | undefined;
  let endExpiry: (() => void) | undefined;
  const clock = () => host?.clock ?? systemClock;
  const now = () => clock().wallTime();
  const failed = (what: string, error: unknown) => host?.log.error(what, { error });
  const traced: Trace["traced"] = (name, service) => trace?.traced(name, service) ?? service;

  const messages = messageWriter(now);
  const rooms = traced(
    "ChatRoomManager",
    roomManager({
      store,
      maxRooms,
      maxRoomsPerClient,
      emptyRoomMs,
      maxUsersPerRoom,
      uniqueNames,
      now,
      removed: async (roomId) => {
        if (history !== undefined) await channels.removeHistory(logChannel(roomId));
      },
    }),
  );
  const history = stored && chatHistory(channels, stored);
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
      if (roomId.length > MAX_ROOM_ID) errors.push("The room id is too long");
      if (errors.length > 0) return refusal(400, "bad_request", errors.join(". "));
      const refused = access?.refusal(upgrade, "read", resourceOf(roomId));
      if (refused !== undefined) return refused;
      const { user } = proven(upgrade) ?? { user: username };
      if (user !== username) return refusal(403, "permission_denied", "The name is not that of your sign-in");
      const anonymous = access?.signsIn === true && access.identityOf(upgrade)?.anonymous === true;
      if (anonymous && !username.startsWith(GUEST)) {
        return refusal(403, "permission_denied", `Names without sign-in begin with ${GUEST}`);
      }
    },
    open(conn, upgrade) {
      const { roomId = "", username = "" } = upgrade.params;
      const identity = proven(upgrade) ?? unprovenIdentity();
      return service.handleWebSocketConnection({ roomId, username, identity, conn });
    },
  };

  async function deleteRoom(roomId: string): Promise<boolean> {
    const members = await rooms.deleteRoom(roomId);
    for (const { conn } of members ?? []) conn.close(roomNotFound);
    return members !== undefined;
  }

  /** Returns the identity of a client with a proven user id. */
  function proven(upgrade: Upgrade): Identity | undefined {
    const identity = access?.identityOf(upgrade);
    return isProven(identity) ? identity : undefined;
  }

  return built({
    name: "chat",
    endpoints: [endpoint],
    api: {
      rooms: () => rooms.getAllRooms(),
      async createRoom(name) {
        const errors = rooms.validateRoomName(name);
        if (errors.length > 0) throw new PlugboardError("bad_request", errors.join(". "));
        return await rooms.createRoom(name);
      },
      deleteRoom,
      announce: (roomId, content) =>
        service.broadcastToRoom({ roomId, message: messages.system("system", roomId, content) }),
    },
    async start(given) {
      host = given;
      await channels.addNamespace(NAMESPACE, namespaceOptions(stored));
      limits?.answerWith(endpoint, (conn, _message, { message }) => {
        conn.send(JSON.stringify(messages.system("error", "", message)));
      });
      await rooms.loadRooms();
      endExpiry = given.clock.every(Math.min(emptyRoomMs, EXPIRY_SWEEP_MS), () => {
        rooms.expireRooms().catch((error) => failed("cannot delete an empty room", error));
      });
    },
    stop: () => endExpiry?.(),
    routes: (app) =>
      addRoutes(app, { base: path, access, rooms, deleteRoom, history, mayCreate, clock, failed }),
  }, options);
}

/** A room's resource in permissions. */
const resourceOf = (roomId: string) => `${RESOURCE}:${roomId}`;

/** Where others sign in, the names of anonymous clients begin with this: they could take the name of a user. */
const GUEST = "guest-";

/** How often empty rooms are looked for. */
const EXPIRY_SWEEP_MS = 60_000;

/** The chat's own ids are shorter. */
const MAX_ROOM_ID = 64;
