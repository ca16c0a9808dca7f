/**
 * The words of path routing: paths, their members, and the server's own client on each.
 *
 * @module
 */

import type { Connection, MaybePromise, Nothing } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";

/** The id by which the server's own client is addressed, and under which it sends. */
export const SERVER_ID = "S";

/**
 * How far a path's server client is:
 *
 * - `starting`: it is being made; what is sent to it is held
 * - `configured`: it is made and starts, loading what is stored; what is sent to it is held
 * - `ready`: it has been given what was held and takes what comes; a path without one is ready at once
 * - `failed`: it could not be made or started; it is tried again while somebody is there
 * - `stopping`: nobody is there any more, it is being stopped; what is sent to it is held for the next
 */
export type PathState = "starting" | "configured" | "ready" | "failed" | "stopping";

/**
 * What became of a message:
 *
 * - `delivered`: handed to its receivers; for a broadcast, however many there were
 * - `held`: the server's client is not ready yet and gets it when it is
 * - `kept`: its receiver is away and gets it upon return
 * - `unknown_client`: there is no such client on this path, nor was there lately
 * - `no_server`: the path has no server client
 * - `server_failed`: the server client could not be started
 * - `overflow`: more is held for the server client than may be
 * - `mailbox_full`: more is kept for the absent receiver than may be
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

/** How a protocol writes a message to its clients. Clients that share one share the frames, too. */
export interface Wire {
  /** The frame that brings `payload` from the client `from`. */
  encode(from: string, payload: string): string;
}

/** A client as its protocol brings it to a path. */
export interface JoinOptions {
  /** What it is reached by. */
  readonly conn: Connection;
  /** How frames for it are written. */
  readonly wire: Wire;
  /** Its id. Never one that the client chose freely: it may be one it proved to be its own. @default {a new one} */
  readonly id?: string;
  /** What it may do here. @default {"write"} */
  readonly right?: Verb;
  /** Whether it can prove its id when it returns, so that messages are kept for it while it is away. @default {false} */
  readonly returns?: boolean;
}

/** A client's place on a path. */
export interface Member {
  /** Its id, unique on the path. */
  readonly id: string;
  /** The path's id. */
  readonly path: string;
  /** What it may do; its protocol sees to it. */
  readonly right: Verb;
  /** How far the path's server client is. */
  readonly state: PathState;
  /** Whether it has left, or was replaced by a newer connection of the same client. */
  readonly gone: boolean;
  /**
   * Sends to everyone else (`""`), to the server (`"S"`) or to one client. `pieces` is the payload as it travels
   * to other clients where that is in several frames; the server's client always gets the whole.
   */
  send(to: string, payload: string, pieces?: readonly string[]): Delivery;
  /** Sends a frame to this client, from the server's. */
  tell(payload: string): void;
  /** Leaves the path. */
  leave(): void;
}

/** A member as the server's client sees it. */
export type Sender = Pick<Member, "id" | "right" | "tell">;

/** The server's own client on a path: what a {@linkcode ServerClientFactory} makes. */
export interface ServerClient {
  /** Reads what is stored. */
  load?(): MaybePromise<void>;
  /** Gets ready with it; messages are held until it has resolved. */
  start?(): MaybePromise<void>;
  /**
   * Handles a message while it starts, if what it has loaded is enough for that; `false` has it held. Not asked when
   * there is one held already, so that messages keep their order.
   */
  early?(from: Sender, payload: string): boolean;
  /** Handles a message of a member. A promise is not waited for; its rejection is logged. */
  message(from: Sender, payload: string): MaybePromise<void>;
  /** Somebody is there: told of each when it becomes ready, and then of each who comes. */
  joined?(member: Sender): Nothing;
  /** Somebody left. */
  left?(member: Sender): Nothing;
  /** Brings to safety what is not stored yet. Nobody is there any more, but somebody may come back meanwhile. */
  flush?(): MaybePromise<void>;
  /** Releases what it opened. Also called after a failed `load` or `start`. */
  stop?(): MaybePromise<void>;
}

/** What the server's client can do on its path. */
export interface ServerSide {
  /** The path's id. */
  readonly path: string;
  /** Who is there. */
  clientIds(): string[];
  /** Sends to one client. */
  send(to: string, payload: string): Delivery;
  /** Sends to everybody but one. Gives the number of receivers. */
  broadcast(payload: string, except?: string): number;
}

/** Makes a path's server client when somebody needs the path; `undefined` for a path without one. */
export type ServerClientFactory = (side: ServerSide) => MaybePromise<ServerClient | undefined>;

/** What is told about paths, by event. */
export interface PathEvents {
  /** The server takes clients. */
  readonly started: Record<never, never>;
  /** The server takes none any more, and every path was stopped. */
  readonly stopped: Record<never, never>;
  /** A path has come into being; told before its first client joins. */
  readonly pathAdded: { readonly path: string };
  /** A path is gone; told after its server client was stopped. */
  readonly pathRemoved: { readonly path: string };
  /** A path's server client is this far. */
  readonly state: { readonly path: string; readonly state: PathState; readonly error?: unknown };
  /** A client came. */
  readonly clientJoined: { readonly path: string; readonly client: string };
  /** A client went. */
  readonly clientLeft: { readonly path: string; readonly client: string };
  /** A client sent a message. */
  readonly message: {
    readonly path: string;
    readonly client: string;
    readonly to: string;
    readonly payload: string;
  };
}

/** Hears of one kind of event. */
export type PathListener<E extends keyof PathEvents> = (event: PathEvents[E]) => void;

/** How much is going on. */
export interface PathsStats {
  /** Paths that are there. */
  readonly paths: number;
  /** Clients on them; a connection on two paths counts twice. */
  readonly clients: number;
  /** Messages that clients have sent since the start. */
  readonly messages: number;
  /** Messages held for server clients that are not ready. */
  readonly held: number;
  /** Messages kept for clients that are away. */
  readonly kept: number;
}
