/**
 * The chat's messages, in the form its clients know.
 *
 * @module
 */

/** What a message is. `typing` and `private` are there only where the options allow them. */
export type ChatMessageType = "system" | "join" | "leave" | "message" | "error" | "typing" | "private";

/** A message as it travels. The names are written as the first clients expect them. */
export interface ChatMessage {
  /** What it is. */
  readonly Type: ChatMessageType;
  /** The room's id. */
  readonly RoomId: string;
  /** Who it is from; `System` for the server. */
  readonly Username: string;
  /** What was said, or happened, as plain text. */
  readonly Content: string;
  /** ISO 8601. */
  readonly Timestamp: string;
}

/** The name that nobody else may have. */
export const SYSTEM = "System";

/** Makes messages with the time. */
export interface MessageWriter {
  /** From the server. */
  system(type: "system" | "error", room: string, content: string): ChatMessage;
  /** From somebody in the room. */
  from(
    type: Exclude<ChatMessageType, "system" | "error">,
    room: string,
    user: string,
    content: string,
  ): ChatMessage;
}

/** Makes a writer. */
export function messageWriter(now: () => number): MessageWriter {
  const write = (Type: ChatMessageType, RoomId: string, Username: string, Content: string): ChatMessage => {
    return { Type, RoomId, Username, Content, Timestamp: new Date(now()).toISOString() };
  };
  return {
    system: (type, room, content) => write(type, room, SYSTEM, content),
    from: write,
  };
}
