/**
 * Who somebody is, and what they may do: the type that sign-in makes and every service asks.
 *
 * @module
 */

/**
 * What somebody wants to do with a thing. To `query` is to read by SQL of one's own; `admin` is the server's own
 * business. Neither is included where somebody may read and write everything.
 */
export type Verb = "read" | "write" | "query" | "admin";

/** Somebody, as far as it was proven. */
export interface Identity {
  /** The user's id; empty for somebody anonymous. */
  readonly user: string;
  /** Whether they may: `can("read", "orders")`. */
  can(verb: Verb, resource: string): boolean;
  /** When the proof ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** What others may see of them, as JSON text. */
  readonly info?: string;
  /** They were let in without proof where others bring one: an id they have is made up. */
  readonly anonymous?: true;
}

/** Somebody without a name who may do everything: everyone, on a server without sign-in. */
export const anybody: Identity = { user: "", can: () => true };
