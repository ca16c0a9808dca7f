import { type CloseCode, closeCodes, type Connection } from "../../core/mod.ts";
import type { Identity } from "../shared/identity.ts";
import type { ConnectOptions, SignIn } from "./types.ts";

interface Session {
  signIn: SignIn;
  warned: boolean;
  readonly expiring: ((expiresAt: number) => void) | undefined;
  readonly expired: CloseCode;
  /** How long after the expiry the client may still refresh. */
  readonly graceMs: number;
}

/** The sessions of connections that have signed in, until their sign-in expires. */
export class Sessions {
  readonly #sessions = new Map<Connection, Session>();
  /** Those that expire. Most connections of some servers never do, and are not looked at each second. */
  readonly #expiring = new Set<Connection>();
  readonly #warnMs: number;
  readonly #graceMs: number;

  /** Clients are warned `warnMs` before their sign-in expires, and may refresh it until `graceMs` after. */
  constructor(warnMs: number, graceMs: number) {
    this.#warnMs = warnMs;
    this.#graceMs = graceMs;
  }

  /** Begins a session, or replaces it. Without options, its client cannot refresh it. */
  begin(
    conn: Connection,
    signIn: SignIn,
    options?: ConnectOptions,
  ): void {
    if (!conn.open) return;
    const { expiring, expired = closeCodes.connectionExpired } = options ?? {};
    const graceMs = options === undefined ? 0 : this.#graceMs;
    this.#sessions.set(conn, { signIn, warned: false, expiring, expired, graceMs });
    this.#watch(conn, signIn);
  }

  get(conn: Connection): SignIn | undefined {
    return this.#sessions.get(conn)?.signIn;
  }

  /** Replaces the sign-in. The client is warned again. */
  renew(conn: Connection, signIn: SignIn): void {
    const session = this.#sessions.get(conn);
    if (session === undefined) return;
    session.signIn = signIn;
    session.warned = false;
    this.#watch(conn, signIn);
  }

  /** Changes the expiry; returns the new identity. */
  prolong(conn: Connection, expiresAt: number | undefined): Identity | undefined {
    const signIn = this.get(conn);
    if (signIn === undefined) return undefined;
    const { expiresAt: _, ...timeless } = signIn.identity;
    const identity = expiresAt === undefined ? timeless : { ...timeless, expiresAt };
    this.renew(conn, { ...signIn, identity });
    return identity;
  }

  end(conn: Connection): void {
    this.#sessions.delete(conn);
    this.#expiring.delete(conn);
  }

  /** Closes the connections whose sign-in matches; returns their number. */
  closeWhere(matches: (signIn: SignIn) => boolean, why: CloseCode): number {
    const found = [...this.#sessions].filter(([, { signIn }]) => matches(signIn));
    for (const [conn] of found) conn.close(why);
    return found.length;
  }

  /** Warns clients whose sign-in expires soon, and closes those after the grace period. */
  sweep(now: number, failed: (error: unknown) => void): void {
    for (const conn of this.#expiring) {
      const session = this.#sessions.get(conn)!;
      const { expiresAt } = session.signIn.identity;
      if (expiresAt === undefined || now < expiresAt - this.#warnMs) continue;
      if (now >= expiresAt + session.graceMs) {
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

  #watch(conn: Connection, { identity: { expiresAt } }: SignIn): void {
    if (expiresAt === undefined) this.#expiring.delete(conn);
    else this.#expiring.add(conn);
  }
}
