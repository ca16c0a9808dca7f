import { checkOptions, type Clock, closeCodes, type Closed } from "../../../core/mod.ts";
import type { ChannelExtension, Position, Subscribed, SubscribeRequest } from "../../channels.ts";
import type { KeyValueStore } from "../../shared/key_value_store.ts";
import type { Member } from "./members.ts";
import { NAMESPACE, type SessionKey, withoutUser } from "./names.ts";
import { positionWriter } from "./position_writer.ts";
import { isSlow } from "./slow_clients.ts";

/** How messages are kept. */
export interface KeepOptions {
  /** Maximum number of messages that are kept for each user, each session, and of broadcasts. @default {100} */
  messages?: number;
  /** How long a message is kept, and how long a session may be away. @default {300000} five minutes */
  ms?: number;
  /**
   * A message that was sent at most this long before a connection broke may be lost, so it is sent again; clients can
   * detect duplicates by `id`. Use twice the server's ping interval: that long a broken connection may be unnoticed.
   * @default {50000}
   */
  doubtMs?: number;
  /** Maximum number of sessions that are away; the oldest is evicted. @default {100000} */
  maxAway?: number;
  /** Stores positions across restarts and kills. Useful only if the history of the channels survives too. */
  store?: KeyValueStore;
}

/** Complete options. */
export type PreparedKeep = Required<Omit<KeepOptions, "store">> & Pick<KeepOptions, "store">;

/** Validates the options and adds the defaults. */
export function prepareKeep(given: KeepOptions): PreparedKeep {
  const keep = { messages: 100, ms: 300_000, doubtMs: 50_000, maxAway: 100_000, ...given };
  const check = checkOptions("hub");
  for (const name of ["messages", "ms", "doubtMs", "maxAway"] as const) {
    check.positiveInteger(`keep.${name}`, keep[name]);
  }
  return keep;
}

/**
 * Remembers the positions of sessions that are away, so that they get the messages they have missed.
 *
 * The messages are the history of the hub's channels. When a session returns, the channel service recovers from its
 * positions: all missed messages or none.
 */
export interface AwaySessions {
  /** For the channel service. */
  readonly extension: ChannelExtension;
  /** Loads the stored positions. */
  load(): Promise<void>;
  /** Returns the request of a session to subscribe to a channel. */
  request(member: Member, channel: string): SubscribeRequest;
  /** A member is subscribed and has got the missed messages. */
  joined(member: Member, subscribed: ReadonlyMap<string, Subscribed>): void;
  /** A member has left; `last` if its session has no other connection. */
  left(member: Member, why: Closed, last: boolean): void;
  /** Returns the user of a session that is away. */
  userOf(session: SessionKey): string | undefined;
  /** Returns the keys of the sessions with an id that are away. */
  sessionsWithId(id: string): readonly SessionKey[];
  /** Whether a user has a session that is away. */
  hasUser(user: string): boolean;
  /** Confirms delivered positions and removes expired sessions. Call it twice in `doubtMs`. */
  sweep(): void;
  /** Resolves when the store has written everything. */
  settled(): Promise<void>;
}

type Positions = Readonly<Record<string, Position>>;

/** The positions of a connected session. */
interface Confirmed {
  /** What has certainly arrived: sent before the connection could have broken unnoticed. */
  certain: Positions;
  /** What is certain at the next sweep, if the connection still works. */
  next: Positions;
  /** What was sent at the last sweep, or when it joined. */
  sent: Positions;
  /** Until when the stored position is kept if the process is killed. */
  storedUntil: number;
}

interface AwaySession {
  readonly user: string;
  readonly positions: Positions;
  readonly until: number;
}

/** Close codes after which it is uncertain what has arrived. */
const UNCERTAIN: ReadonlySet<number> = new Set([closeCodes.slow.code, closeCodes.noPong.code]);

