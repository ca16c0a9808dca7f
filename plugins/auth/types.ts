import type { CloseCode, Connection, Endpoint, MaybePromise, Upgrade } from "../../core/mod.ts";
import type { ChannelExtension, SubscribeRequest } from "../channels.ts";
import type { ApiKey } from "./api_keys.ts";
import type { AboutClient } from "./sign_in_backend.ts";
import type { Identity, Verb } from "../shared/identity.ts";

/**
 * The codes of the errors that {@linkcode Access} throws:
 *
 * - `unauthorized`: credentials are required (Centrifuge: error 101 or code 3501)
 * - `invalid_token`: the credentials are invalid (code 3500; error 103 for a subscription)
 * - `token_expired`: the client needs a new token (error 109)
 * - `token_mismatch`: the subscription token is for another channel, user or client (code 3500)
 * - `permission_denied`: the credentials are valid and do not allow this (error 103)
 * - `origin_not_allowed`: the request comes from a web page that is not allowed
 * - `connection_limit`: the user has too many connections (code 3504)
 * - `too_many_requests`: too many failed attempts from this address (error 111)
 * - `unavailable`: the keys that verify tokens cannot be fetched at the moment (error 100, temporary)
 */
export type AuthErrorCode =
  | "unauthorized"
  | "invalid_token"
  | "token_expired"
  | "token_mismatch"
  | "permission_denied"
  | "origin_not_allowed"
  | "connection_limit"
  | "too_many_requests"
  | "unavailable";

/** A successful sign-in. */
export interface SignIn {
  /** Who the client is and what it may do. */
  readonly identity: Identity;
  /** The permissions as the token, the key or the options list them. */
  readonly permissions: readonly string[];
  /** Channels that the server subscribes the client to. */
  readonly channels: ReadonlyMap<string, SubscribeRequest>;
  /** What the token tells only the server. */
  readonly meta?: unknown;
  /** Data for the client, as JSON text. */
  readonly data?: string;
  /** The state of the backend that has signed the client in. */
  readonly session?: object;
  /** The token's id (`jti`). */
  readonly id?: string;
  /** When the token was issued, in milliseconds since 1970. */
  readonly issuedAt?: number;
  /** The name of the API key that was used. */
  readonly apiKey?: string;
}

/** A client's credentials and their context, for the app's own check. */
export interface Credentials {
  /** From the request, or from the protocol's connect command. */
  readonly token?: string;
  /** From the request. */
  readonly apiKey?: string;
  /** The request's URL as sent; empty when a client refreshes its sign-in by a message. */
  readonly url: string;
  /** The request's headers, with its cookies. */
  readonly headers: Headers;
  /** The client's address. */
  readonly ip: string;
}

/** A user that the app's own check has found. */
export interface AppUser {
  /** The user's id. */
  readonly user: string;
  /** The user's permissions; by default those of the option `permissions`, which allow to read and write everything. */
  readonly permissions?: readonly string[];
  /** When the sign-in expires, in milliseconds since 1970. @default {never} */
  readonly expiresAt?: number;
  /** What others may see of the user; any JSON value. */
  readonly info?: unknown;
  /** Channels that the server subscribes the client to. */
  readonly channels?: readonly string[];
  /** Data for the server only. */
  readonly meta?: unknown;
}

/** What the option `rule` decides. */
export interface Question {
  /** The client. */
  readonly identity: Identity;
  /** What it wants to do. */
  readonly verb: Verb;
  /** The resource: a channel's name, for example. */
  readonly resource: string;
}

/** What a protocol knows when a client signs in. */
export interface ConnectOptions {
  /** The token of the protocol's connect command. Without one, the credentials of the request are used. */
  readonly token?: string | undefined;
  /** The name that the client gives. It is used only where names need no proof. */
  readonly user?: string | undefined;
  /** What the client tells about itself, for a backend. */
  readonly about?: AboutClient;
  /** Called once, some time before the sign-in expires, for protocols that can warn their client. */
  readonly expiring?: (expiresAt: number) => void;
  /** How the connection is closed when the sign-in has expired. @default {3005} */
  readonly expired?: CloseCode;
}

/** What a subscription token must match. */
export interface SubscriptionOf {
  /** The channel's name. */
  readonly channel: string;
  /** The user's id. */
  readonly user: string;
  /** The connection's id. */
  readonly client: string;
}

/** The result of {@linkcode Access.authenticateConnection}. */
export interface AuthResult {
  /** Whether the token is valid. */
  readonly success: boolean;
  /** The user's id; empty for anonymous clients. */
  readonly userId?: string;
  /** The user's permissions. */
  readonly permissions?: readonly string[];
  /** Why the token is not valid. */
  readonly error?: string;
}

/** Options of an API key. */
export interface ApiKeyOptions {
  /** The name in lists and logs. */
  readonly name: string;
  /** As in a token: `read:metrics`, `write:*`, `admin`. */
  readonly permissions: readonly string[];
  /** When the key expires, in milliseconds since 1970. @default {never} */
  readonly expiresAt?: number;
  /** The user id of the key's holder. @default {""} */
  readonly user?: string;
}

/** An API key in a list, without the key itself. */
export type ApiKeyInfo = ApiKeyOptions & { readonly addedAt: number };

/**
 * Which tokens to revoke, and when the revocation itself expires. Tokens have their time of issue in whole seconds, so
 * a token issued in the second of the revocation is revoked too.
 */
export type Revocation =
  /** One token, by its id. */
  | { readonly jti: string; readonly until?: number }
  /** All tokens of a user, issued until now or until another time in milliseconds since 1970. */
  | { readonly user: string; readonly issuedBefore?: number; readonly until?: number }
  /** All tokens issued until a time. */
  | { readonly issuedBefore: number };

