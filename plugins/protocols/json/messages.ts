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

/** The channels of SQL events and collaboration. */
export type Channel = "queries" | "tables" | "notifications" | "collaboration";

/** The types that a client may send. */
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
  | "refresh"
  | "ping";

/** A message from a client, whose data is not checked yet. */
export interface ClientMessage {
  /** The type of the message. */
  readonly type: string;
  /** The reply has the same. */
  readonly id: string | undefined;
  /** The channel's name. */
  readonly channel: string;
  /** The data, whose form depends on the type. */
  readonly data: unknown;
}

/** The types that the server sends. */
export type MessageType = keyof MessageData;

/** The form of every message from the server. */
export interface WebSocketMessage<Data = unknown> {
  /** A new id, or that of the message it replies to. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** The type of the message. */
  readonly type: MessageType;
  /** The channel's name, or empty. */
  readonly channel: string;
  /** The data, whose form depends on the type. */
  readonly data: Data;
  /** The publication's offset in the channel's history. */
  readonly offset?: number;
  /** The publisher; absent for the server and for an anonymous user. */
  readonly userId?: string;
}

/** Any message from the server. Its `type` decides the type of its `data`. */
export type ServerMessage = {
  [Type in MessageType]: WebSocketMessage<MessageData[Type]> & { readonly type: Type };
}[MessageType];

/** The data of the first message on every connection. */
export interface ConnectionAckData {
  /** The connection's id. */
  readonly clientId: string;
  /** Empty for an anonymous user. */
  readonly userId: string;
  /** The types that this server accepts. */
  readonly capabilities: readonly ClientMessageType[];
  /** Milliseconds between heartbeats. */
  readonly heartbeatInterval: number;
  /** When the sign-in expires, in milliseconds since 1970; absent if it does not. */
  readonly expiresAt?: number;
}

/** When the client's sign-in expires. */
export interface ExpiryData {
  /** Milliseconds since 1970; absent if it does not expire. */
  readonly expiresAt?: number;
}

/** A user joined or left. */
export interface UserEventData {
  /** The user's id. */
  readonly userId: string;
  /** The name to show. */
  readonly username: string;
  /** The connection's id. */
  readonly clientId: string;
  /** How many users there are now. */
  readonly connectedUsers: number;
}

/** A user's cursor: what the client sent about it, and who it is. */
export interface UserCursorData {
  /** The user's id. */
  readonly userId: string;
  /** The connection's id. */
  readonly clientId: string;
  /** What the client sent. */
  readonly [field: string]: unknown;
}

/** An error. */
export interface ErrorData {
  /** For programs: `PERMISSION_DENIED`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
  /** With `RPC_ERROR`: the application's number. */
  readonly number?: number;
  /** With `TOO_MANY_REQUESTS`: how long to wait, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** A position in a channel's history. */
export interface PositionData {
  /** Counts from 1; 0 is before the first publication. */
  readonly offset: number;
  /** Identifies the history. */
  readonly epoch: string;
}

/** The reply to `subscribe`. */
export interface SubscribedData {
  /** Absent if the channel has no history. */
  readonly position?: PositionData;
  /** Whether all missed publications follow; absent without `since`. */
  readonly recovered?: boolean;
  /** The channel's snapshot, such as the rows of a live query. */
  readonly snapshot?: unknown;
}

/** The reply to `history`. */
export interface HistoryData extends PositionData {
  /** The publications that were read. */
  readonly publications: readonly {
    /** Its offset in the history. */
    readonly offset: number;
    /** Milliseconds since 1970. */
    readonly timestamp: number;
    /** `message`, or the type of an event. */
    readonly type: MessageType;
    /** The payload. */
    readonly data: unknown;
    /** The publisher; absent for the server. */
    readonly userId?: string;
  }[];
}

/** The data of each type of message. */
export interface MessageData extends SqlEventData {
  /** The first message. */
  "connection:ack": ConnectionAckData;
  /** The sign-in expires soon; a `refresh` with a newer token extends it. */
  "connection:expiring": ExpiryData;
  /** The sign-in has another expiry, after a `refresh` or a decision of the server. */
  refreshed: ExpiryData;
  /** Sent at regular intervals. */
  heartbeat: { readonly connectedClients: number };
  /** A publication's payload. */
  message: unknown;
  /** The reply to `subscribe`. */
  subscribed: SubscribedData;
  /** The end of a subscription; without a code, the reply to `unsubscribe`. */
  unsubscribed: { readonly code?: number; readonly reason?: string };
  /** The reply to `publish`. */
  published: PositionData & { readonly receivers: number };
  /** The reply to `presence`. */
  presence: { readonly clients: readonly Present[] };
  /** The reply to `history`. */
  history: HistoryData;
  /** The reply to `rpc`. */
  "rpc:result": unknown;
  /** The reply to `ping`. */
  pong: Record<string, never>;
  /** A user joined. */
  "user:joined": UserEventData;
  /** A user left. */
  "user:left": UserEventData;
  /** A user's cursor moved. */
  "user:cursor": UserCursorData;
  /** An error. */
  error: ErrorData;
}