/** Makes the memory of sessions. `failed` is called when the store fails. */
export function awaySessions(
  { ms, maxAway, store }: PreparedKeep,
  clock: () => Clock,
  failed: (error: unknown) => void,
): AwaySessions {
  /** By session, the oldest first. */
  const away = new Map<SessionKey, AwaySession>();
  const byId = new Map<string, Set<SessionKey>>();
  /** Number of sessions that are away, by user. */
  const users = new Map<string, number>();
  const connected = new Map<Member, Confirmed>();
  /** The latest delivered offset, by channel. */
  const latest = new Map<string, number>();
  const writer = positionWriter(store, failed);

  function current(positions: Positions): Positions {
    const moved = Object.entries(positions).map(([channel, { offset, epoch }]) => {
      return [channel, { offset: Math.max(offset, latest.get(channel) ?? 0), epoch }] as const;
    });
    return Object.fromEntries(moved);
  }

  function add(session: SessionKey, entry: AwaySession): void {
    remove(session);
    away.set(session, entry);
    byId.getOrInsertComputed(withoutUser(session), () => new Set()).add(session);
    users.set(entry.user, (users.get(entry.user) ?? 0) + 1);
    const [oldest] = away.keys();
    if (away.size > maxAway) drop(oldest!);
  }

  function remove(session: SessionKey): void {
    const entry = away.get(session);
    if (entry === undefined) return;
    away.delete(session);
    const sameId = byId.get(withoutUser(session));
    sameId?.delete(session);
    if (sameId?.size === 0) byId.delete(withoutUser(session));
    const left = users.get(entry.user)! - 1;
    if (left === 0) users.delete(entry.user);
    else users.set(entry.user, left);
  }

  /** Removes a session from the store too. */
  function drop(session: SessionKey): void {
    remove(session);
    writer.write(session, undefined);
  }

  /** Stores the position of a connected session: after a kill it is one that is away. */
  function save({ user, session }: Member, confirmed: Confirmed): void {
    confirmed.storedUntil = clock().wallTime() + 2 * ms;
    const entry: AwaySession = { user, positions: confirmed.certain, until: confirmed.storedUntil };
    if (!away.has(session!)) writer.write(session!, JSON.stringify(entry));
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
      const stored = [...await store?.load() ?? []].map(([session, value]) => {
        return [session as SessionKey, JSON.parse(value) as AwaySession] as const;
      });
      for (const [session, entry] of stored.sort(([, a], [, b]) => a.until - b.until)) add(session, entry);
    },

    request({ user, session }, channel) {
      const entry = session === undefined ? undefined : away.get(session);
      // Sessions of different users are different sessions, even with the same id.
      const position = entry?.user === user ? entry.positions[channel] : undefined;
      return {
        serverSide: true,
        grant: { recoverable: session !== undefined },
        ...(position !== undefined && { recover: position }),
      };
    },

    joined(member, subscribed) {
      if (member.session === undefined) return;
      const sent: Record<string, Position> = {};
      const certain: Record<string, Position> = {};
      const entry = away.get(member.session);
      for (const [channel, { position, publications, recovered }] of subscribed) {
        const last = publications.at(-1)?.offset ?? 0;
        sent[channel] = { ...position!, offset: Math.max(position!.offset, last) };
        // The missed messages have been sent now, and may not arrive.
        certain[channel] = recovered ? entry?.positions[channel] ?? position! : position!;
      }
      const confirmed = { certain, next: certain, sent, storedUntil: 0 };
      connected.set(member, confirmed);
      if (entry?.user === member.user) remove(member.session);
      save(member, confirmed);
    },

    left(member, { by, code }, last) {
      const confirmed = connected.get(member);
      connected.delete(member);
      if (confirmed === undefined || !last) return;
      const uncertain = by === "network" || UNCERTAIN.has(code);
      const positions = uncertain ? confirmed.certain : current(confirmed.sent);
      const entry: AwaySession = { user: member.user, positions, until: clock().wallTime() + ms };
      add(member.session!, entry);
      writer.write(member.session!, JSON.stringify(entry));
    },

    userOf: (session) => away.get(session)?.user,
    sessionsWithId: (id) => [...byId.get(id) ?? []],
    hasUser: (user) => users.has(user),

    sweep() {
      const now = clock().wallTime();
      for (const [member, confirmed] of connected) {
        if (isSlow(member)) continue;
        const moved = !isEqual(confirmed.certain, confirmed.next);
        confirmed.certain = confirmed.next;
        confirmed.next = confirmed.sent = current(confirmed.sent);
        if (moved || confirmed.storedUntil - now < ms) save(member, confirmed);
      }
      for (const [session, { until }] of away) {
        if (until > now) break;
        drop(session);
      }
    },

    settled: () => writer.settled(),
  };
}

/** Whether two positions in the same channels are the same. */
function isEqual(a: Positions, b: Positions): boolean {
  return Object.entries(a).every(([channel, { offset, epoch }]) =>
    offset === b[channel]?.offset && epoch === b[channel].epoch
  );
}
