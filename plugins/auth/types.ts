/**
 * The words of sign-in: proofs, what they prove, and what other plugins may ask.
 *
 * @module
 */

import type { CloseCode, Connection, Endpoint, MaybePromise, Upgrade } from "../../core/mod.ts";
import type { ChannelExtension, SubscribeRequest } from "../channels/types.ts";
import type { Identity, Verb } from "../shared/identity.ts";

/**
 * Why somebody was not let in. They are the `code` of the errors that {@linkcode Access} throws:
 *
 * - `unauthorized`: no proof was given, and nobody is let in without (Centrifuge: error 101 or code 3501)
 * - `invalid_token`: the proof is worth nothing (code 3500; error 103 for a subscription)
 * - `token_expired`: it was good once; fetch another (error 109)
 * - `token_mismatch`: a subscription token for another channel, user or client (code 3500)
 * - `permission_denied`: the proof is good and does not allow this (error 103)
 * - `connection_limit`: the user has too many connections (code 3504)
 * - `too_many_requests`: too many failed attempts from this address (error 111)
 * - `unavailable`: the keys to check the proof by cannot be had for now; try again (error 100, temporary)
 */
export type AuthErrorCode =
  | "unauthorized"
  | "invalid_token"
  | "token_expired"
  | "token_mismatch"
  | "permission_denied"
  | "connection_limit"
  | "too_many_requests"
  | "unavailable";

/** What a proof proves. */
export interface SignIn {
  /** Who, and what they may do. */
  readonly identity: Identity;
  /** As the token, the key or the options list them. */
  readonly permissions: readonly string[];
  /** Channels that the server subscribes the client to at once. */
  readonly channels: ReadonlyMap<string, SubscribeRequest>;
  /** What the token says for the server alone. */
  readonly meta?: unknown;
  /** The token's id (`jti`). */
  readonly id?: string;
  /** When the token was issued, in milliseconds since 1970. */
  readonly issuedAt?: number;
  /** The name of the API key that proved it. */
  readonly apiKey?: string;
}

/** What a client brought, for the app's own check. */
export interface Brought {
  /** From the request, or from the protocol's connect command. */
  readonly token?: string;
  /** From the request. */
  readonly apiKey?: string;
  /** The URL of its request, as it was sent; empty when a client renews its sign-in by a message. */
  readonly url: string;
  /** Cookies among them. */
  readonly headers: Headers;
  /** The client's address. */
  readonly ip: string;
}

/** Somebody the app's own check knows. */
export interface AppUser {
  /** Their id. */
  readonly user: string;
  /** What they may do. @default {as with a token that lists none} */
  readonly permissions?: readonly string[];
  /** When the sign-in ends, in milliseconds since 1970. @default {never} */
  readonly expiresAt?: number;
  /** What others may see of them; anything that JSON can say. */
  readonly info?: unknown;
  /** Channels that the server subscribes them to at once. */
  readonly channels?: readonly string[];
  /** Something for the server alone. */
  readonly meta?: unknown;
}

/** Somebody asks to do something; see the option `rule`. */
export interface Question {
  /** Who asks. */
  readonly identity: Identity;
  /** To do what. */
  readonly verb: Verb;
  /** With what: a channel's name, say. */
  readonly resource: string;
}

/** What a protocol knows when a client signs in. */
export interface ConnectOptions {
  /** The token in the protocol's connect command. Without one, what the client's request brought counts. */
  readonly token?: string | undefined;
  /** How the client calls itself, without proof; counts only where nobody has to prove anything. */
  readonly user?: string | undefined;
  /** Called once, some time before the sign-in ends, for protocols that can tell their client. */
  readonly expiring?: (expiresAt: number) => void;
  /** How the connection is closed when the sign-in has ended and was not refreshed. @default {3005} */
  readonly expired?: CloseCode;
}

/** Whom and what a subscription token must be for. */
export interface SubscriptionOf {
  /** The channel's name. */
  readonly channel: string;
  /** The user's id. */
  readonly user: string;
  /** The connection's id. */
  readonly client: string;
}

/** What {@linkcode Access.authenticateConnection} found. */
export interface AuthResult {
  /** Whether the proof is good. */
  readonly success: boolean;
  /** Whose it is; empty for somebody anonymous. */
  readonly userId?: string;
  /** What they may do. */
  readonly permissions?: readonly string[];
  /** Why it is not good, in words for people. */
  readonly error?: string;
}

/** What an API key may do, and until when. */
export interface ApiKeyOptions {
  /** What lists and logs call it. */
  readonly name: string;
  /** As in a token: `read:metrics`, `write:*`, `admin`. */
  readonly permissions: readonly string[];
  /** When it ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** The user its holder is. @default {""} */
  readonly user?: string;
}

/** An API key as a list shows it; the key itself is known to its holder alone. */
export type ApiKeyInfo = ApiKeyOptions & { readonly addedAt: number };

