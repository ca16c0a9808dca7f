/**
 * Identities: who a client is and what it may do. Sign-in makes them, every service checks them.
 *
 * @module
 */

import { networkOf } from "../../core/mod.ts";

/**
 * What a client does with a resource. `query` means reading with SQL of one's own, `admin` means operating the server.
 * The permission to read and write everything includes neither.
 */
export type Verb = "read" | "write" | "query" | "admin";

/** A client's identity, as far as it is proven. */
export interface Identity {
  /** The user's id; empty for anonymous clients. */
  readonly user: string;
  /** Whether it has the permission: `can("read", "orders")`. */
  can(verb: Verb, resource: string): boolean;
  /** When the sign-in expires, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** What others may see of the user, as JSON text. */
  readonly info?: string;
  /** Set if the client signed in without credentials on a server that has sign-in. Its user id proves nothing. */
  readonly anonymous?: true;
}

/** A decision about a permission. */
export interface Verdict {
  /** Whether it is allowed. */
  readonly allowed: boolean;
  /** The rule that decided. */
  readonly rule: string;
}

/** Every client's identity on a server without sign-in: no name, all permissions. */
export const anonymousIdentity: Identity = { user: "", can: () => true };

/** Every client's sign-in on a server without sign-in. */
export const anonymousSignIn = {
  identity: anonymousIdentity,
  channels: new Map<string, never>(),
  data: undefined,
} as const;

/** Whether the sign-in proves a user id. Anonymous clients and clients of a server without sign-in prove none. */
export function isProven(identity: Identity | undefined): identity is Identity {
  return identity !== undefined && !identity.anonymous && identity.user !== "";
}

/** Returns the name under which a client's part of a shared limit counts: its proven user id, or its network. */
export function accountOf(identity: Identity | undefined, ip: string): string {
  return isProven(identity) ? `user ${identity.user}` : `network ${networkOf(ip)}`;
}

/** Returns the identity of a client with a name that it gave without proof. It has no permissions. */
export function unprovenIdentity(user = ""): Identity {
  return { user, can: () => false, anonymous: true };
}
