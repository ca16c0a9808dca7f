/**
 * The chat service: from a connection to a place in a room, and from a text to everybody else's screen.
 *
 * Each of its operations takes one object, so that a trace shows the arguments by name.
 *
 * @module
 */

import {
  type CloseCode,
  closeCode,
  closeCodes,
  type Connection,
  PlugboardError,
  type Session,
} from "../../../core/mod.ts";
import type { Channels, Identity } from "../../channels.ts";
import { encoderFor, roomChannel } from "./channels.ts";
import { type CommandOptions, parseInput } from "./commands.ts";
import type { ChatHistory } from "./history.ts";
import type { ChatMessage, MessageWriter } from "./messages.ts";
import { sameName } from "./names.ts";
import type { ChatRoomManager, NoEntry, Seat } from "./rooms.ts";

/** What the service works with. */
export interface ServiceParts extends CommandOptions {
  readonly channels: Pick<Channels, "connect" | "publish">;
  readonly rooms: ChatRoomManager;
  readonly messages: MessageWriter;
  readonly history: ChatHistory | undefined;
  /** Counts a message; throws when it is one too many, or its sender may only listen. */
  readonly spend: (conn: Connection, roomId: string) => void;
  /** Whether the server is about to stop: then nobody is told that others leave. */
  readonly stopping: () => boolean;
  readonly failed: (what: string, error: unknown) => void;
  /** The service as it is called from within: the same, or a traced one. */
  readonly self: () => ChatService;
}

/** Somebody who wants to come in. */
export interface Entering {
  readonly roomId: string;
  readonly username: string;
  readonly identity: Identity;
  readonly conn: Connection;
}

/** The operations of the chat. */
export interface ChatService {
  /** Somebody connects: into the room, or away with the reason. */
  handleWebSocketConnection(entering: Entering): Session;
  /** Welcomes somebody, and tells the others. */
  joinRoom(joining: { roomId: string; username: string; identity: Identity; seat: Seat }): Promise<void>;
  /** Somebody typed something. */
  receiveMessage(received: { roomId: string; username: string; text: string; seat: Seat }): Promise<void>;
  /** Sends to one. */
  sendMessageToClient(sending: { message: ChatMessage; conn: Connection }): void;
  /** Sends to everybody in the room but one. */
  broadcastToRoom(sending: { roomId: string; message: ChatMessage; excludeClientId?: string }): Promise<void>;
  /** Sends to one or more of the same name; gives their number. */
  sendPrivately(sending: { roomId: string; to: string; message: ChatMessage }): number;
  /** Somebody went: the others are told. */
  leaveRoom(leaving: { roomId: string; username: string; seat: Seat }): Promise<void>;
}

