/**
 * Presence: who is in a channel, since when, and with which data.
 *
 * Subscribers are present automatically. A client without a connection, such as a user of a backend, is added by
 * {@linkcode Presence.update} and removed when it is not updated for the timeout.
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
 * await people.update("lobby", "alice", { name: "Alice", status: "online" });
 * const present = await people.list("lobby");
 * console.log(present.map(({ client, data }) => [client, data]));
 * ```
 *
 * @module
 */

import {
  built,
  chain,
  checkOptions,
  type Host,
  type MaybePromise,
  type Nothing,
  type Plugin,
  systemClock,
} from "../core/mod.ts";
import type { Channels, Subscription } from "./channels.ts";
import {
  memoryPresenceStore,
  type PresenceCount,
  type PresenceStore,
  type Present,
} from "./presence/store.ts";
import { presenceWrites } from "./presence/writes.ts";

export {
  type MemoryPresenceStore,
  memoryPresenceStore,
  type PresenceCount,
  type PresenceStore,
  type PresenceStoreHost,
  type Present,
  type Synchronous,
} from "./presence/store.ts";

/** Options of {@linkcode presence}. */
export interface PresenceOptions {
  /** The channels whose subscribers are present. */
  channels: Pick<Channels, "extend" | "namespaceOf" | "clients">;
  /** Where to store who is present. @default {memoryPresenceStore()} */
  store?: PresenceStore;
  /** How long a client without a connection stays after its last update. @default {60000} */
  timeoutMs?: number;
}

/** A change of a channel's presence. */
export interface PresenceEvent {
  /** What happened. */
  readonly type: "join" | "update" | "leave";
  /** The channel's name. */
  readonly channel: string;
  /** The client. */
  readonly present: Present;
}

/** What presence offers to other plugins and to the app. Where the store answers at once, results are no promises. */
export interface Presence {
  /** Returns who is in a channel, in the order they joined. */
  list(channel: string): MaybePromise<readonly Present[]>;
  /** Counts who is in a channel. */
  count(channel: string): MaybePromise<PresenceCount>;
  /** Adds a client, or changes its data. */
  update(channel: string, client: string, data: unknown): MaybePromise<void>;
  /** Removes a client that an update has added; returns `false` if there is none, or if it is subscribed. */
  remove(channel: string, client: string): MaybePromise<boolean>;
  /** Calls back for every join, update and leave on this node. Returns the function that ends it. */
  listen(listener: (event: PresenceEvent) => Nothing): () => void;
}

/** The latest update of a client, at a time of this node's monotonic clock. */
interface Update {
  readonly channel: string;
  readonly client: string;
  readonly time: number;
  readonly lastSeenAt: number;
}

