/**
 * Presence stores hold who is present in which channel.
 *
 * @module
 */

import type { Clock, Log, MaybePromise } from "../../core/mod.ts";
import type { ClientInfo } from "../channels.ts";

/** A client in a channel. */
export interface Present {
  /** The connection's id, or the id that an update gave. */
  readonly client: string;
  /** The user's id; empty for an anonymous client. */
  readonly user: string;
  /** The data of the latest update. */
  readonly data: unknown;
  /** What is known from sign-in; absent without a connection. */
  readonly info?: ClientInfo;
  /** Milliseconds since 1970. */
  readonly joinedAt: number;
  /** The latest update; of a subscriber, at most half a timeout ago. */
  readonly lastSeenAt: number;
}

/** How many are present. */
export interface PresenceCount {
  /** The number of clients. */
  readonly clients: number;
  /** The number of different users; all anonymous clients count as one. */
  readonly users: number;
}

/** What a store gets from presence. */
export interface PresenceStoreHost {
  /** The server's clock. */
  readonly clock: Clock;
  /** The log. */
  readonly log: Log;
  /** A client was not put again in time, on this node or on another, and is removed. It is called on one node. */
  readonly expired: (channel: string, present: Present) => void;
}

/**
 * Stores who is present. A local store returns values, a remote one promises. A call that fails is repeated. Calls for one
 * client in one channel do not overlap.
 */
export interface PresenceStore {
  /** Opens the store. */
  start?(host: PresenceStoreHost): MaybePromise<void>;
  /** Closes the store. */
  stop?(): MaybePromise<void>;
  /**
   * Stores a client, or replaces what is stored. It is put again within `ttlMs` while it is present; a store that outlives
   * this process removes it after that time.
   */
  put(channel: string, present: Present, ttlMs: number): MaybePromise<void>;
  /** Removes a client. */
  remove(channel: string, client: string): MaybePromise<void>;
  /** Returns a client. */
  get(channel: string, client: string): MaybePromise<Present | undefined>;
  /** Returns all clients in a channel, in the order they joined. */
  list(channel: string): MaybePromise<readonly Present[]>;
  /** Counts the clients in a channel, and the anonymous ones among them. */
  count(channel: string): MaybePromise<PresenceCount & { readonly anonymous: number }>;
}

/** The same function, without promises. */
export type Synchronous<Method extends (...args: never[]) => unknown> = (
  ...args: Parameters<Method>
) => Exclude<ReturnType<Method>, Promise<unknown>>;

/** A store in this process: it answers at once. */
export type MemoryPresenceStore = {
  [Name in keyof PresenceStore]: Synchronous<NonNullable<PresenceStore[Name]>>;
};

/** The clients of one channel. */
interface Members {
  readonly clients: Map<string, Present>;
  /** The number of clients by user. */
  readonly users: Map<string, number>;
  /** The list, until a client changes: a list that is the same object is encoded once. */
  list?: readonly Present[] | undefined;
}

/**
 * Creates a store in this process.
 *
 * ```ts
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { memoryPresenceStore, presence } from "@plugboard/server/presence";
 *
 * const store = memoryPresenceStore();
 * const server = new Server({ port: 0 });
 * server.use(presence({ channels: server.use(channels()), store }));
 * console.log(store.list("lobby").length); // 0
 * ```
 */
export function memoryPresenceStore(): MemoryPresenceStore {
  const channels = new Map<string, Members>();

  return {
    stop: () => channels.clear(),
    put(channel, present) {
      const { client, user } = present;
      let members = channels.get(channel);
      if (members === undefined) channels.set(channel, members = { clients: new Map(), users: new Map() });
      const { clients, users } = members;
      members.list = undefined;
      const before = clients.get(client);
      clients.set(client, present);
      if (before?.user === user) return;
      if (before !== undefined) decrement(users, before.user);
      users.set(user, (users.get(user) ?? 0) + 1);
    },
    remove(channel, client) {
      const members = channels.get(channel);
      const present = members?.clients.get(client);
      if (members === undefined || present === undefined) return;
      members.list = undefined;
      members.clients.delete(client);
      decrement(members.users, present.user);
      if (members.clients.size === 0) channels.delete(channel);
    },
    get: (channel, client) => channels.get(channel)?.clients.get(client),
    list(channel) {
      const members = channels.get(channel);
      return members === undefined ? [] : members.list ??= [...members.clients.values()];
    },
    count(channel) {
      const { clients, users } = channels.get(channel) ?? { clients: new Map(), users: new Map() };
      return { clients: clients.size, users: users.size, anonymous: users.get("") ?? 0 };
    },
  };
}

function decrement(counts: Map<string, number>, key: string): void {
  const left = counts.get(key)! - 1;
  if (left === 0) counts.delete(key);
  else counts.set(key, left);
}
