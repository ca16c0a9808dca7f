/**
 * Redis: several nodes as one server. It offers a broker, a presence store and a cluster over Redis 7 and compatible
 * servers.
 *
 * ```ts ignore
 * import { Server } from "@plugboard/server";
 * import { channels } from "@plugboard/server/channels";
 * import { presence } from "@plugboard/server/presence";
 * import { redis } from "@plugboard/server/redis";
 *
 * const server = new Server({ port: 8080 });
 * const { broker, presenceStore, cluster } = server.use(redis({ urls: ["redis://127.0.0.1:6379"] }));
 * const bus = server.use(channels({ broker, cluster }));
 * const people = server.use(presence({ channels: bus, store: presenceStore }));
 * ```
 *
 * With several servers, each channel is on one of them. Servers of a Redis Cluster are recognised: a channel is on one of its
 * primaries, and moves with its slot. Sentinels are asked for the primary.
 *
 * A lost connection is replaced. Meanwhile publishes fail; afterwards, subscribers with a position subscribe again and
 * recover what they have missed, or learn that they cannot.
 *
 * @module
 */

import { built, checkOptions, type Clock, type Plugin } from "../core/mod.ts";
import type { Broker, Cluster } from "./channels.ts";
import type { PresenceStore } from "./presence.ts";
import { redisBroker } from "./redis/broker.ts";
import { redisCluster } from "./redis/cluster.ts";
import { redisLeases } from "./redis/leases.ts";
import { redisOccupancy } from "./redis/occupancy.ts";
import { redisPresenceStore } from "./redis/presence_store.ts";
import { type Merge, replicas } from "./redis/replicas.ts";
import { Servers } from "./redis/servers.ts";
import type { Shard } from "./redis/shard.ts";
import type { KeyValueStore } from "./shared/key_value_store.ts";
import type { Leases } from "./shared/lease.ts";
import type { Occupancy } from "./webhooks.ts";

export type { Merge } from "./redis/replicas.ts";
export type { KeyValueStore } from "./shared/key_value_store.ts";
export type { Claim, ClaimResult, Leases } from "./shared/lease.ts";

/** Options of {@linkcode redis}. */
export interface RedisOptions {
  /**
   * The servers: `redis://user:password@host:6379/0?prefix=app`, or `rediss:` for TLS. All nodes must have the same list, of
   * a Redis Cluster some of its nodes. With sentinels: `redis+sentinel://host:26379/name-of-the-primary/0`, and if they
   * require it `?sentinel_user=user&sentinel_password=password`. Several hosts may share a
   * URL: `redis://user:password@host1:6379,host2:6379`. The prefix is what keys begin with. The first server carries the questions
   * between the nodes, the leases and the shared values.
   */
  urls: readonly string[];
  /** The name of this node, which no other may have. @default {a random one} */
  node?: string;
  /** How long a server may not answer before the connection is replaced. @default {3000} */
  timeoutMs?: number;
  /** How long other nodes have to answer a question. @default {5000} */
  answerMs?: number;
  /** The maximum number of commands that wait for one server. Further ones fail. @default {20000} */
  maxPending?: number;
  /** The maximum size of these commands, in bytes. @default {33554432} */
  maxPendingBytes?: number;
  /** How long the position of an unused history is kept, so that its offsets go on. @default {2592000000} 30 days */
  forgetAfterMs?: number;
  /** The time of publications; tests use a clock of their own. @default {that of the server, which all nodes share} */
  clock?: Clock;
}

/** What Redis offers to other plugins. */
export interface Redis {
  /** Carries publications and stores histories. */
  readonly broker: Broker;
  /** Stores who is present on all nodes. */
  readonly presenceStore: PresenceStore;
  /** Knows which channels have subscribers on any node. */
  readonly occupancy: Occupancy;
  /** Reaches the other nodes. */
  readonly cluster: Cluster;
  /** Decides which node may do something. */
  readonly leases: Leases;
  /**
   * Returns key values that all nodes have, with a store of this node. Call it before the start. `merge` combines two values of
   * one key; values have no line break, as JSON.
   */
  shared(name: string, local: KeyValueStore, merge?: Merge): KeyValueStore;
  /** Returns a sentence for each server that cannot be reached, for a health check. */
  readonly problem: string | undefined;
}

/** Connects this node to Redis. Plug it in before those that use it. */
export function redis(options: RedisOptions): Plugin<Redis> {
  const { urls, node = crypto.randomUUID(), forgetAfterMs = 2_592_000_000, clock } = options;
  const { timeoutMs = 3_000, answerMs = 5_000, maxPending = 20_000, maxPendingBytes = 33_554_432 } = options;
  const check = checkOptions("redis");
  check.positiveInteger("timeoutMs", timeoutMs);
  check.positiveInteger("answerMs", answerMs);
  check.positiveInteger("maxPending", maxPending);
  check.positiveInteger("maxPendingBytes", maxPendingBytes);
  check.positiveInteger("forgetAfterMs", forgetAfterMs);
  check.that(urls.length > 0, "urls", "a list of at least one URL", urls);
  check.that(/^[\w.-]+$/.test(node), "node", "a name of letters, digits, dots and dashes", node);

  const servers = new Servers(urls, { timeoutMs, maxPending, maxPendingBytes });
  const [first] = servers.shards as [Shard];
  const values = replicas(first);
  const cluster = redisCluster(first, node, answerMs, () => values.exchange());

  return built({
    name: "redis",
    api: {
      broker: redisBroker(servers, { forgetAfterMs, clock }),
      presenceStore: redisPresenceStore(servers),
      occupancy: redisOccupancy(servers),
      cluster,
      leases: redisLeases(first),
      shared: (name, local, merge = (_, there) => there) => values.of(name, local, merge),
      get problem() {
        return servers.problem;
      },
    },
    async start({ log }) {
      await servers.open(log);
      await Promise.all([cluster.start(log), values.start(log)]);
    },
    drain() {
      for (const shard of servers.shards) shard.hurry();
    },
    async stop() {
      await cluster.stop();
      await servers.close();
    },
  }, options);
}
