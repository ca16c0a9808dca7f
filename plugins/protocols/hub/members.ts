import type { Connection } from "../../../core/mod.ts";
import { type SessionKey, withoutUser } from "./names.ts";

/** A connected client. */
export interface Member {
  readonly conn: Connection;
  readonly user: string;
  readonly session: SessionKey | undefined;
}

/** Counts, with the names of `/health`. */
export interface HubStats {
  /** Users with a connection. */
  readonly total_users: number;
  /** Connections. */
  readonly total_connections: number;
  /** Sessions with a connection. */
  readonly total_sessions: number;
}

/** All clients that are connected to this node, by user and by session. */
export class Members {
  readonly #users = new Groups();
  readonly #sessions = new Groups();
  /** By session id, of whichever user. */
  readonly #sessionIds = new Groups();
  readonly #all = new Set<Member>();

  add(member: Member): void {
    this.#all.add(member);
    this.#users.add(member.user, member);
    if (member.session === undefined) return;
    this.#sessions.add(member.session, member);
    this.#sessionIds.add(withoutUser(member.session), member);
  }

  delete(member: Member): void {
    this.#all.delete(member);
    this.#users.delete(member.user, member);
    if (member.session === undefined) return;
    this.#sessions.delete(member.session, member);
    this.#sessionIds.delete(withoutUser(member.session), member);
  }

  /** Returns a session's members. Without sign-in, they may have different users. */
  ofSession(key: SessionKey): readonly Member[] {
    return this.#sessions.of(key);
  }

  /** Returns the keys of the connected sessions with an id. */
  sessionsWithId(id: string): readonly SessionKey[] {
    return this.#sessionIds.of(id).flatMap(({ session }) => session ?? []);
  }

  [Symbol.iterator](): IterableIterator<Member> {
    return this.#all.values();
  }

  get stats(): HubStats {
    return {
      total_users: this.#users.size,
      total_connections: this.#all.size,
      total_sessions: this.#sessions.size,
    };
  }
}

/** Members by an id. Most ids have one member; storing it without a set saves 300 bytes for each. */
class Groups {
  readonly #groups = new Map<string, Member | Set<Member>>();

  get size(): number {
    return this.#groups.size;
  }

  of(id: string): readonly Member[] {
    const group = this.#groups.get(id);
    if (group === undefined) return [];
    return group instanceof Set ? [...group] : [group];
  }

  add(id: string, member: Member): void {
    const group = this.#groups.get(id);
    if (group === undefined) this.#groups.set(id, member);
    else if (group instanceof Set) group.add(member);
    else this.#groups.set(id, new Set([group, member]));
  }

  delete(id: string, member: Member): void {
    const group = this.#groups.get(id);
    if (group instanceof Set) group.delete(member);
    if (group === member || group instanceof Set && group.size === 0) this.#groups.delete(id);
  }
}
