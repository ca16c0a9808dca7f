import type { Connection } from "../../core/mod.ts";
import { type Operation, OPERATIONS, type RateName } from "./limits.ts";
import { type Pace, spend } from "./rates.ts";
import { RecentMap } from "./recent_map.ts";

/** Counts for one connection, or for a client that is only known by an id. */
export interface Meter {
  /** When the bucket of each operation is full again. */
  readonly fullAt: number[];
  /** When the bucket of refusals is full again. */
  refusalsFullAt: number;
  /** Shared by all connections of the user. */
  user: UserMeter | undefined;
}

interface UserMeter {
  readonly name: string;
  readonly fullAt: number[];
  connections: number;
}

/** The index of each operation in a meter's numbers. */
const INDEX = Object.fromEntries(Object.keys(OPERATIONS).map((name, i) => [name, i])) as Record<
  Operation,
  number
>;

/** Counts what connections and users spend. */
export class Meters {
  #limits: readonly { own: Pace | undefined; user: Pace | undefined }[];
  readonly #connected = new Map<string, Meter>();
  readonly #users = new Map<string, UserMeter>();
  /** Clients without a connection here, and users without connections: reconnecting must not reset the counts. */
  readonly #unconnected: RecentMap<Meter>;
  readonly #formerUsers: RecentMap<number[]>;

  constructor(pace: (name: RateName) => Pace | undefined, maxTracked: number) {
    this.#limits = limitsOf(pace);
    this.#unconnected = new RecentMap(maxTracked);
    this.#formerUsers = new RecentMap(maxTracked);
  }

  /** Applies other limits. */
  use(pace: (name: RateName) => Pace | undefined): void {
    this.#limits = limitsOf(pace);
  }

  /** Returns the meter of a connection or of a client id. */
  of(client: Connection | string): Meter {
    const id = typeof client === "string" ? client : client.id;
    const known = this.#connected.get(id) ?? this.#unconnected.get(id);
    if (known !== undefined) return known;
    const meter = emptyMeter();
    this.#unconnected.set(id, meter);
    return meter;
  }

  /** Returns the meter of an open connection. */
  connected(conn: Connection): Meter {
    let meter = this.#connected.get(conn.id);
    if (meter === undefined) this.#connected.set(conn.id, meter = emptyMeter());
    return meter;
  }

  /** Attaches the user's meter to a connection; `false` if the user has `max` connections already. */
  join(conn: Connection, name: string, max: number): boolean {
    const user = this.#users.getOrInsertComputed(name, () => {
      return { name, fullAt: this.#formerUsers.get(name) ?? zeros(), connections: 0 };
    });
    if (user.connections >= max) return false;
    user.connections++;
    this.connected(conn).user = user;
    return true;
  }

  /** Removes a connection that has ended. */
  leave(conn: Connection): void {
    const user = this.#connected.get(conn.id)?.user;
    this.#connected.delete(conn.id);
    if (user === undefined || --user.connections > 0) return;
    this.#users.delete(user.name);
    this.#formerUsers.set(user.name, user.fullAt);
  }

  /** Spends; returns 0, or the time to wait. */
  spend(meter: Meter, operation: Operation, cost: number, now: number): number {
    const i = INDEX[operation];
    const { own, user } = this.#limits[i]!;
    const waitMs = own === undefined ? 0 : take(own, meter.fullAt, i, cost, now);
    if (waitMs > 0 || user === undefined || meter.user === undefined) return waitMs;
    return take(user, meter.user.fullAt, i, cost, now);
  }
}

function limitsOf(pace: (name: RateName) => Pace | undefined) {
  return Object.values(OPERATIONS).map(([own, user]) => ({ own: pace(own), user: pace(user) }));
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

const ZEROS: readonly number[] = Object.keys(INDEX).map(() => 0);

/** A copy costs less than another loop. */
function zeros(): number[] {
  return ZEROS.slice();
}
