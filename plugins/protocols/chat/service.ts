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
import type { ChatRoomManager, Member, Refusal } from "./rooms.ts";

/** What the service works with. */
export interface ServiceParts extends CommandOptions {
  readonly channels: Pick<Channels, "connect" | "publish">;
  readonly rooms: ChatRoomManager;
  readonly messages: MessageWriter;
  readonly history: ChatHistory | undefined;
  /** Counts a message; throws beyond a limit or without the permission to write. */
  readonly spend: (conn: Connection, roomId: string) => void;
  /** Whether the server is stopping. Then it sends no `leave` messages. */
  readonly stopping: () => boolean;
  readonly failed: (what: string, error: unknown) => void;
  /** The service itself, for calls between operations: traced if there is a trace. */
  readonly self: () => ChatService;
}

/** A client that wants to enter a room. */
export interface Entering extends Member {
  readonly identity: Identity;
}

/**
 * The operations of the chat: adds connections to rooms, and passes on what they send. Each operation has one object as
 * its argument, so that a trace shows the names of its fields.
 */
export interface ChatService {
  /** Adds a connection to a room, or closes it with the reason. */
  handleWebSocketConnection(entering: Entering): Session;
  /** Welcomes a member, and notifies the others. */
  joinRoom(joining: { roomId: string; username: string; identity: Identity; member: Member }): Promise<void>;
  /** Handles a text from a member. */
  receiveMessage(received: { roomId: string; username: string; text: string; member: Member }): Promise<void>;
  /** Sends to one connection. */
  sendMessageToClient(sending: { message: ChatMessage; conn: Connection }): void;
  /** Sends to all members of a room except one. */
  broadcastToRoom(sending: { roomId: string; message: ChatMessage; excludeClientId?: string }): Promise<void>;
  /** Sends to all members with a name; returns their number. */
  sendPrivately(sending: { roomId: string; to: string; message: ChatMessage }): number;
  /** Notifies the others that a member has left. */
  leaveRoom(leaving: { roomId: string; username: string; member: Member }): Promise<void>;
}

/** Makes the service. */
export function chatService(parts: ServiceParts): ChatService {
  const { channels, rooms, messages, history, self } = parts;
  const encoder = encoderFor(messages);
  /** Members whose `join` the others have got. */
  const announced = new WeakSet<Member>();

  /** Sends the reason as a message: browsers do not show their pages why an upgrade was refused. */
  function refuse({ conn, roomId, username }: Entering, reason: Refusal): Session {
    const { text, code } = REFUSALS[reason];
    self().sendMessageToClient({ message: messages.system("error", roomId, text(roomId, username)), conn });
    conn.close(code);
    return { message() {} };
  }

  async function handle(member: Member, text: string): Promise<void> {
    const input = parseInput(text, parts);
    const { conn, roomId, username } = member;
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
        sendError(member, `There is no '${to}' in this room`);
        break;
      }
      case "invalid":
        sendError(member, input.hint);
    }
  }

  function sendError({ conn, roomId }: Member, content: string): void {
    self().sendMessageToClient({ message: messages.system("error", roomId, content), conn });
  }

  return {
    handleWebSocketConnection(entering) {
      const { roomId, username, identity, conn } = entering;
      const member: Member = { conn, roomId, username };
      const reason = rooms.enterRoom(member);
      if (reason !== undefined) return refuse(entering, reason);

      let joining: Promise<void> | undefined = self().joinRoom({ roomId, username, identity, member })
        .catch((error) => {
          parts.failed("a client could not join", error);
          conn.close(closeCodes.internalError);
        })
        .finally(() => joining = undefined);
      let receiving: Promise<void> | undefined;
      const receive = (text: string) => self().receiveMessage({ roomId, username, text, member });
      return {
        message: (text) =>
          receiving = joining === undefined ? receive(text) : joining.then(() => receive(text)),
        close() {
          rooms.leaveRoom(member);
          // The `leave` follows the member's last message.
          Promise.all([joining, receiving])
            .then(() => self().leaveRoom({ roomId, username, member }))
            .catch((error) => parts.failed("a leave could not be announced", error));
        },
      };
    },

    async joinRoom({ roomId, username, identity, member }) {
      const { conn } = member;
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
      announced.add(member);
      const message = messages.from("join", roomId, username, `${username} joined the room`);
      await self().broadcastToRoom({ roomId, message, excludeClientId: conn.id });
    },

    async receiveMessage({ roomId, text, member }) {
      if (text.trim() === "") return;
      try {
        parts.spend(member.conn, roomId);
        await handle(member, text);
      } catch (error) {
        const expected = error instanceof PlugboardError;
        if (!expected) parts.failed("a message could not be sent", error);
        sendError(member, `Your message was not sent: ${expected ? error.message : "internal server error"}`);
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

    async leaveRoom({ roomId, username, member }) {
      if (!announced.delete(member) || parts.stopping()) return;
      const message = messages.from("leave", roomId, username, `${username} left the room`);
      await self().broadcastToRoom({ roomId, message });
    },
  };
}

/** How clients of a room that does not exist are closed, or of one that was deleted. */
export const roomNotFound = closeCode(1000, "Room not found");

/** The answers to clients that cannot enter. Clients may reconnect after codes below 4500. */
const REFUSALS: Record<Refusal, { text: (room: string, user: string) => string; code: CloseCode }> = {
  not_found: { text: (room) => `Room '${room}' not found`, code: roomNotFound },
  full: { text: (room) => `Room '${room}' is full`, code: closeCode(4001, "Room is full") },
  name_taken: {
    text: (_, user) => `Username '${user}' is taken`,
    code: closeCode(4501, "Username is taken"),
  },
};
