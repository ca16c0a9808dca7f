/**
 * Tickets: how a client proves, when it returns, that an id is its own.
 *
 * @module
 */

import { createHmac, timingSafeEqual } from "node:crypto";

/** Gives out proofs and checks them; nothing has to be remembered for it. */
export interface Tickets {
  /** The proof that a client is this one, on this path. */
  issue(path: string, client: string): string;
  /** Whether a proof is good; takes the same time, whatever is wrong with it. */
  accepts(path: string, client: string, ticket: string): boolean;
}

/** Tickets signed with a secret (HMAC-SHA-256). */
export function ticketsWith(secret: string): Tickets {
  const sign = (path: string, client: string) =>
    createHmac("sha256", secret).update(`${path}\n${client}`).digest("base64url");
  return {
    issue: sign,
    accepts(path, client, ticket) {
      const right = new TextEncoder().encode(sign(path, client));
      const given = new TextEncoder().encode(ticket);
      return given.length === right.length && timingSafeEqual(given, right);
    },
  };
}
