/**
 * The presence store in Redis. A client that is not put again in time is removed by one of the nodes.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { messageOf } from "../../core/mod.ts";
import type { PresenceStore, Present } from "../presence.ts";
import { splitMessage } from "./encoding.ts";
import type { Link } from "./link.ts";

/** How often expired clients are removed, and how many at once. */
const EXPIRE_MS = 1_000;
const EXPIRE_AT_ONCE = 200;

/** The maximum commands at once. All members of a node are put again together, and publishing must not wait for them. */
const MAX_AT_ONCE = 500;

/** Creates the store. `linkOf` chooses the server of a channel. */
export function redisPresenceStore(
  links: readonly Link[],
  linkOf: (channel: string) => Link,
): PresenceStore {
  const clients = (channel: string) => `clients:${channel}`;
  const users = (channel: string) => `users:${channel}`;
  const pass = gate(MAX_AT_ONCE);
  let end = () => {};
  /** The longest time that a client stays. */
  let longestMs = 0;
  /** When each server may remove clients: after an outage, the living nodes put theirs again first. */
  const expireFrom = new Map<Link, number>();
  for (const link of links) {
    const wait = () => void expireFrom.set(link, performance.now() + longestMs);
    link.own({ message() {}, down: wait, back: wait });
  }

  /** Removes the clients that have expired on a server, and tells of them. */
  async function expire(link: Link, expired: (channel: string, present: Present) => void): Promise<void> {
    if (!link.isUp || (expireFrom.get(link) ?? 0) > performance.now()) return;
    const { prefix } = link.address;
    for (;;) {
      const removed = await link.run("expire", ["expiry"], [
        `${EXPIRE_AT_ONCE}`,
        prefix + clients(""),
        prefix + users(""),
      ]) as Buffer[];
      for (let i = 0; i < removed.length; i += 2) {
        expired(String(removed[i]), JSON.parse(String(removed[i + 1])));
      }
      if (removed.length < EXPIRE_AT_ONCE) return;
    }
  }

  return {
    start({ log, expired }) {
      // The network has the system's time, also where a test has another one.
      const timer = setInterval(() => {
        for (const link of links) {
          expire(link, expired).catch((error) =>
            log.warn("expired clients were not removed", { error: messageOf(error) })
          );
        }
      }, EXPIRE_MS);
      end = () => clearInterval(timer);
    },
    stop: () => end(),
    async put(channel, present, ttlMs) {
      longestMs = Math.max(longestMs, ttlMs);
      const keys = [clients(channel), users(channel), "expiry"];
      const { client, user } = present;
      const args = [channel, client, JSON.stringify(user), JSON.stringify(present), `${ttlMs}`];
      await pass(() => linkOf(channel).run("put", keys, args));
    },
    async remove(channel, client) {
      const keys = [clients(channel), users(channel), "expiry"];
      await pass(() => linkOf(channel).run("remove", keys, [channel, client]));
    },
    async get(channel, client) {
      const link = linkOf(channel);
      const key = link.address.prefix + clients(channel);
      const stored = await pass(() => link.send(["HGET", key, client])) as Buffer | null;
      return stored === null ? undefined : decode(stored).present;
    },
    async list(channel) {
      const { prefix } = linkOf(channel).address;
      const stored = await linkOf(channel).send(["HVALS", prefix + clients(channel)]) as Buffer[];
      return stored.map(decode).sort((a, b) => a.since - b.since).map(({ present }) => present);
    },
    async count(channel) {
      const link = linkOf(channel);
      const { prefix } = link.address;
      const [all, different, anonymous] = await Promise.all([
        link.send(["HLEN", prefix + clients(channel)]),
        link.send(["HLEN", prefix + users(channel)]),
        link.send(["HGET", prefix + users(channel), '""']),
      ]);
      return { clients: Number(all), users: Number(different), anonymous: Number(anonymous ?? 0) };
    },
  };
}

function decode(stored: Buffer): { since: number; present: Present } {
  const { words, rest } = splitMessage(stored);
  return {
    since: Number(words[0]),
    present: { data: undefined, ...JSON.parse(String(splitMessage(rest).rest)) },
  };
}

/** Lets so many calls run at once; the others wait. */
function gate(max: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting = new Set<() => void>();
  let running = 0;
  return async (work) => {
    if (running < max) running++;
    else await new Promise<void>((resolve) => waiting.add(resolve));
    try {
      return await work();
    } finally {
      const [next] = waiting;
      if (next === undefined) running--;
      else {
        waiting.delete(next);
        next();
      }
    }
  };
}
