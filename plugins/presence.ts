/**
 * Presence: who is in a channel, since when, and with what to show for it.
 *
 * Subscribers are present by themselves. Anybody else, such as a user known to a backend only, is put in with
 * {@linkcode Presence.update} and is gone when not updated for the timeout.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { presence } from "@plugboard/server/presence";
 *
 * const server = new Server({ port: 0 });
 * const bus = server.use(channels());
 * const people = server.use(presence({ channels: bus }));
 *
 * people.update("lobby", "alice", { name: "Alice", status: "online" });
 * console.log(people.list("lobby").map(({ client, data }) => [client, data]));
 * ```
 *
 * @module
 */

import { checkOptions, type Clock, type Host, type Nothing, type Plugin, systemClock } from "../core/mod.ts";
import type { Channels, Client, ClientInfo } from "./channels.ts";

/** Options of {@linkcode presence}. */
export interface PresenceOptions {
  /** The channels whose subscribers are present. */
  channels: Pick<Channels, "extend" | "namespaceOf">;
  /** How long somebody without a connection stays after the last update. @default {60000} */
  timeoutMs?: number;
}

/** Somebody in a channel. */
export interface Present {
  /** The connection's id, or whatever id the update gave. */
  readonly client: string;
  /** The user's id; empty for somebody anonymous. */
  readonly user: string;
  /** What the update said. */
  readonly data: unknown;
  /** What is known from sign-in; absent for somebody without a connection. */
  readonly info?: ClientInfo;
  /** Milliseconds since 1970. */
  readonly joinedAt: number;
  /** The latest update; for a subscriber, at most half a timeout ago. */
  readonly lastSeenAt: number;
}

/** Something that happened to somebody's presence. */
export interface PresenceEvent {
  /** What kind of message it is. */
  readonly type: "join" | "update" | "leave";
  /** The channel's name. */
  readonly channel: string;
  /** Who. */
  readonly present: Present;
}

/** What presence offers to other plugins and to the app. */
export interface Presence {
  /** Who is in a channel, the earliest first. */
  list(channel: string): Present[];
  /** How many, without a list. */
  count(channel: string): { clients: number; users: number };
  /** Puts somebody in, or changes what they show. */
  update(channel: string, client: string, data: unknown): void;
  /** Takes somebody out who was put in by an update; `false` if there was nobody, or if they are subscribed. */
  remove(channel: string, client: string): boolean;
  /** Calls back for every join, update and leave. Returns the function that ends it. */
  listen(listener: (event: PresenceEvent) => Nothing): () => void;
}

type Entry = { -readonly [Key in keyof Present]: Present[Key] } & {
  /** Stays while this connection is open; without one, until the timeout. */
  subscriber: Client | undefined;
};

/** One channel's people. */
interface Room {
  readonly entries: Map<string, Entry>;
  /** Connections by user, so that users are counted without a list. */
  readonly users: Map<string, number>;
}

/** Keeps track of who is in which channel. */
export function presence({ channels, timeoutMs = 60_000 }: PresenceOptions): Plugin<Presence> {
  checkOptions("presence").positiveInteger("timeoutMs", timeoutMs);

  const rooms = new Map<string, Room>();
  /** Those without a connection, the longest unseen first. */
  const unbound = new Map<Entry, string>();
  const listeners = new Set<(event: PresenceEvent) => Nothing>();
  let host: Host | undefined;
  let release: (() => void)[] = [];

  const clock = (): Clock => host?.clock ?? systemClock;

  function tell(type: PresenceEvent["type"], channel: string, present: Present): void {
    for (const listener of listeners) {
      try {
        listener({ type, channel, present });
      } catch (error) {
        host?.log.error("a presence listener failed", { channel, error });
      }
    }
  }

  function put(channel: string, entry: Entry): void {
    let room = rooms.get(channel);
    if (room === undefined) rooms.set(channel, room = { entries: new Map(), users: new Map() });
    room.entries.set(entry.client, entry);
    room.users.set(entry.user, (room.users.get(entry.user) ?? 0) + 1);
    tell("join", channel, entry);
  }

  function take(channel: string, entry: Entry): void {
    const room = rooms.get(channel)!;
    room.entries.delete(entry.client);
    const left = room.users.get(entry.user)! - 1;
    if (left === 0) room.users.delete(entry.user);
    else room.users.set(entry.user, left);
    if (room.entries.size === 0) rooms.delete(channel);
    unbound.delete(entry);
    tell("leave", channel, entry);
  }

  function joined(subscriber: Client, channel: string, info: ClientInfo): void {
    if (!channels.namespaceOf(channel).presence) return;
    const now = clock().now();
    const known = rooms.get(channel)?.entries.get(info.client);
    if (known !== undefined) take(channel, known); // an update came before the subscription: now it is bound
    const { client, user } = info;
    put(channel, { client, user, data: known?.data, info, joinedAt: now, lastSeenAt: now, subscriber });
  }

  function left(channel: string, client: string): void {
    const entry = rooms.get(channel)?.entries.get(client);
    if (entry !== undefined) take(channel, entry);
  }

  function expire(): void {
    const due = clock().now() - timeoutMs;
    for (const [entry, channel] of unbound) {
      if (entry.lastSeenAt > due) break;
      take(channel, entry);
    }
  }

  /** Whoever is connected is seen: the kernel closes a connection that does not answer. */
  function seeSubscribers(): void {
    const now = clock().now();
    for (const { entries } of rooms.values()) {
      for (const entry of entries.values()) if (entry.subscriber !== undefined) entry.lastSeenAt = now;
    }
  }

  return {
    name: "presence",
    api: {
      list: (channel) => Array.from(rooms.get(channel)?.entries.values() ?? [], asPresent),
      count(channel) {
        const room = rooms.get(channel);
        return { clients: room?.entries.size ?? 0, users: room?.users.size ?? 0 };
      },
      update(channel, client, data) {
        const now = clock().now();
        const entry = rooms.get(channel)?.entries.get(client);
        if (entry === undefined) {
          channels.namespaceOf(channel); // refuses an unfit name
          const added: Entry = {
            client,
            user: client,
            data,
            joinedAt: now,
            lastSeenAt: now,
            subscriber: undefined,
          };
          unbound.set(added, channel);
          put(channel, added);
          return;
        }
        entry.data = data;
        entry.lastSeenAt = now;
        if (unbound.delete(entry)) unbound.set(entry, channel);
        tell("update", channel, entry);
      },
      remove(channel, client) {
        const entry = rooms.get(channel)?.entries.get(client);
        if (entry === undefined || entry.subscriber !== undefined) return false;
        take(channel, entry);
        return true;
      },
      listen(listener) {
        const own = (event: PresenceEvent) => listener(event);
        listeners.add(own);
        return () => void listeners.delete(own);
      },
    },
    start(given) {
      host = given;
      release = [
        channels.extend({
          name: "presence",
          joined: (client, { channel, info }) => joined(client, channel, info),
          left: (client, { channel }) => left(channel, client.id),
        }),
        given.clock.every(Math.ceil(timeoutMs / 60), expire),
        given.clock.every(Math.ceil(timeoutMs / 2), seeSubscribers),
      ];
    },
    stop() {
      for (const end of release.splice(0)) end();
      rooms.clear();
      unbound.clear();
    },
  };
}

function asPresent({ subscriber: _, ...present }: Entry): Present {
  return present;
}
