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
  readonly #users = new Groups();
  readonly #sessions = new Groups();
  readonly #seats = new Set<Seat>();

  add(seat: Seat): void {
    this.#seats.add(seat);
    this.#users.add(seat.user, seat);
    if (seat.session !== undefined) this.#sessions.add(seat.session, seat);
  }

  delete(seat: Seat): void {
    this.#seats.delete(seat);
    this.#users.delete(seat.user, seat);
    if (seat.session !== undefined) this.#sessions.delete(seat.session, seat);
  }

  /** A session's connections; of several users, where nobody has to prove who they are. */
  ofSession(session: string): readonly Seat[] {
    return this.#sessions.of(session);
  }

  /** The user of a session, if it is here. */
  ownerOf(session: string): string | undefined {
    return this.#sessions.of(session)[0]?.user;
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

/** Seats by an id. Most ids have one seat, which then takes the place of a set: that saves 300 bytes for each. */
class Groups {
  readonly #groups = new Map<string, Seat | Set<Seat>>();

  get size(): number {
    return this.#groups.size;
  }

  of(id: string): readonly Seat[] {
    const group = this.#groups.get(id);
    if (group === undefined) return [];
    return group instanceof Set ? [...group] : [group];
  }

  add(id: string, seat: Seat): void {
    const group = this.#groups.get(id);
    if (group === undefined) this.#groups.set(id, seat);
    else if (group instanceof Set) group.add(seat);
    else this.#groups.set(id, new Set([group, seat]));
  }

  delete(id: string, seat: Seat): void {
    const group = this.#groups.get(id);
    if (group instanceof Set) group.delete(seat);
    if (group === seat || group instanceof Set && group.size === 0) this.#groups.delete(id);
  }
}
