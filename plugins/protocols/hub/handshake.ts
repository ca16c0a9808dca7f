import { PlugboardError, refusalFor, type Upgrade } from "../../../core/mod.ts";
import type { Access } from "../../auth/types.ts";
import { type Identity, isProven, unprovenIdentity } from "../../shared/identity.ts";
import { originMatcher, originRefused } from "../../shared/origins.ts";
import { idProblem, type SessionKey, sessionKey } from "./names.ts";

/** An accepted client. */
export interface Accepted {
  readonly user: string;
  readonly session: SessionKey | undefined;
  readonly identity: Identity;
}

/** Checks which user and session a client is, and stores the result until the connection opens. */
export function handshake({ access, requireToken, allowedOrigins }: {
  access: Pick<Access, "identityOf">;
  requireToken: boolean;
  allowedOrigins: readonly string[] | undefined;
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
    // Clients of the hub send no requests, so they need no permissions.
    return {
      user,
      session: session === undefined ? undefined : sessionKey(session, requireToken ? user : undefined),
      identity: proven ? identity : unprovenIdentity(user),
    };
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
