/**
 * The roster: who is connected, by user and by session.
 *
 * @module
 */

import type { Connection } from "../../../core/mod.ts";

/** One connection's place. */
export interface Seat {
  readonly conn: Connection;
  readonly user: string;
  readonly session: string | undefined;
}

/** How many there are. The names are those of `/health`. */
export interface HubStats {
  /** Users with a connection. */
  readonly total_users: number;
  /** Connections. */
  readonly total_connections: number;
  /** Sessions with a connection. */
  readonly total_sessions: number;
}

/** Everybody who is connected here. */
export class Roster {
  readonly #users = new Map<string, Set<Seat>>();
  readonly #sessions = new Map<string, Set<Seat>>();
  readonly #seats = new Set<Seat>();

  add(seat: Seat): void {
    this.#seats.add(seat);
    addTo(this.#users, seat.user, seat);
    if (seat.session !== undefined) addTo(this.#sessions, seat.session, seat);
  }

  delete(seat: Seat): void {
    this.#seats.delete(seat);
    deleteFrom(this.#users, seat.user, seat);
    if (seat.session !== undefined) deleteFrom(this.#sessions, seat.session, seat);
  }

  /** A user's connections. */
  ofUser(user: string): ReadonlySet<Seat> {
    return this.#users.get(user) ?? NOBODY;
  }

  /** A session's connections; of several users, where nobody has to prove who they are. */
  ofSession(session: string): ReadonlySet<Seat> {
    return this.#sessions.get(session) ?? NOBODY;
  }

  /** The user of a session, if it is here. */
  ownerOf(session: string): string | undefined {
    for (const { user } of this.ofSession(session)) return user;
  }

  /** Everybody. */
  [Symbol.iterator](): IterableIterator<Seat> {
    return this.#seats.values();
  }

  get stats(): HubStats {
    return {
      total_users: this.#users.size,
      total_connections: this.#seats.size,
      total_sessions: this.#sessions.size,
    };
  }
}

const NOBODY: ReadonlySet<Seat> = new Set();

function addTo(groups: Map<string, Set<Seat>>, id: string, seat: Seat): void {
  const group = groups.get(id);
  if (group === undefined) groups.set(id, new Set([seat]));
  else group.add(seat);
}

function deleteFrom(groups: Map<string, Set<Seat>>, id: string, seat: Seat): void {
  const group = groups.get(id);
  group?.delete(seat);
  if (group?.size === 0) groups.delete(id);
}
