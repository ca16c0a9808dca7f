import { PlugboardError, type Upgrade } from "../../../core/mod.ts";
import type { Access } from "../../auth/types.ts";
import { refusalFor } from "../../shared/http_errors.ts";
import { type Identity, isProven, unprovenIdentity } from "../../shared/identity.ts";
import { originMatcher, originRefused } from "../../shared/origins.ts";
import { idProblem } from "./names.ts";

/** An accepted client. */
export interface Accepted {
  readonly user: string;
  readonly session: string | undefined;
  readonly identity: Identity;
}

/**
 * Checks which user and session a client is, and stores the result until the connection opens. `ownerOf` returns the
 * user of a session.
 */
export function handshake({ access, requireToken, allowedOrigins, ownerOf }: {
  access: Pick<Access, "identityOf">;
  requireToken: boolean;
  allowedOrigins: readonly string[] | undefined;
  ownerOf: (session: string) => string | undefined;
}): {
  check(upgrade: Upgrade): Response | undefined;
  accepted(upgrade: Upgrade): Accepted;
} {
  const allowsOrigin = originMatcher("hub", "allowedOrigins", allowedOrigins ?? ["*"]);
  const results = new WeakMap<Upgrade, Accepted>();

  function accept(upgrade: Upgrade): Accepted {
    const origin = upgrade.headers.get("origin");
    if (origin !== null && !allowsOrigin(origin)) throw originRefused();
    const query = new URLSearchParams(/\?([^#]*)/.exec(upgrade.url)?.[1]);
    const user = query.get("userId") ?? "";
    const session = query.get("sessionId") || undefined;
    const problem = idProblem("userId", user) ?? (session && idProblem("sessionId", session));
    if (problem) throw new PlugboardError("bad_request", problem);

    const identity = access.identityOf(upgrade);
    const proven = isProven(identity);
    if (proven && identity.user !== user) throw denied("The token is another user's");
    if (!proven && requireToken) {
      throw new PlugboardError("unauthorized", "A token must prove that you are this user");
    }
    const owner = session && ownerOf(session);
    if (requireToken && owner !== undefined && owner !== user) throw denied("The session is another user's");
    // Clients of the hub send no requests, so they need no permissions.
    return { user, session, identity: proven ? identity : unprovenIdentity(user) };
  }

  return {
    check(upgrade) {
      try {
        results.set(upgrade, accept(upgrade));
      } catch (error) {
        return refusalFor(error);
      }
    },
    accepted: (upgrade) => results.get(upgrade)!,
  };
}

function denied(message: string): PlugboardError {
  return new PlugboardError("permission_denied", message);
}
