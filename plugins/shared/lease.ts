/**
 * Leases: one node at a time may do something, as long as it renews its claim.
 *
 * @module
 */

/** A claim of a node. */
export interface Claim {
  /** What is claimed. */
  readonly name: string;
  /** Identifies the process that claims. */
  readonly holder: string;
  /** Where the holder is, for the others. */
  readonly address: string;
  /** How long the claim holds if it is not renewed. */
  readonly ttlMs: number;
  /**
   * The token that the claim sets. The lease goes only to those that know its latest token, and so have seen everything
   * that earlier holders did.
   */
  readonly token: string;
  /** The token of an earlier claim, if there was one. */
  readonly earlier?: string | undefined;
  /** Whether this node may be the first holder. */
  readonly first: boolean;
}

/** What became of a claim. */
export interface ClaimResult {
  /**
   * - `held`: this node holds the lease.
   * - `waiting`: another one holds it, and this node may be the next.
   * - `superseded`: the latest token is another one, so this node cannot have it.
   */
  readonly state: "held" | "waiting" | "superseded";
  /** Where the latest holder is or was. */
  readonly address: string;
}

/** Leases that all nodes share. Calls reject with `unavailable` if the result is not known. */
export interface Leases {
  /** Claims a lease, or renews it. */
  claim(claim: Claim): Promise<ClaimResult>;
  /** Gives a lease up, so that the next one need not wait. */
  release(claim: Pick<Claim, "name" | "holder">): Promise<void>;
}
