/**
 * Keeping messages for sessions that are away.
 *
 * The messages are in the logs of the hub's channels; what is kept here is where a session stood when it went.
 * When it returns, the channel service gives it what was published since, all of it or none.
 *
 * @module
 */

import {
  checkOptions,
  type Clock,
  type CloseCode,
  closeCodes,
  type Closed,
  type MaybePromise,
} from "../../../core/mod.ts";
import type { ChannelExtension, Position, Subscribed, SubscribeRequest } from "../../channels.ts";
import type { KeyValueStore } from "../../shared/key_value_store.ts";
import { NAMESPACE } from "./names.ts";
import type { Seat } from "./roster.ts";
import { NETWORK_BYTES } from "./slow_watch.ts";

/** How messages are kept. */
export interface KeepOptions {
  /** Messages kept of each user, each session, and of what was broadcast. @default {100} */
  messages?: number;
  /** How long each is kept, and how long a session may be away. @default {300000} five minutes */
  ms?: number;
  /**
   * What was sent this long before a line broke may not have arrived, and is sent again; by its `id` a client can
   * tell what it has. Twice the server's ping interval, which is how long a broken line may go unnoticed.
   * @default {50000}
   */
  doubtMs?: number;
  /** Sessions remembered at once; beyond it, the one that is away the longest is forgotten. @default {100000} */
  maxAway?: number;
  /** Keeps where sessions stood over a restart; of use with channels whose logs survive one, too. */
  store?: KeyValueStore;
}

/** Options with everything decided. */
export type Keep = Required<Omit<KeepOptions, "store">> & Pick<KeepOptions, "store">;

/** Checks the options and adds the defaults. */
export function prepareKeep(given: KeepOptions): Keep {
  const keep = { messages: 100, ms: 300_000, doubtMs: 50_000, maxAway: 100_000, ...given };
  const check = checkOptions("hub");
  for (const name of ["messages", "ms", "doubtMs", "maxAway"] as const) {
    check.positiveInteger(`keep.${name}`, keep[name]);
  }
  return keep;
}

/** Remembers sessions. */
export interface Keeping {
  /** For the channels. */
  readonly extension: ChannelExtension;
  /** Reads what the store has. */
  load(): Promise<void>;
  /** What a session asks for when it subscribes to a channel. */
  request(seat: Seat, channel: string): SubscribeRequest;
  /** A session is there, and has been told what it missed. */
  arrived(seat: Seat, subscribed: ReadonlyMap<string, Subscribed>): void;
  /** A connection has ended; it was the session's `last`, or others stay. */
  left(seat: Seat, why: Closed, last: boolean): void;
  /** Who a session that is away belongs to. */
  userOf(session: string): string | undefined;
  /** Whether a user has a session that is away. */
  knows(user: string): boolean;
  /** Looks who has taken everything, and whose time is over; to be called twice in `doubtMs`. */
  sweep(): void;
  /** Resolves when the store has everything. */
  settled(): Promise<void>;
}

type Positions = Readonly<Record<string, Position>>;

/** Where a session that is here stands. */
interface Standing {
  /** What it has for certain: all that was sent before the line could have broken unnoticed. */
  certain: Positions;
  /** What it will have for certain at the next sweep, if it is still there. */
  next: Positions;
}

interface Absence {
  readonly user: string;
  readonly positions: Positions;
  readonly until: number;
}

/** These end a connection without anybody knowing what has arrived. */
const UNCERTAIN: ReadonlySet<number> = new Set(
  [closeCodes.slow, closeCodes.noPong].map(({ code }: CloseCode) => code),
);

/** Makes a memory of sessions. `failed` is told when the store does not work. */
export function keeping(
  { ms, maxAway, store }: Keep,
  clock: () => Clock,
  failed: (error: unknown) => void,
): Keeping {
  /** By session, those that went first at the front. */
  const away = new Map<string, Absence>();
  /** Sessions that are away, by user. */
  const users = new Map<string, number>();
  const standings = new Map<Seat, Standing>();
  /** The latest offset that was delivered, by channel. */
  const latest = new Map<string, number>();
  const writes = new Set<Promise<void>>();

  function standingNow(positions: Positions): Positions {
    const now = Object.entries(positions).map(([channel, { offset, epoch }]) => {
      return [channel, { offset: Math.max(offset, latest.get(channel) ?? 0), epoch }] as const;
    });
    return Object.fromEntries(now);
  }

  function remember(session: string, absence: Absence): void {
    forget(session);
    away.set(session, absence);
    users.set(absence.user, (users.get(absence.user) ?? 0) + 1);
    const [eldest] = away.keys();
    if (away.size > maxAway) drop(eldest!);
  }

  function forget(session: string): Absence | undefined {
    const absence = away.get(session);
    if (absence === undefined) return;
    away.delete(session);
    const left = users.get(absence.user)! - 1;
    if (left === 0) users.delete(absence.user);
    else users.set(absence.user, left);
    return absence;
  }

  /** Forgets a session for good. */
  function drop(session: string): void {
    forget(session);
    keep(() => store?.delete(session));
  }

  function keep(work: () => MaybePromise<void>): void {
    const write = (async () => await work())().catch(failed).finally(() => writes.delete(write));
    writes.add(write);
  }

  return {
    extension: {
      name: "hub",
      delivered({ name, namespace }, { offset }) {
        if (offset > 0 && namespace.name === NAMESPACE) latest.set(name, offset);
      },
      vacated: (channel) => void latest.delete(channel),
    },

    async load() {
      const kept = [...await store?.load() ?? []].map(([session, value]) => {
        return [session, JSON.parse(value) as Absence] as const;
      });
      for (const [session, absence] of kept.sort(([, a], [, b]) => a.until - b.until)) {
        remember(session, absence);
      }
    },

    request({ user, session }, channel) {
      const absence = session === undefined ? undefined : away.get(session);
      // A session of another user is another session, whatever it is called.
      const position = absence?.user === user ? absence.positions[channel] : undefined;
      return {
        serverSide: true,
        recoverable: session !== undefined,
        ...(position !== undefined && { recover: position }),
      };
    },

    arrived(seat, subscribed) {
      if (seat.session === undefined) return;
      const asked = [...subscribed].map(([channel, { position }]) => [channel, position!] as const);
      const positions: Positions = Object.fromEntries(asked);
      standings.set(seat, { certain: positions, next: positions });
      if (away.get(seat.session)?.user === seat.user) drop(seat.session);
    },

    left(seat, { by, code }, last) {
      const standing = standings.get(seat);
      standings.delete(seat);
      if (standing === undefined || !last) return;
      const uncertain = by === "network" || UNCERTAIN.has(code);
      const positions = uncertain ? standing.certain : standingNow(standing.next);
      const absence: Absence = { user: seat.user, positions, until: clock().now() + ms };
      remember(seat.session!, absence);
      keep(() => store?.set(seat.session!, JSON.stringify(absence)));
    },

    userOf: (session) => away.get(session)?.user,
    knows: (user) => users.has(user),

    sweep() {
      for (const [seat, standing] of standings) {
        if (seat.conn.queuedBytes > NETWORK_BYTES) continue; // not even the kernel has got rid of everything
        standing.certain = standing.next;
        standing.next = standingNow(standing.next);
      }
      const now = clock().now();
      for (const [session, { until }] of away) {
        if (until > now) break;
        drop(session);
      }
    },

    settled: async () => void await Promise.all(writes),
  };
}
