/**
 * The presence store in Redis. A client that is not put again in time is removed by one of the nodes.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { messageOf } from "../../core/mod.ts";
import type { PresenceStore, Present } from "../presence.ts";
import { splitMessage } from "./encoding.ts";
import type { Servers } from "./servers.ts";
import type { Shard } from "./shard.ts";

/** How often expired clients are removed, and how many at once. */
const EXPIRE_MS = 1_000;
const EXPIRE_AT_ONCE = 200;

/** The maximum commands at once. All members of a node are put again together, and publishing must not wait for them. */
const MAX_AT_ONCE = 500;

/** Creates the store. */
export function redisPresenceStore(servers: Servers): PresenceStore {
  const clients = (channel: string) => `clients:${channel}`;
  const users = (channel: string) => `users:${channel}`;
  const pass = gate(MAX_AT_ONCE);
  let end = () => {};
  /** The longest time that a client stays. */
  let longestMs = 0;
  /** When each shard may remove clients: after an outage, the living nodes put theirs again first. */
  const expireFrom = new Map<Shard, number>();
  servers.each((shard) => {
    const wait = () => void expireFrom.set(shard, performance.now() + longestMs);
    shard.own({ message() {}, down: wait, back: wait });
  });

  /** Removes the clients that have expired on a shard, and tells of them. */
  async function expire(shard: Shard, expired: (channel: string, present: Present) => void): Promise<void> {
    if (!shard.isUp || (expireFrom.get(shard) ?? 0) > performance.now()) return;
    for (;;) {
      const due = await shard.run("due", ["expiry"], [`${EXPIRE_AT_ONCE}`]) as Buffer[];
      const members = due.map((member) => splitFirst(String(member)));
      const expireIn = async ([channel, list]: readonly [string, typeof members]) => {
        const keys = [clients(channel), users(channel), "expiry"];
        const bodies = await shard.run("expire", keys, [channel, ...list.map(([, client]) => client)]);
        for (const body of bodies as Buffer[]) expired(channel, JSON.parse(String(body)));
      };
      await Promise.all(Map.groupBy(members, ([channel]) => channel).entries().map(expireIn));
      if (due.length < EXPIRE_AT_ONCE) return;
    }
  }

  return {
    start({ log, expired }) {
      let problem: string | undefined;
      const expireAll = async () => {
        const results = await Promise.allSettled(servers.shards.map((shard) => expire(shard, expired)));
        const failed = results.find(({ status }) => status === "rejected") as
          | PromiseRejectedResult
          | undefined;
        const error = failed && messageOf(failed.reason);
        if (error !== undefined && problem === undefined) {
          log.warn("expired clients were not removed", { error });
        }
        problem = error;
      };
      // The network has the system's time, also where a test has another one.
      const timer = setInterval(() => void expireAll(), EXPIRE_MS);
      end = () => clearInterval(timer);
    },
    stop: () => end(),
    async put(channel, present, ttlMs) {
      longestMs = Math.max(longestMs, ttlMs);
      const keys = [clients(channel), users(channel), "expiry"];
      const { client, user } = present;
      const args = [channel, client, JSON.stringify(user), JSON.stringify(present), `${ttlMs}`];
      await pass(() => servers.of(channel).run("put", keys, args));
    },
    async remove(channel, client) {
      const keys = [clients(channel), users(channel), "expiry"];
      await pass(() => servers.of(channel).run("remove", keys, [channel, client]));
    },
    async get(channel, client) {
      const shard = servers.of(channel);
      const key = shard.prefix + clients(channel);
      const stored = await pass(() => shard.send(["HGET", key, client])) as Buffer | null;
      return stored === null ? undefined : decode(stored).present;
    },
    async list(channel) {
      const shard = servers.of(channel);
      const stored = await shard.send(["HVALS", shard.prefix + clients(channel)]) as Buffer[];
      return stored.map(decode).sort((a, b) => a.since - b.since).map(({ present }) => present);
    },
    async count(channel) {
      const shard = servers.of(channel);
      const { prefix } = shard;
      const [all, different, anonymous] = await Promise.all([
        shard.send(["HLEN", prefix + clients(channel)]),
        shard.send(["HLEN", prefix + users(channel)]),
        shard.send(["HGET", prefix + users(channel), '""']),
      ]);
      return { clients: Number(all), users: Number(different), anonymous: Number(anonymous ?? 0) };
    },
  };
}

function splitFirst(text: string): [before: string, after: string] {
  const end = text.indexOf("\n");
  return [text.slice(0, end), text.slice(end + 1)];
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
