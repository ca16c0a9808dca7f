/**
 * Key values that all nodes have: each keeps them in a store of its own, and Redis carries the changes. They are in Redis too, for
 * nodes that start later, and a node that was cut off catches up.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { type Log, messageOf } from "../../core/mod.ts";
import type { KeyValueStore } from "../shared/key_value_store.ts";
import type { Shard } from "./shard.ts";

/** Combines two values of one key. It gives the same for both orders, and for what it gave before. */
export type Merge = (here: string, there: string) => string;

/** The scripts of replicas. KEYS: values. A message is a value, a line break and a key; the value is empty for a key that was removed. */
export const REPLICA_SCRIPTS = {
  /** ARGV: Redis channel, key, value. */
  keep: `
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('SPUBLISH', ARGV[1], ARGV[3] .. '\\n' .. ARGV[2])
`,
  /** ARGV: Redis channel, key. */
  forget: `
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('SPUBLISH', ARGV[1], '\\n' .. ARGV[2])
`,
  values: `return redis.call('HGETALL', KEYS[1])`,
} as const;

/** The key values of a node. */
export interface Replicas {
  start(log: Log): Promise<void>;
  /** Exchanges all values, since Redis may have lost them. */
  exchange(): void;
  /** Returns shared key values; call it before the start. Values have no line break, as JSON. */
  of(name: string, local: KeyValueStore, merge: Merge): KeyValueStore;
}

interface Replica {
  readonly name: string;
  readonly local: KeyValueStore;
  /** What this node has. */
  readonly known: Map<string, string>;
  readonly merge: Merge;
  readonly watchers: Set<(key: string, value: string | undefined) => void>;
}

/** Creates the key values on one shard. */
export function replicas(shard: Shard): Replicas {
  const byName = new Map<string, Replica>();
  let log: Log | undefined;

  const fullName = (name: string) => `values:${name}`;
  const send = (script: "keep" | "forget", name: string, ...args: string[]) =>
    shard.run(script, [fullName(name)], [shard.prefix + fullName(name), ...args]);

  /** Combines a value with that of this node. Tells the others if they do not have the result. */
  async function take(
    { name, local, known, merge, watchers }: Replica,
    key: string,
    value: string,
  ): Promise<void> {
    const ours = known.get(key);
    const merged = ours === undefined ? value : merge(ours, value);
    if (merged !== ours) {
      known.set(key, merged);
      for (const changed of watchers) changed(key, merged);
      await local.set(key, merged);
    }
    if (merged !== value) await send("keep", name, key, merged);
  }

  async function remove({ local, known, watchers }: Replica, key: string): Promise<void> {
    if (!known.delete(key)) return;
    for (const changed of watchers) changed(key, undefined);
    await local.delete(key);
  }

  /** Exchanges what this node and Redis have. */
  async function exchange(replica: Replica): Promise<void> {
    const { name, known } = replica;
    const stored = await shard.run("values", [fullName(name)], []) as Buffer[];
    const there = new Map<string, string>();
    for (let i = 0; i < stored.length; i += 2) there.set(`${stored[i]}`, `${stored[i + 1]}`);
    for (const [key, value] of there) await take(replica, key, value);
    for (const [key, value] of known) if (!there.has(key)) await send("keep", name, key, value);
  }

  const failed = (error: unknown) =>
    log?.error("values of other nodes were not stored", { error: messageOf(error) });
  const exchangeAll = () => byName.forEach((replica) => void exchange(replica).catch(failed));

  shard.own({
    message(name, bytes) {
      const replica = name.startsWith(fullName("")) ? byName.get(name.slice(fullName("").length)) : undefined;
      if (replica === undefined) return;
      const text = bytes.toString();
      const end = text.indexOf("\n");
      const [value, key] = [text.slice(0, end), text.slice(end + 1)];
      (value === "" ? remove(replica, key) : take(replica, key, value)).catch(failed);
    },
    down() {},
    back: exchangeAll,
  });

  return {
    async start(given) {
      log = given;
      await Promise.all([...byName.keys()].map((name) => shard.subscribe(fullName(name))));
    },
    exchange: exchangeAll,
    of(name, local, merge) {
      const known = new Map<string, string>();
      const watchers: Replica["watchers"] = new Set();
      const replica: Replica = { name, local, known, merge, watchers };
      byName.set(name, replica);
      return {
        async load() {
          for (const [key, value] of await local.load()) known.set(key, value);
          await exchange(replica);
          return known;
        },
        async set(key, value) {
          known.set(key, value);
          await local.set(key, value);
          await send("keep", name, key, value);
        },
        async delete(key) {
          known.delete(key);
          await local.delete(key);
          await send("forget", name, key);
        },
        watch(changed) {
          watchers.add(changed);
          return () => void watchers.delete(changed);
        },
      };
    },
  };
}
