/**
 * What `auth` and a backend that signs clients in tell each other.
 *
 * @module
 */

import type { Connection } from "../../core/mod.ts";
import type { SubscribeRequest } from "../channels.ts";
import type { Payload } from "../shared/payload.ts";
import type { AppUser, SignIn } from "./types.ts";

/** What a client tells about itself when it connects. None of it is proven. */
export interface AboutClient {
  /** How it is connected: `websocket`, `http_stream` or `sse`. @default {"websocket"} */
  readonly transport?: string;
  /** The encoding of its messages: `json` or `protobuf`. @default {"json"} */
  readonly protocol?: string;
  /** Data for the backend. */
  readonly data?: Payload | undefined;
  /** The name of the client's program. */
  readonly name?: string;
  /** The version of the client's program. */
  readonly version?: string;
  /** Channels that the server should subscribe the client to. */
  readonly channels?: readonly string[];
  /** Headers that were not in the request. */
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** What a backend is asked when a client connects. */
export interface ConnectQuestion {
  /** The id of its connection. */
  readonly client: string;
  /** The headers of its request. */
  readonly headers: Headers;
  /** Its address. */
  readonly ip: string;
  /** What it tells about itself. */
  readonly about: AboutClient;
}

/** A user that a backend has found. */
export interface BackendUser extends Pick<AppUser, "user" | "permissions" | "info" | "meta"> {
  /** Channels that the server subscribes the client to. */
  readonly channels?: ReadonlyMap<string, SubscribeRequest>;
  /** Data for the client, as JSON text. */
  readonly data?: string;
  /** The backend's own state of this sign-in. */
  readonly session?: object;
}

/** What a backend changes when it renews a sign-in. */
export interface Renewal {
  /** What others may see of the user; any JSON value. */
  readonly info?: unknown;
  /** Data for the server only. */
  readonly meta?: unknown;
}

/** Decides in another service who a client is: {@linkcode proxies} has one. */
export interface SignInBackend {
  /** Whether it is asked about clients with credentials too, in place of checking these. */
  readonly always: boolean;
  /** Signs a client in; `undefined` if the client may only be anonymous. Absent if clients need credentials. */
  connect?(question: ConnectQuestion): Promise<BackendUser | undefined>;
  /** A connection has signed in, in any way. The backend may call `renew` later. */
  connected(
    conn: Connection,
    signIn: SignIn,
    about: AboutClient,
    renew: (renewal: Renewal) => void,
  ): void;
}
