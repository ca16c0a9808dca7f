/**
 * The messages of the json protocol.
 *
 * @module
 */

import type { Present } from "../../presence.ts";
import type { SqlEventData } from "../../sql_events/types.ts";

export type {
  QueryCancelledData,
  QueryCompleteData,
  QueryErrorData,
  QueryProgressData,
  QueryStartedData,
  SqlEventData,
  TableEventData,
} from "../../sql_events/types.ts";

/** The channels that SQL events and collaboration use. */
export type Channel = "queries" | "tables" | "notifications" | "collaboration";

/** What a client may send. */
export type ClientMessageType =
  | "subscribe"
  | "unsubscribe"
  | "publish"
  | "presence"
  | "history"
  | "query:subscribe"
  | "query:unsubscribe"
  | "rpc"
  | "user:cursor"
  | "ping";

/** A message of a client, as far as it was checked. */
export interface ClientMessage {
  readonly type: string;
  /** Carried by the answer too. */
  readonly id: string | undefined;
  readonly channel: string;
  readonly data: unknown;
}

/** What the server sends. */
export type MessageType = keyof MessageData;

/** Every message of the server has this form. */
export interface WebSocketMessage<Type extends MessageType = MessageType> {
  /** The server's own, or the one of the message this answers. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly type: Type;
  /** The channel it is about; empty where it is about none. */
  readonly channel: string;
  readonly data: MessageData[Type];
  /** A publication's place in the channel's log. */
  readonly offset?: number;
}

/** The first message on every connection. */
export interface ConnectionAckData {
  readonly clientId: string;
  /** Empty for somebody anonymous. */
  readonly userId: string;
  /** What a client can ask for here. */
  readonly capabilities: readonly ClientMessageType[];
  /** Milliseconds between heartbeats. */
  readonly heartbeatInterval: number;
}

/** Somebody came or went. */
export interface UserEventData {
  readonly userId: string;
  readonly username: string;
  readonly clientId: string;
  /** How many there are now. */
  readonly connectedUsers: number;
}

/** Where somebody's cursor is: what they said of it, and who they are. */
export interface UserCursorData {
  readonly userId: string;
  readonly clientId: string;
  readonly [said: string]: unknown;
}

/** Why something was refused. */
export interface ErrorData {
  /** For programs: `PERMISSION_DENIED`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

/** Where a client stands in a channel's log. */
export interface PositionData {
  readonly offset: number;
  readonly epoch: string;
}

/** The answer to a subscribe. */
export interface SubscribedData {
  /** Absent where the channel keeps no log. */
  readonly position?: PositionData;
  /** Whether all that was published since then follows; absent if nothing was asked for. */
  readonly recovered?: boolean;
  /** What the channel has to say to a newcomer, such as the rows of a live query. */
  readonly snapshot?: unknown;
}

/** The answer to a history. */
export interface HistoryData extends PositionData {
  readonly publications: readonly {
    readonly offset: number;
    readonly timestamp: number;
    readonly data: unknown;
    readonly userId?: string;
  }[];
}

/** What each type of message carries. */
export interface MessageData extends SqlEventData {
  "connection:ack": ConnectionAckData;
  heartbeat: { readonly connectedClients: number };
  /** A publication: whatever was published. */
  message: unknown;
  subscribed: SubscribedData;
  /** Without a code, at the client's own wish. */
  unsubscribed: { readonly code?: number; readonly reason?: string };
  published: PositionData & { readonly receivers: number };
  presence: { readonly clients: readonly Present[] };
  history: HistoryData;
  "rpc:result": unknown;
  pong: Record<string, never>;
  "user:joined": UserEventData;
  "user:left": UserEventData;
  "user:cursor": UserCursorData;
  error: ErrorData;
}