/** Makes the service. */
export function chatService(parts: ServiceParts): ChatService {
  const { channels, rooms, messages, history, self } = parts;
  const encoder = encoderFor(messages);
  /** Those whom the others know of. */
  const announced = new WeakSet<Seat>();

  /** A browser does not show its page why an upgrade was refused, so the reason comes as a message. */
  function refuse({ conn, roomId, username }: Entering, reason: NoEntry): Session {
    const { words, code } = REFUSALS[reason];
    self().sendMessageToClient({ message: messages.system("error", roomId, words(roomId, username)), conn });
    conn.close(code);
    return { message() {} };
  }

  async function handle(
    { roomId, username, seat }: { roomId: string; username: string; seat: Seat },
    text: string,
  ) {
    const input = parseInput(text, parts);
    const { conn } = seat;
    const own = (type: "message" | "typing" | "private", content: string) => {
      return messages.from(type, roomId, username, content);
    };
    const broadcast = (message: ChatMessage) =>
      self().broadcastToRoom({ roomId, message, excludeClientId: conn.id });
    switch (input.type) {
      case "message": {
        const message = own("message", text);
        await (history === undefined ? broadcast(message) : history.say(message, () => broadcast(message)));
        break;
      }
      case "typing":
        await broadcast(own("typing", `${username} is typing`));
        break;
      case "private": {
        const { to, content } = input;
        if (self().sendPrivately({ roomId, to, message: own("private", content) }) > 0) break;
        complain(seat, `There is no '${to}' in this room`);
        break;
      }
      case "mistake":
        complain(seat, input.hint);
    }
  }

  function complain({ conn, roomId }: Seat, content: string): void {
    self().sendMessageToClient({ message: messages.system("error", roomId, content), conn });
  }

  return {
    handleWebSocketConnection(entering) {
      const { roomId, username, identity, conn } = entering;
      const seat: Seat = { conn, roomId, username };
      const reason = rooms.enterRoom(seat);
      if (reason !== undefined) return refuse(entering, reason);

      let joining: Promise<void> | undefined = self().joinRoom({ roomId, username, identity, seat })
        .catch((error) => {
          parts.failed("somebody could not join", error);
          conn.close(closeCodes.internalError);
        })
        .finally(() => joining = undefined);
      let speaking: Promise<void> | undefined;
      const receive = (text: string) => self().receiveMessage({ roomId, username, text, seat });
      return {
        message: (text) =>
          speaking = joining === undefined ? receive(text) : joining.then(() => receive(text)),
        close() {
          rooms.leaveRoom(seat);
          // After what they said last.
          Promise.all([joining, speaking])
            .then(() => self().leaveRoom({ roomId, username, seat }))
            .catch((error) => parts.failed("a leave could not be told", error));
        },
      };
    },

    async joinRoom({ roomId, username, identity, seat }) {
      const { conn } = seat;
      const client = channels.connect(conn, { identity, encoder });
      const { name } = rooms.getRoom(roomId)!;
      const welcome = messages.system("system", roomId, `Welcome to ${name}, ${username}!`);
      const enter = async (past: readonly string[]) => {
        await client.subscribe(roomChannel(roomId), { serverSide: true }, () => {
          self().sendMessageToClient({ message: welcome, conn });
          for (const json of past) conn.send(json);
        });
      };
      await (history === undefined ? enter([]) : history.join(roomId, enter));
      if (!conn.open) return;
      announced.add(seat);
      const message = messages.from("join", roomId, username, `${username} joined the room`);
      await self().broadcastToRoom({ roomId, message, excludeClientId: conn.id });
    },

    async receiveMessage({ roomId, username, text, seat }) {
      if (text.trim() === "") return;
      try {
        parts.spend(seat.conn, roomId);
        await handle({ roomId, username, seat }, text);
      } catch (error) {
        const expected = error instanceof PlugboardError;
        if (!expected) parts.failed("a message could not be sent", error);
        complain(seat, `Your message was not sent: ${expected ? error.message : "internal server error"}`);
      }
    },

    sendMessageToClient: ({ message, conn }) => void conn.send(JSON.stringify(message)),

    async broadcastToRoom({ roomId, message, excludeClientId }) {
      const except = excludeClientId === undefined ? {} : { except: excludeClientId };
      await channels.publish(roomChannel(roomId), message, { ephemeral: true, ...except });
    },

    sendPrivately({ roomId, to, message }) {
      const text = JSON.stringify(message);
      const receivers = [...rooms.getRoomClients(roomId)].filter(({ username }) => sameName(username, to));
      return receivers.filter(({ conn }) => conn.send(text)).length;
    },

    async leaveRoom({ roomId, username, seat }) {
      if (!announced.delete(seat) || parts.stopping()) return;
      const message = messages.from("leave", roomId, username, `${username} left the room`);
      await self().broadcastToRoom({ roomId, message });
    },
  };
}

/** What is said to whoever cannot come in; below 4500, it is worth to come again. */
const REFUSALS: Record<NoEntry, { words: (room: string, user: string) => string; code: CloseCode }> = {
  not_found: { words: (room) => `Room '${room}' not found`, code: closeCode(1000, "Room not found") },
  full: { words: (room) => `Room '${room}' is full`, code: closeCode(4001, "Room is full") },
  name_taken: {
    words: (_, user) => `Username '${user}' is taken`,
    code: closeCode(4501, "Username is taken"),
  },
};
