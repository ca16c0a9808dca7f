/**
 * Publications and positions: the data that brokers store and carry between nodes.
 *
 * @module
 */

import type { Payload } from "../shared/payload.ts";

/** A position in a channel's history. A new epoch means that the history was lost. */
export interface Position {
  /** Counts from 1; 0 is before the first publication. */
  readonly offset: number;
  /** Identifies the history. */
  readonly epoch: string;
}

/** Who published, joined or is present. */
export interface ClientInfo {
  /** The user's id; empty for an anonymous client. */
  readonly user: string;
  /** The connection's id. */
  readonly client: string;
  /** What the connection's token says about the user, as JSON text. */
  readonly connInfo?: string;
  /** What the subscription's token says about the user, as JSON text. */
  readonly chanInfo?: string;
}

/** A join or a leave. */
export interface Announcement {
  /** What happened. */
  readonly kind: "join" | "leave";
  /** The client. */
  readonly info: ClientInfo;
  /** The number of people in the channel now: users, and anonymous clients. Absent without presence. */
  readonly people?: number;
}

/** Short labels of a publication. */
export type Tags = Readonly<Record<string, string>>;

/** A message to publish. It has no position yet. */
export interface Draft {
  /** The payload. */
  readonly payload: Payload;
  /** The publishing client; absent when the server publishes. */
  readonly info?: ClientInfo;
  /** Labels sent with the payload; subscribers can filter by them. */
  readonly tags?: Tags;
  /** A client that does not receive it. */
  readonly except?: string;
}

/** A published message. */
export interface Publication extends Draft {
  /** Its offset in the history; 0 in a channel that keeps none. */
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** The result of a publish. */
export interface Published extends Position {
  /** The number of receivers on this node; a callback counts as one. */
  readonly receivers: number;
}

/** A part of a channel's history. */
export interface History {
  /** The publications that were read. */
  readonly publications: readonly Publication[];
  /** The position of the latest publication. */
  readonly top: Position;
}

/** Which publications to read. */
export interface HistoryQuery {
  /** The maximum number; 0 reads only the position. @default {no limit} */
  readonly limit?: number;
  /** Reads after this position, or before it when reversed. An empty epoch matches any. */
  readonly since?: Position;
  /** Newest first. */
  readonly reverse?: boolean;
}

/** How to publish. */
export interface PublishOptions {
  /** Labels sent with the payload; subscribers can filter by them. */
  readonly tags?: Tags;
  /** Publishes to current subscribers only, without history. @default {false} */
  readonly ephemeral?: boolean;
  /** The id of a client that does not receive it. Requires `ephemeral`: the history is the same for all clients. */
  readonly except?: string;
}
