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
  | "refresh"
  | "ping";

/** A message of a client, as far as it was checked. */
export interface ClientMessage {
  /** What kind of message it is. */
  readonly type: string;
  /** Carried by the answer too. */
  readonly id: string | undefined;
  /** The channel's name. */
  readonly channel: string;
  /** What it carries. */
  readonly data: unknown;
}

/** What the server sends. */
export type MessageType = keyof MessageData;

/** Every message of the server has this form. */
export interface WebSocketMessage<Data = unknown> {
  /** The server's own, or the one of the message this answers. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** What kind of message it is. */
  readonly type: MessageType;
  /** The channel it is about; empty where it is about none. */
  readonly channel: string;
  /** What it carries. */
  readonly data: Data;
  /** A publication's place in the channel's log. */
  readonly offset?: number;
  /** Who published it; absent for the server and for somebody anonymous. */
  readonly userId?: string;
}

/** Any message of the server: a look at its `type` tells what its `data` is. */
export type ServerMessage = {
  [Type in MessageType]: WebSocketMessage<MessageData[Type]> & { readonly type: Type };
}[MessageType];

/** The first message on every connection. */
export interface ConnectionAckData {
  /** The connection's id. */
  readonly clientId: string;
  /** Empty for somebody anonymous. */
  readonly userId: string;
  /** What a client can ask for here. */
  readonly capabilities: readonly ClientMessageType[];
  /** Milliseconds between heartbeats. */
  readonly heartbeatInterval: number;
  /** When the sign-in ends, in milliseconds since 1970; absent if it does not. */
  readonly expiresAt?: number;
}

/** When the client's sign-in ends. */
export interface ExpiryData {
  /** Milliseconds since 1970; absent if it does not end. */
  readonly expiresAt?: number;
}

/** Somebody came or went. */
export interface UserEventData {
  /** Who did it. */
  readonly userId: string;
  /** What to call them. */
  readonly username: string;
  /** The connection's id. */
  readonly clientId: string;
  /** How many there are now. */
  readonly connectedUsers: number;
}

/** Where somebody's cursor is: what they said of it, and who they are. */
export interface UserCursorData {
  /** Who did it. */
  readonly userId: string;
  /** The connection's id. */
  readonly clientId: string;
  /** What else they said of it. */
  readonly [said: string]: unknown;
}

/** Why something was refused. */
export interface ErrorData {
  /** For programs: `PERMISSION_DENIED`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
  /** With `RPC_ERROR`: which of the application's own errors it is. */
  readonly number?: number;
  /** With `TOO_MANY_REQUESTS`: how long to wait, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** Where a client stands in a channel's log. */
export interface PositionData {
  /** Counts from 1; 0 is before the first. */
  readonly offset: number;
  /** Which log it is a place in. */
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
  /** What was read. */
  readonly publications: readonly {
    /** Its place in the log. */
    readonly offset: number;
    /** Milliseconds since 1970. */
    readonly timestamp: number;
    /** `message`, or that of an event. */
    readonly type: MessageType;
    /** What was published. */
    readonly data: unknown;
    /** Who did; absent where it was the server. */
    readonly userId?: string;
  }[];
}

/** What each type of message carries. */
export interface MessageData extends SqlEventData {
  /** The first message. */
  "connection:ack": ConnectionAckData;
  /** The sign-in ends soon: a `refresh` with a newer token prolongs it. */
  "connection:expiring": ExpiryData;
  /** The sign-in has another end: the answer to a refresh, or the server's doing. */
  refreshed: ExpiryData;
  /** A sign of life. */
  heartbeat: { readonly connectedClients: number };
  /** A publication: whatever was published. */
  message: unknown;
  /** The answer to a subscribe. */
  subscribed: SubscribedData;
  /** Without a code, at the client's own wish. */
  unsubscribed: { readonly code?: number; readonly reason?: string };
  /** The answer to a publish. */
  published: PositionData & { readonly receivers: number };
  /** Who is in a channel. */
  presence: { readonly clients: readonly Present[] };
  /** The answer to a history. */
  history: HistoryData;
  /** What a method gave. */
  "rpc:result": unknown;
  /** The answer to a ping. */
  pong: Record<string, never>;
  /** Somebody came. */
  "user:joined": UserEventData;
  /** Somebody went. */
  "user:left": UserEventData;
  /** Somebody's cursor moved. */
  "user:cursor": UserCursorData;
  /** What went wrong. */
  error: ErrorData;
}
