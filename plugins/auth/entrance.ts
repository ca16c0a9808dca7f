/**
 * The entrance: from a request, or from a token that comes later, to a connection that has signed in.
 *
 * @module
 */

import { closeCode, type Connection, type Endpoint, PlugboardError, type Upgrade } from "../../core/mod.ts";
import { isLocal } from "../shared/client_ip.ts";
import { originRefusal, permissionRefusal, refusalFor } from "./http.ts";
import { findProof, markerAmong } from "./proofs.ts";
import type { Sessions } from "./sessions.ts";
import type { Signer } from "./signer.ts";
import type { Access, ConnectOptions, ProofCarrier, SignIn, SignInGuard } from "./types.ts";

/** What the entrance works with. */
export interface EntranceParts {
  /** Nobody has to prove anything. */
  readonly open: boolean;
  readonly sign: Signer;
  readonly sessions: Sessions;
  readonly limits: SignInGuard | undefined;
  readonly admits: (headers: Headers) => boolean;
}

/** The entrance's hooks, and its part of the API. */
export type Entrance =
  & Pick<Access, "connect" | "refresh" | "identityOf" | "signsInByMessage" | "refusal">
  & {
    /** The sign-in a request stands for; somebody anonymous if need be. */
    prove(request: ProofCarrier, ip: string, offered?: readonly string[]): Promise<SignIn>;
    upgrade(upgrade: Upgrade): Promise<Response | undefined>;
    open(conn: Connection, upgrade: Upgrade): void;
  };

/** What became of a request's proof. */
type Outcome = SignIn | PlugboardError;

const invalidToken = closeCode(3500, "invalid token");
const connectionLimit = closeCode(3504, "connection limit");

/** Builds the entrance. */
export function entrance({ open, sign, sessions, limits, admits }: EntranceParts): Entrance {
  /** Endpoints whose clients send their proof in a message. */
  const byMessage = new WeakSet<Endpoint>();
  const outcomes = new WeakMap<Upgrade, Outcome>();
  /** Connections that are let in and have not signed in yet. */
  const waiting = new WeakMap<Connection, Upgrade>();

  async function prove(request: ProofCarrier, ip: string, offered?: readonly string[]): Promise<SignIn> {
    const { url, headers } = request;
    const signIn = await sign.prove({ ...findProof(url, headers, offered), url, headers, ip });
    return signIn ?? sign.anonymous(undefined, !open || isLocal({ headers, ip }));
  }

  /** The sign-in by a token that came in a message; the request's other parts are for the app's own check. */
  async function proveToken(conn: Connection, token: string): Promise<SignIn> {
    const { url = "", headers = new Headers() } = waiting.get(conn) ?? {};
    return await sign.prove({ token, url, headers, ip: conn.ip }) ?? arrived(conn);
  }

  /** The sign-in by what the request brought. */
  function arrived(conn: Connection, user?: string): SignIn {
    const upgrade = waiting.get(conn);
    const outcome = sessions.get(conn) ?? (upgrade && outcomes.get(upgrade));
    if (outcome instanceof PlugboardError) throw outcome;
    // Somebody anonymous may still say how they are called, where that counts.
    if (outcome === undefined || outcome.identity.anonymous || open) return sign.anonymous(user);
    return outcome;
  }

  function begin(conn: Connection, signIn: SignIn, options?: ConnectOptions): void {
    sign.recheck(signIn);
    if (!conn.open) return;
    if (sessions.get(conn) === undefined) limits?.signedIn(conn, signIn.identity.user);
    sessions.begin(conn, signIn, options);
    waiting.delete(conn);
  }

  return {
    prove,

    async upgrade(upgrade) {
      if (!admits(upgrade.headers)) return originRefusal();
      upgrade.protocol ??= markerAmong(upgrade.offered);
      try {
        outcomes.set(upgrade, await prove(upgrade, upgrade.ip, upgrade.offered));
      } catch (error) {
        if (!byMessage.has(upgrade.endpoint)) return refusalFor(error);
        if (!(error instanceof PlugboardError)) throw error;
        outcomes.set(upgrade, error);
      }
    },

    open(conn, upgrade) {
      if (byMessage.has(upgrade.endpoint)) {
        waiting.set(conn, upgrade);
        return;
      }
      try {
        begin(conn, outcomes.get(upgrade) as SignIn);
      } catch (error) {
        const limited = error instanceof PlugboardError && error.code === "connection_limit";
        conn.close(limited ? connectionLimit : invalidToken);
      }
    },

    async connect(conn, options = {}) {
      const { token, user } = options;
      const signIn = token ? await proveToken(conn, token) : arrived(conn, user);
      begin(conn, signIn, options);
      return signIn;
    },

    async refresh(conn, token) {
      const signIn = await proveToken(conn, token);
      if (signIn.identity.user !== sessions.get(conn)?.identity.user) {
        throw new PlugboardError("invalid_token", "Invalid token", {
          cause: new Error("another user's token"),
        });
      }
      sign.recheck(signIn);
      sessions.renew(conn, signIn);
      return signIn;
    },

    identityOf(who) {
      const outcome = "offered" in who ? outcomes.get(who) : sessions.get(who);
      return outcome instanceof PlugboardError ? undefined : outcome?.identity;
    },

    signsInByMessage: (endpoint) => void byMessage.add(endpoint),

    refusal(upgrade, verb, resource) {
      const outcome = outcomes.get(upgrade);
      if (outcome instanceof PlugboardError) return refusalFor(outcome);
      return permissionRefusal(outcome, verb, resource);
    },
  };
}
