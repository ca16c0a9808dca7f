/**
 * What sign-in tells the operator when the server starts.
 *
 * @module
 */

import { PlugboardError } from "../../core/mod.ts";

/** The server has no sign-in. */
export const OPEN = "no sign-in is configured: every client on this machine has all permissions, " +
  "also for channels that begin with $ (set JWT_SECRET, JWKS_URL or API_KEYS to change that)";

/** Tells how clients sign in. */
export function signInBy(ways: readonly string[], anonymous: boolean): string {
  if (ways.length === 0) return "clients cannot sign in: all of them are anonymous";
  return `clients sign in by ${ways.join(" and ")}; others are ${anonymous ? "anonymous" : "refused"}`;
}

/** The error of a server without sign-in that others can reach. */
export function needsSignIn(hostname: string): PlugboardError {
  return new PlugboardError(
    "no_sign_in",
    `Cannot start auth: the server listens on ${hostname}, beyond this machine, without sign-in. ` +
      "Set JWT_SECRET, JWKS_URL or API_KEYS, or accept anonymous clients with ALLOW_ANONYMOUS=1",
  );
}
