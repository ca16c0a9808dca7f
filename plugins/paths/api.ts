/**
 * What the service of paths offers.
 *
 * @module
 */

import type { CloseCode, MaybePromise, Upgrade } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";
import type { Tickets } from "./tickets.ts";
import type {
  Delivery,
  JoinOptions,
  Member,
  PathEvents,
  PathListener,
  PathsStats,
  PathState,
  ServerClient,
  ServerClientFactory,
} from "./types.ts";

/** What somebody was let in to. */
export interface PathGrant {
  /** The path's id. */
  readonly path: string;
  /** What the client may do there. */
  readonly right: Verb;
}

/** A path that is kept loaded, as long as it is not released. */
export interface HeldPath {
  /** How far its server client is. */
  readonly state: PathState;
  /** Its server client, when it is ready. */
  readonly client: ServerClient | undefined;
  /** Why it failed, if it has. */
  readonly error: unknown;
  /** Lets it go. */
  release(): void;
}

/** What paths offer to protocols and to the app. */
export interface Paths {
  /** The path that a URL names, or the response that refuses it. */
  idOf(upgrade: Upgrade, prefix: string): string | Response;
  /**
   * What a client may do on a path, or the response that refuses it. A client that returns takes its own place
   * again, even on a full path.
   */
  authorize(upgrade: Upgrade, path: string, client?: string): MaybePromise<PathGrant | Response>;
  /** Adds a client to a path, or tells how to close it because there is no room. */
  join(path: string, client: JoinOptions): Member | CloseCode;
  /** Sets who makes the server's clients. Called once, by the one protocol that these paths are for. */
  serve(factory: ServerClientFactory): void;
  /** Loads a path, if need be, and keeps it loaded. Resolves when its server client is ready or has failed. */
  open(path: string): Promise<HeldPath>;
  /** Proofs for clients that will return. */
  readonly tickets: Tickets;

  /** Sends to one client, in the server's name or another's. */
  sendToClient(path: string, client: string, payload: string, from?: string): Delivery;
  /** Sends to everybody on a path; gives the number of receivers. */
  broadcast(path: string, payload: string, from?: string): number;

  /** The paths that are there. */
  getPathIds(): string[];
  /** The clients on a path. */
  getClientIds(path: string): string[];
  /** How far a path's server client is; `undefined` for a path that is not there. */
  getState(path: string): PathState | undefined;
  /** The server client of a path, when it is ready. */
  getServerClient(path: string): ServerClient | undefined;
  /** How much is going on. */
  getStats(): PathsStats;

  /** Calls back for every event of a kind, on one path or on all. Returns the function that ends it. */
  on<E extends keyof PathEvents>(event: E, listener: PathListener<E>, path?: string): () => void;
}
