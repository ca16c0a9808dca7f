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
  /** Why nothing was published: the idempotency key was used before, or the version is not newer. Absent otherwise. */
  readonly suppressed?: "idempotency" | "version";
}

/** A part of a channel's history. */
export interface History {
  /** The publications that were read. */
  readonly publications: readonly Publication[];
  /** The position of the latest publication. */
  readonly top: Position;
  /**
   * Whether the position that was asked for is of another epoch, but before anything that this history lacks. Absent if
   * the epochs are the same.
   */
  readonly continued?: boolean;
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
  /** Publishes to current subscribers only, without history (`skip_history` in the HTTP API). @default {false} */
  readonly ephemeral?: boolean;
  /** The id of a client that does not receive it. Requires `ephemeral`: the history is the same for all clients. */
  readonly except?: string;
  /**
   * Publishes once: a repeated publish with the same key, to the same channel, has no effect and resolves to the position
   * of the first. Every user has their own keys, and so has the server.
   */
  readonly idempotencyKey?: string;
  /** How long the key is stored. @default {as in the options of channels} */
  readonly idempotencyMs?: number;
  /** Who has the key when the server publishes for another, such as the user of an HTTP request. @default {the server} */
  readonly idempotencyOwner?: string;
  /**
   * Drops the publication if the latest one of the channel with a version has the same version or a higher one, and the
   * same `versionEpoch`. Requires a history.
   */
  readonly version?: number;
  /** Versions of different epochs are not compared. The first one of another epoch is published. @default {""} */
  readonly versionEpoch?: string;
}
