/**
 * Meters: what each connection and each user has spent.
 *
 * @module
 */

import type { Connection } from "../../core/mod.ts";
import { type Operation, OPERATIONS, type RateName } from "./limits.ts";
import { type Pace, spend } from "./rates.ts";
import { RecentMap } from "./recent_map.ts";

/** What one connection, or a client known by nothing but an id, has spent. */
export interface Meter {
  /** For each operation, when its bucket is full again. */
  readonly fullAt: number[];
  /** The same for refusals. */
  refusalsFullAt: number;
  /** Shared with the user's other connections. */
  user: UserMeter | undefined;
}

interface UserMeter {
  readonly name: string;
  readonly fullAt: number[];
  connections: number;
}

/** One operation's limits. */
interface OperationPaces {
  readonly own: Pace | undefined;
  readonly user: Pace | undefined;
}

/** Where an operation stands among a meter's numbers. */
const INDEX = Object.fromEntries(Object.keys(OPERATIONS).map((name, i) => [name, i])) as Record<
  Operation,
  number
>;

/** All meters. */
export class Meters {
  readonly #limits: readonly OperationPaces[];
  readonly #connected = new Map<string, Meter>();
  readonly #users = new Map<string, UserMeter>();
  /** Clients without a connection here, and users who have left: both may come again to begin anew. */
  readonly #strangers: RecentMap<Meter>;
  readonly #formerUsers: RecentMap<number[]>;

  constructor(pace: (name: RateName) => Pace | undefined, maxTracked: number) {
    this.#limits = Object.values(OPERATIONS).map(([own, user]) => ({ own: pace(own), user: pace(user) }));
    this.#strangers = new RecentMap(maxTracked);
    this.#formerUsers = new RecentMap(maxTracked);
  }

  /** The meter of a connection, or of a client that some protocol knows by this id. */
  of(client: Connection | string): Meter {
    const id = typeof client === "string" ? client : client.id;
    const known = this.#connected.get(id) ?? this.#strangers.get(id);
    if (known !== undefined) return known;
    const meter = emptyMeter();
    this.#strangers.set(id, meter);
    return meter;
  }

  /** The meter of a connection that is open. */
  connected(conn: Connection): Meter {
    let meter = this.#connected.get(conn.id);
    if (meter === undefined) this.#connected.set(conn.id, meter = emptyMeter());
    return meter;
  }

  /** Lets a connection share its user's meter; `false` when the user has `most` connections. */
  join(conn: Connection, name: string, most: number): boolean {
    let user = this.#users.get(name);
    if (user === undefined) {
      user = { name, fullAt: this.#formerUsers.get(name) ?? zeros(), connections: 0 };
      this.#users.set(name, user);
    }
    if (user.connections >= most) return false;
    user.connections++;
    this.connected(conn).user = user;
    return true;
  }

  /** A connection has ended. */
  leave(conn: Connection): void {
    const user = this.#connected.get(conn.id)?.user;
    this.#connected.delete(conn.id);
    if (user === undefined || --user.connections > 0) return;
    this.#users.delete(user.name);
    this.#formerUsers.set(user.name, user.fullAt);
  }

  /** Spends; gives 0, or how long to wait. */
  spend(meter: Meter, operation: Operation, cost: number, now: number): number {
    const i = INDEX[operation];
    const { own, user } = this.#limits[i]!;
    const waitMs = own === undefined ? 0 : take(own, meter.fullAt, i, cost, now);
    if (waitMs > 0 || user === undefined || meter.user === undefined) return waitMs;
    return take(user, meter.user.fullAt, i, cost, now);
  }
}

function take(pace: Pace, fullAt: number[], i: number, cost: number, now: number): number {
  const next = spend(pace, fullAt[i]!, cost, now);
  if (next < 0) return -next;
  fullAt[i] = next;
  return 0;
}

function emptyMeter(): Meter {
  return { fullAt: zeros(), refusalsFullAt: 0, user: undefined };
}

function zeros(): number[] {
  return Object.keys(INDEX).map(() => 0);
}