/** Keeps track of who is in which channel. */
export function presence(
  { channels, store = memoryPresenceStore(), timeoutMs = 60_000 }: PresenceOptions,
): Plugin<Presence> {
  checkOptions("presence").positiveInteger("timeoutMs", timeoutMs);

  /** The latest updates of clients without a connection on this node, the oldest first. */
  const updates = new Map<string, Update>();
  const listeners = new Set<(event: PresenceEvent) => Nothing>();
  let host: Host | undefined;
  let release: (() => void)[] = [];

  const clock = () => host?.clock ?? systemClock;
  const failed = (error: unknown) => host?.log.warn("the presence store failed", { error });
  const writes = presenceWrites(clock, failed);

  function emit(type: PresenceEvent["type"], channel: string, present: Present): void {
    for (const listener of listeners) {
      try {
        listener({ type, channel, present });
      } catch (error) {
        host?.log.error("a presence listener failed", { channel, error });
      }
    }
  }

  /** Reads what is stored of a client and changes it. */
  function change<T>(
    channel: string,
    client: string,
    work: (known: Present | undefined, key: string) => MaybePromise<T>,
  ): MaybePromise<T> {
    const key = `${channel}\n${client}`; // Channel names have no control characters.
    return writes.run(key, () => chain(store.get(channel, client), (known) => work(known, key)));
  }

  const changeInBackground: typeof change = (...args) => {
    const done = change(...args);
    if (done instanceof Promise) done.catch(failed);
    return done;
  };

  function joined({ channel, info, namespace }: Subscription): void {
    if (!namespace.presence) return;
    const now = clock().wallTime();
    changeInBackground(channel, info.client, (known, key) => {
      const { client, user } = info;
      const present = { client, user, data: known?.data, info, joinedAt: now, lastSeenAt: now };
      return chain(store.put(channel, present, timeoutMs), () => {
        if (known !== undefined) { // An update has added it before it subscribed.
          updates.delete(key);
          emit("leave", channel, known);
        }
        emit("join", channel, present);
      });
    });
  }

  function informed({ channel, info }: Subscription): void {
    changeInBackground(channel, info.client, (known) => {
      if (known === undefined) return;
      const present = { ...known, info, lastSeenAt: clock().wallTime() };
      return chain(store.put(channel, present, timeoutMs), () => emit("update", channel, present));
    });
  }

  function remove(channel: string, known: Present, key: string): MaybePromise<true> {
    return chain(store.remove(channel, known.client), () => {
      updates.delete(key);
      emit("leave", channel, known);
      return true;
    });
  }

  /** Removes clients without a connection that were not updated in time, on this node or on another. */
  function expire(): void {
    const due = clock().monotonicTime() - timeoutMs;
    for (const [key, { channel, client, time, lastSeenAt }] of updates) {
      if (time > due) break;
      updates.delete(key);
      changeInBackground(channel, client, (known) => {
        // Another time is that of an update on another node, which it expires itself.
        if (known !== undefined && known.info === undefined && known.lastSeenAt === lastSeenAt) {
          return remove(channel, known, key);
        }
      });
    }
  }

  /** Tells that the store has removed a client, of a node that has died. */
  function storeExpired(channel: string, present: Present): void {
    const { client, user, info = { client, user } } = present;
    emit("leave", channel, present);
    try {
      const { broker, joinLeave } = channels.namespaceOf(channel);
      if (joinLeave === "off" || present.info === undefined) return;
      const announced = chain(
        store.count(channel),
        (count) => broker.announce(channel, { kind: "leave", info, people: people(count) }),
      );
      if (announced instanceof Promise) announced.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Stores all subscribers again: a client that is connected is seen, since the kernel closes dead connections. */
  function seeSubscribers(): void {
    const lastSeenAt = clock().wallTime();
    for (const { subscriptions } of channels.clients.values()) {
      for (const { channel, namespace, info, since } of subscriptions.values()) {
        if (!namespace.presence) continue;
        const { client, user } = info;
        const joined = { client, user, data: undefined, info, joinedAt: since };
        changeInBackground(
          channel,
          client,
          (known) => store.put(channel, { ...joined, ...known, lastSeenAt }, timeoutMs),
        );
      }
    }
  }

  return built({
    name: "presence",
    api: {
      list: (channel) => store.list(channel),
      count: (channel) => chain(store.count(channel), ({ clients, users }) => ({ clients, users })),
      update(channel, client, data) {
        channels.namespaceOf(channel); // Throws for an invalid name.
        const now = clock().wallTime();
        return change(channel, client, (known, key) => {
          const present = { client, user: client, joinedAt: now, ...known, data, lastSeenAt: now };
          return chain(store.put(channel, present, timeoutMs), () => {
            updates.delete(key);
            const time = clock().monotonicTime();
            if (known?.info === undefined) updates.set(key, { channel, client, time, lastSeenAt: now });
            emit(known === undefined ? "join" : "update", channel, present);
          });
        });
      },
      remove: (channel, client) =>
        change(
          channel,
          client,
          (known, key) => known !== undefined && known.info === undefined && remove(channel, known, key),
        ),
      listen(listener) {
        const own = (event: PresenceEvent) => listener(event);
        listeners.add(own);
        return () => void listeners.delete(own);
      },
    },
    async start(given) {
      host = given;
      await store.start?.({ clock: given.clock, log: given.log, expired: storeExpired });
      release = [
        channels.extend({
          name: "presence",
          joined: (_client, subscription) => joined(subscription),
          informed: (_client, subscription) => informed(subscription),
          left({ id }, { channel }) {
            changeInBackground(channel, id, (known, key) => known && remove(channel, known, key));
          },
          people: (channel, { client }) => change(channel, client, () => chain(store.count(channel), people)),
        }),
        given.clock.every(Math.ceil(timeoutMs / 60), expire),
        given.clock.every(Math.ceil(timeoutMs / 2), seeSubscribers),
      ];
    },
    async stop() {
      for (const end of release.splice(0)) end();
      writes.stop();
      await store.stop?.();
      updates.clear();
    },
  }, { channels, store });
}

/** The number of people: a user counts once, an anonymous client is a person of its own. */
function people({ users, anonymous }: { users: number; anonymous: number }): number {
  return users + Math.max(0, anonymous - 1);
}
