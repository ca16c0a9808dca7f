/** The type of a message. `typing` and `private` are optional features. */
export type ChatMessageType = "system" | "join" | "leave" | "message" | "error" | "typing" | "private";

/** A message as clients get it, with the field names of the seed. */
export interface ChatMessage {
  /** The type. */
  readonly Type: ChatMessageType;
  /** The room's id. */
  readonly RoomId: string;
  /** The sender's name; `System` for the server. */
  readonly Username: string;
  /** Plain text. */
  readonly Content: string;
  /** ISO 8601. */
  readonly Timestamp: string;
}

/** The server's name, which is reserved. */
export const SYSTEM = "System";

/** Makes messages. */
export interface MessageWriter {
  /** From the server. */
  system(type: "system" | "error", room: string, content: string): ChatMessage;
  /** From a member of the room. */
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
