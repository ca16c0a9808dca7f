/**
 * Arrivals: who a client says it is, and whether that may be.
 *
 * @module
 */

import { refusal, type Upgrade } from "../../../core/mod.ts";
import type { Access } from "../../auth/types.ts";
import type { Identity } from "../../shared/identity.ts";
import { unfitId } from "./names.ts";

/** A client that was let in. */
export interface Arrival {
  readonly user: string;
  readonly session: string | undefined;
  readonly identity: Identity;
}

/** What the check works with. */
export interface ArrivalOptions {
  readonly access: Pick<Access, "identityOf"> | undefined;
  readonly requireToken: boolean;
  readonly allowedOrigins: readonly string[] | undefined;
  /** Who a session belongs to, if anybody. */
  ownerOf(session: string): string | undefined;
}

/** Checks upgrades, and remembers what they said until the connection opens. */
export function arrivalCheck({ access, requireToken, allowedOrigins, ownerOf }: ArrivalOptions): {
  check(upgrade: Upgrade): Response | undefined;
  of(upgrade: Upgrade): Arrival;
} {
  const arrivals = new WeakMap<Upgrade, Arrival>();

  return {
    check(upgrade) {
      const { url, headers } = upgrade;
      if (!allowsOrigin(allowedOrigins, headers.get("origin"))) {
        return refusal(403, "origin_not_allowed", "Pages of this origin may not connect");
      }
      const query = new URLSearchParams(/\?([^#]*)/.exec(url)?.[1]);
      const user = query.get("userId") ?? "";
      const session = query.get("sessionId") || undefined;
      const problem = unfitId("userId", user) ??
        (session === undefined ? undefined : unfitId("sessionId", session));
      if (problem !== undefined) return refusal(400, "bad_request", problem);

      const proven = access?.identityOf(upgrade);
      // On an open server everybody may do everything, and is nobody in particular.
      const known = proven !== undefined && !proven.anonymous && proven.user !== "";
      if (known && proven.user !== user) {
        return refusal(403, "permission_denied", "The token is another user's");
      }
      if (!known && requireToken) {
        return refusal(401, "unauthorized", "A token has to prove that you are this user");
      }
      const owner = session === undefined ? undefined : ownerOf(session);
      if (requireToken && owner !== undefined && owner !== user) {
        return refusal(403, "permission_denied", "The session is another user's");
      }
      arrivals.set(upgrade, { user, session, identity: known ? proven : claimed(user) });
    },
    of: (upgrade) => arrivals.get(upgrade)!,
  };
}

/** Somebody who says so. Clients of the hub cannot ask for anything, so there is nothing they may. */
function claimed(user: string): Identity {
  return { user, can: () => false, anonymous: true };
}

/** Only browsers send an origin, and no page can forge it. */
function allowsOrigin(allowed: readonly string[] | undefined, origin: string | null): boolean {
  return allowed === undefined || origin === null || allowed.includes(origin) || allowed.includes("*");
}
