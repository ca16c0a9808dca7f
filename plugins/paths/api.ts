import type { CloseCode, MaybePromise, Upgrade } from "../../core/mod.ts";
import type { Verb } from "../shared/identity.ts";
import type { ClientTokens } from "./client_tokens.ts";
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

/** Permission to join a path. */
export interface PathGrant {
  /** The path's id. */
  readonly path: string;
  /** What the client may do there. */
  readonly permission: Verb;
}

/** A path that stays loaded until it is released. */
export interface OpenPath {
  /** The state of the server client. */
  readonly state: PathState;
  /** The server client, if it is ready. */
  readonly client: ServerClient | undefined;
  /** The error, if the server client has failed. */
  readonly error: unknown;
  /** Allows the path to be unloaded. */
  release(): void;
}

/** Routes messages between the clients of each path; for protocols and for the app. */
export interface Paths {
  /** Returns the path that a URL names, or the response that refuses it. */
  idOf(upgrade: Upgrade, prefix: string): string | Response;
  /**
   * Returns what a client may do on a path, or the response that refuses it. A returning client takes its former
   * place, even on a full path.
   */
  authorize(upgrade: Upgrade, path: string, client?: string): MaybePromise<PathGrant | Response>;
  /** Adds a client to a path, or returns the close code if there is no room. */
  join(path: string, client: JoinOptions): Member | CloseCode;
  /** Sets the factory of server clients. Called once, by the protocol that owns these paths. */
  serve(factory: ServerClientFactory): void;
  /** Loads a path and keeps it loaded. Resolves when its server client is ready or has failed. */
  open(path: string): Promise<OpenPath>;
  /** Tokens by which returning clients prove their ids. */
  readonly clientTokens: ClientTokens;

  /** Sends to one client, by default from the server. */
  sendToClient(path: string, client: string, payload: string, from?: string): Delivery;
  /** Sends to all clients of a path. Returns the number of receivers. */
  broadcast(path: string, payload: string, from?: string): number;

  /** Lists the paths in use. */
  getPathIds(): string[];
  /** Lists the clients of a path. */
  getClientIds(path: string): string[];
  /** Returns the state of a path's server client; `undefined` for an unknown path. */
  getState(path: string): PathState | undefined;
  /** Returns the server client of a path, if it is ready. */
  getServerClient(path: string): ServerClient | undefined;
  /** Returns statistics of all paths. */
  getStats(): PathsStats;

  /** Adds a listener for an event, of one path or of all. Returns a function that removes it. */
  on<E extends keyof PathEvents>(event: E, listener: PathListener<E>, path?: string): () => void;
}