/**
 * Which proofs are worth nothing any more, and when that may be forgotten. Tokens tell their time of issue in whole
 * seconds, so that one issued in the very second of a revocation is refused too.
 */
export type Revocation =
  /** One token, by its id. */
  | { readonly jti: string; readonly until?: number }
  /** All tokens of a user, issued until now or until another time in milliseconds since 1970. */
  | { readonly user: string; readonly issuedBefore?: number; readonly until?: number }
  /** All tokens issued until a time. */
  | { readonly issuedBefore: number };

/** Asked and told about attempts to sign in; rate limits are one. */
export interface SignInGuard {
  /** Before a proof is checked: throws when there were too many, waits when there were many. */
  attempt(ip: string): MaybePromise<void>;
  /** The proof was worth nothing. */
  failed(ip: string): void;
  /** Somebody has signed in; throws when the user has too many connections. */
  signedIn(conn: Connection, user: string): void;
}

/** The parts of an HTTP request that may carry a proof. */
export type ProofCarrier = Pick<Request, "url" | "headers">;

/** Hono middleware: looks at an HTTP request before its handler does. */
export type Middleware = (
  c: { readonly req: { readonly raw: Request }; readonly env: { readonly ip: string } },
  next: () => Promise<void>,
) => Promise<Response | void>;

/** Who may come in and what they may do, as other plugins and the app ask it. */
export interface Access {
  /** Whether everybody may do everything, because no sign-in was configured. */
  readonly open: boolean;
  /** Asks the app's `subscribeRule` before each subscribe: `bus.extend(access.extension)`. */
  readonly extension: ChannelExtension;

  /**
   * Signs a connection in: by the token given, else by what its request brought, else as somebody anonymous.
   * From then on its sign-in is watched: it is closed when that expires or is revoked.
   */
  connect(conn: Connection, options?: ConnectOptions): Promise<SignIn>;
  /** Prolongs a connection's sign-in by a newer token of the same user. */
  refresh(conn: Connection, token: string): Promise<SignIn>;
  /** Gives a connection's sign-in another end, without a token; `undefined` for none. */
  prolong(conn: Connection, expiresAt: number | undefined): Identity | undefined;
  /** Checks a subscription token; gives what it adds to the client's request. */
  verifySubscription(token: string, subscription: SubscriptionOf): Promise<SubscribeRequest>;
  /** Who is behind a connection that has signed in, or behind an upgrade that brought a proof. */
  identityOf(who: Connection | Upgrade): Identity | undefined;
  /** The sign-in of a connection. */
  signInOf(conn: Connection): SignIn | undefined;
  /**
   * Lets clients of an endpoint in without proof: its protocol calls {@linkcode Access.connect} when they bring
   * one. To be called in `start`. All other endpoints are closed to those who bring none with the request.
   */
  signsInByMessage(endpoint: Endpoint): void;
  /** For an endpoint's `upgrade`: the refusal (401, 403) of somebody who may not do this. */
  refusal(upgrade: Upgrade, verb: Verb, resource: string): Response | undefined;
  /** What somebody may do on a path, as `paths` asks it: `read:path:NAME` and `write:path:NAME` are the permissions. */
  allowPath(upgrade: Upgrade, path: string): Response | Verb;

  /** Who sends an HTTP request, by `Authorization`, `X-API-Key`, `?token=` or `?api_key=`. */
  requestIdentity(request: ProofCarrier, ip?: string): Promise<Identity>;
  /** Tells of HTTP requests whether their sender may do this: for the `allow` of `stats`, say. */
  allowRequest(verb: Verb, resource: string): (request: ProofCarrier, ip: string) => Promise<boolean>;
  /** Answers 401 or 403 to those who may not; without arguments, to all but admins. */
  requireAuth(verb?: Verb, resource?: string): Middleware;
  /** Whether a browser's page may talk to this server; requests without `Origin` are not a page's. */
  allowsOrigin(headers: Headers): boolean;

  /** Checks a connection token. */
  verify(token: string): Promise<SignIn>;
  /** The same without a throw, in the words of a result. */
  authenticateConnection(token: string): Promise<AuthResult>;
  /** Somebody without proof, if such are let in; throws `unauthorized` otherwise. */
  anonymous(user?: string): SignIn;

  /** Adds an API key; it counts at once. Only its hash is kept. */
  addApiKey(key: string, options: ApiKeyOptions): void;
  /** The keys there are. */
  apiKeys(): readonly ApiKeyInfo[];
  /** Ends an API key, closes the connections that use it, and resolves when that is kept; `false` if unknown. */
  revokeApiKey(name: string): Promise<boolean>;
  /** Ends tokens, closes their connections at once, and resolves to their number when the revocation is kept. */
  revoke(revocation: Revocation): Promise<number>;
}
