/**
 * Sessions: connections that have signed in, watched until their sign-in ends.
 *
 * @module
 */

import { type CloseCode, closeCode, type Connection } from "../../core/mod.ts";
import type { Identity } from "../shared/identity.ts";
import type { ConnectOptions, SignIn } from "./types.ts";

/** When clients are told, and when they are closed. */
export interface SessionTimes {
  /** How long before the end they are told. */
  readonly warnMs: number;
  /** How long after the end they may still renew. */
  readonly graceMs: number;
}

interface Session {
  signIn: SignIn;
  warned: boolean;
  readonly expiring: ((expiresAt: number) => void) | undefined;
  readonly expired: CloseCode;
}

const connectionExpired = closeCode(3005, "connection expired");

/** Everybody who has signed in. */
export class Sessions {
  readonly #live = new Map<Connection, Session>();
  readonly #times: SessionTimes;

  constructor(times: SessionTimes) {
    this.#times = times;
  }

  /** Begins, or begins anew. */
  begin(
    conn: Connection,
    signIn: SignIn,
    { expiring, expired = connectionExpired }: ConnectOptions = {},
  ): void {
    if (conn.open) this.#live.set(conn, { signIn, warned: false, expiring, expired });
  }

  get(conn: Connection): SignIn | undefined {
    return this.#live.get(conn)?.signIn;
  }

  /** Replaces the sign-in; the client will be told of its end anew. */
  renew(conn: Connection, signIn: SignIn): void {
    const session = this.#live.get(conn);
    if (session === undefined) return;
    session.signIn = signIn;
    session.warned = false;
  }

  /** Gives the sign-in another end; gives the identity, if there is one. */
  prolong(conn: Connection, expiresAt: number | undefined): Identity | undefined {
    const signIn = this.get(conn);
    if (signIn === undefined) return undefined;
    const { expiresAt: _, ...timeless } = signIn.identity;
    const identity = expiresAt === undefined ? timeless : { ...timeless, expiresAt };
    this.renew(conn, { ...signIn, identity });
    return identity;
  }

  end(conn: Connection): void {
    this.#live.delete(conn);
  }

  /** Closes connections; gives their number. */
  closeWhere(holds: (signIn: SignIn) => boolean, why: CloseCode): number {
    const found = [...this.#live].filter(([, { signIn }]) => holds(signIn));
    for (const [conn] of found) conn.close(why);
    return found.length;
  }

  /** Tells those whose end is near, and closes those who let it pass. */
  sweep(now: number, failed: (error: unknown) => void): void {
    const { warnMs, graceMs } = this.#times;
    for (const [conn, session] of this.#live) {
      const { expiresAt } = session.signIn.identity;
      if (expiresAt === undefined || now < expiresAt - warnMs) continue;
      if (now >= expiresAt + graceMs) {
        conn.close(session.expired);
      } else if (!session.warned) {
        session.warned = true;
        try {
          session.expiring?.(expiresAt);
        } catch (error) {
          failed(error);
        }
      }
    }
  }
}
