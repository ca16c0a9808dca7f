import type { Connection, MaybePromise, Nothing } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";

/** The id of the server client, as a recipient and as a sender. */
export const SERVER_ID = "S";

/**
 * The state of a path's server client. A path without a server client is ready at once.
 *
 * - `starting`: it is being created; messages for it are held
 * - `configured`: it loads its stored content and starts; messages for it are held
 * - `ready`: it has received the held messages and handles new ones
 * - `failed`: it could not be created or started; retried while the path is in use
 * - `stopping`: the path is no longer in use; messages are held for the next server client
 */
export type PathState = "starting" | "configured" | "ready" | "failed" | "stopping";

/**
 * The result of sending a message:
 *
 * - `delivered`: sent to its recipients; a broadcast may have none
 * - `held`: delivered to the server client when that is ready
 * - `kept`: the recipient is away and receives it on return. It is stored after this result, so a kill of the server in
 *   the moment until then loses it
 * - `unknown_client`: no such client on this path, present or expected back
 * - `no_server`: the path has no server client
 * - `server_failed`: the server client could not be started
 * - `overflow`: too many messages are held for the server client
 * - `mailbox_full`: too many messages are kept for the recipient
 */
export type Delivery =
  | "delivered"
  | "held"
  | "kept"
  | "unknown_client"
  | "no_server"
  | "server_failed"
  | "overflow"
  | "mailbox_full";

/** Encodes messages for clients. Clients with the same encoder share encoded frames. */
export interface FrameEncoder {
  /** Returns the frame that carries `payload` from the client `from`. */
  encode(from: string, payload: string): string;
}

/** A client that joins a path. */
export interface JoinOptions {
  /** The client's connection. */
  readonly conn: Connection;
  /** Encodes the messages to this client. */
  readonly encoder: FrameEncoder;
  /** The client's id. Must come from the server, or be proven by a client token. @default {a new id} */
  readonly id?: string;
  /** What the client may do. @default {"write"} */
  readonly permission?: Verb;
  /** Whether the client has a token for its id, so that messages are kept while it is away. @default {false} */
  readonly resumable?: boolean;
}

/** A client on a path. */
export interface Member {
  /** The client's id, unique on the path. */
  readonly id: string;
  /** The path's id. */
  readonly path: string;
  /** What the client may do. The protocol enforces it. */
  readonly permission: Verb;
  /** The state of the path's server client. */
  readonly state: PathState;
  /**
   * Sends to all other members (`""`), to the server client (`"S"`) or to one client. `fragments` is the payload as
   * sent to clients if that takes several frames; the server client always receives the whole payload.
   */
  send(to: string, payload: string, fragments?: readonly string[]): Delivery;
  /** Delivers a message from the server to this client. */
  deliver(payload: string): void;
  /** Leaves the path. */
  leave(): void;
}

/** A member as the server client sees it. */
export type Sender = Pick<Member, "id" | "permission" | "deliver">;

/** The server's own client on a path, created by a {@linkcode ServerClientFactory}. */
export interface ServerClient {
  /** Loads stored content. */
  load?(): MaybePromise<void>;
  /** Prepares the client. Messages are held until the promise resolves. */
  start?(): MaybePromise<void>;
  /**
   * Handles a message during `load` or `start`, if the content read so far suffices; else returns `false` and the
   * message is held. Not called while earlier messages are held, so messages stay in order.
   */
  handleEarly?(from: Sender, payload: string): boolean;
  /** Handles a message. The promise is not awaited; a rejection is logged. */
  message(from: Sender, payload: string): MaybePromise<void>;
  /** Called for each member when the client becomes ready, and for each one that joins later. */
  joined?(member: Sender): Nothing;
  /** Called when a member has left. */
  left?(member: Sender): Nothing;
  /** Stores unsaved changes after the last member has left. New members may join meanwhile. */
  flush?(): MaybePromise<void>;
  /** Releases resources; also called if `load` or `start` has failed. */
  stop?(): MaybePromise<void>;
}

/** What a server client can do on its path. */
export interface ServerSide {
  /** The path's id. */
  readonly path: string;
  /** Lists the members. */
  clientIds(): string[];
  /** Sends to one client. */
  send(to: string, payload: string): Delivery;
  /** Sends to all members but one. Returns the number of receivers. */
  broadcast(payload: string, except?: string): number;
}

/** Creates a path's server client when the path is first used; `undefined` for none. */
export type ServerClientFactory = (side: ServerSide) => MaybePromise<ServerClient | undefined>;

/** The events of paths and their data. */
export interface PathEvents {
  /** The server accepts clients. */
  readonly started: Record<never, never>;
  /** The server has stopped all paths. */
  readonly stopped: Record<never, never>;
  /** A path was added, before its first client joins. */
  readonly pathAdded: { readonly path: string };
  /** A path was removed, after its server client has stopped. */
  readonly pathRemoved: { readonly path: string };
  /** The state of a path's server client has changed. */
  readonly state: { readonly path: string; readonly state: PathState; readonly error?: unknown };
  /** A client joined. */
  readonly clientJoined: { readonly path: string; readonly client: string };
  /** A client left. */
  readonly clientLeft: { readonly path: string; readonly client: string };
  /** A client sent a message. */
  readonly message: {
    readonly path: string;
    readonly client: string;
    readonly to: string;
    readonly payload: string;
  };
}

/** Receives the events of one type. */
export type PathListener<E extends keyof PathEvents> = (event: PathEvents[E]) => void;

/** Statistics of all paths. */
export interface PathsStats {
  /** Number of paths. */
  readonly paths: number;
  /** Number of members; a connection on two paths counts twice. */
  readonly clients: number;
  /** Messages received from clients since the start. */
  readonly messages: number;
  /** Messages held for server clients that are not ready. */
  readonly held: number;
  /** Messages kept for clients that are away. */
  readonly kept: number;
}