/** Limits attempts to sign in; `rate_limits` has one. */
export interface SignInGuard {
  /** Called before credentials are checked: throws after too many failures, waits after many. */
  attempt(ip: string): MaybePromise<void>;
  /** The credentials were invalid. */
  failed(ip: string): void;
  /** A connection has signed in; throws if the user has too many. */
  signedIn(conn: Connection, user: string): void;
}

/** The parts of an HTTP request that may contain credentials. */
export type RequestHead = Pick<Request, "url" | "headers">;

/** Hono middleware. */
export type Middleware = (
  c: { readonly req: { readonly raw: Request }; readonly env: { readonly ip: string } },
  next: () => Promise<void>,
) => Promise<Response | void>;

/** Sign-in and permissions, as other plugins and the app use them. */
export interface Access {
  /** Whether every client has all permissions because no sign-in is configured. */
  readonly open: boolean;
  /** Whether there is a way to sign in with credentials: tokens, API keys or the app's own check. */
  readonly signsIn: boolean;
  /** Asks the app's `subscribeRule` before each subscribe: `channels({ access })`. */
  readonly extension: ChannelExtension;

  /**
   * Signs a connection in: by the given token, else by the credentials of its request, else anonymously. The
   * connection is closed when the sign-in expires or is revoked. No promise where nothing waits.
   */
  connect(conn: Connection, options?: ConnectOptions): MaybePromise<SignIn>;
  /** Refreshes a connection's sign-in with a new token of the same user. */
  refresh(conn: Connection, token: string): Promise<SignIn>;
  /** Calls back when a connection has signed in, over any protocol. Returns the function that ends it. */
  onSignedIn(listener: (conn: Connection, signIn: SignIn) => void): () => void;
  /** Calls back when a backend has renewed the identity of a connection. Returns the function that ends it. */
  onRenewed(listener: (conn: Connection, identity: Identity) => void): () => void;
  /** Changes the expiry of a connection's sign-in; `undefined` means never. */
  prolong(conn: Connection, expiresAt: number | undefined): Identity | undefined;
  /** Verifies a subscription token; returns what it adds to the client's request. */
  verifySubscription(token: string, subscription: SubscriptionOf): Promise<SubscribeRequest>;
  /** Returns the identity of a connection that has signed in, or of an upgrade with valid credentials. */
  identityOf(who: Connection | Upgrade): Identity | undefined;
  /** Returns the sign-in of a connection. */
  signInOf(conn: Connection): SignIn | undefined;
  /**
   * Accepts clients of an endpoint without credentials: its protocol calls {@linkcode Access.connect} later. Call this
   * in `start`. All other endpoints refuse requests without valid credentials.
   */
  signsInByMessage(endpoint: Endpoint): void;
  /** For an endpoint's `upgrade`: returns the refusal (401, 403) if the client lacks the permission. */
  refusal(upgrade: Upgrade, verb: Verb, resource: string): Response | undefined;
  /** What the client may do on a path, for `paths`: the permissions are `read:path:NAME` and `write:path:NAME`. */
  allowPath(upgrade: Upgrade, path: string): Response | Verb;

  /** Signs in an HTTP request by `Authorization`, `X-API-Key`, `?token=` or `?api_key=`. */
  requestIdentity(request: RequestHead, ip?: string): Promise<Identity>;
  /** Throws an error with an {@linkcode AuthErrorCode} unless the sender of an HTTP request has the permission. */
  authorize(request: RequestHead, ip: string, verb: Verb, resource: string): Promise<void>;
  /**
   * Signs in the sender of an HTTP request as a backend: it needs an API key, or the permission `admin:api`. Throws like
   * {@linkcode Access.authorize}.
   */
  authorizeBackend(request: RequestHead, ip: string): Promise<Identity>;
  /** Returns a check for HTTP requests, for options such as `allow` of `stats`. */
  allowRequest(verb: Verb, resource: string): (request: RequestHead, ip: string) => Promise<boolean>;
  /** Returns middleware that answers 401 or 403 without the permission; by default it admits only admins. */
  requireAuth(verb?: Verb, resource?: string): Middleware;
  /** Whether a web page may talk to this server. Requests without `Origin` do not come from a page. */
  allowsOrigin(headers: Headers): boolean;

  /** Verifies a connection token. */
  verify(token: string): Promise<SignIn>;
  /** Verifies a connection token, without throwing. */
  authenticateConnection(token: string): Promise<AuthResult>;
  /** Returns an anonymous sign-in; throws `unauthorized` if those are not allowed. */
  anonymous(user?: string): SignIn;

  /** Adds an API key, which is valid at once. Only its hash is stored. */
  addApiKey(key: string, options: ApiKeyOptions): void;
  /** Makes an API key, which is valid at once. Its hash is stored where sign-in has the option `keyStore`. */
  createApiKey(options: ApiKeyOptions): Promise<string>;
  /**
   * Checks other API keys instead of those of the option `apiKeys`. Returns the function that replaces them, and closes the
   * connections of those that have ended or changed.
   */
  prepareApiKeys(keys: readonly ApiKey[]): () => void;
  /** Lists the API keys. */
  apiKeys(): readonly ApiKeyInfo[];
  /** Revokes an API key, closes its connections, and resolves when the revocation is stored; `false` if unknown. */
  revokeApiKey(name: string): Promise<boolean>;
  /** Revokes tokens, closes their connections, and resolves to their number when the revocation is stored. */
  revoke(revocation: Revocation): Promise<number>;
}
