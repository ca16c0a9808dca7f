/**
 * The servers: those of the configuration, each a shard, or a Redis Cluster that they belong to, whose parts are the shards.
 *
 * @module
 */

import type { Log } from "../../core/mod.ts";
import { chooser, parseRedisUrls, type RedisAddress } from "./address.ts";
import { Link, type LinkLimits } from "./link.ts";
import { loadWithin } from "./load.ts";
import { findPrimary } from "./sentinels.ts";
import { Shard } from "./shard.ts";
import { partOf, parts } from "./slots.ts";
import { Topology } from "./topology.ts";

/** See the module. */
export class Servers {
  /** The first one carries what is not about one channel. In a cluster, more follow when it is opened. */
  readonly shards: Shard[];
  /** Chooses the shard of a name. */
  of: (name: string) => Shard;
  readonly #limits: LinkLimits;
  /** Those of one primary are sentinels. */
  readonly #servers: readonly (readonly RedisAddress[])[];
  readonly #users: ((shard: Shard) => void)[] = [];
  #close: () => Promise<void> = () => Promise.resolve();

  constructor(urls: readonly string[], limits: LinkLimits) {
    const addresses = parseRedisUrls(urls);
    const sentinels = addresses.filter(({ primary }) => primary !== undefined);
    this.#limits = limits;
    this.#servers = [
      ...addresses.filter(({ primary }) => primary === undefined).map((address) => [address]),
      ...Map.groupBy(sentinels, ({ primary, database }) => `${primary}/${database}`).values(),
    ];
    this.shards = this.#servers.map(([{ prefix } = addresses[0]!]) => new Shard(prefix, loadWithin(limits)));
    const names = new Map(this.shards.map((shard, i) => [shard, nameOf(this.#servers[i]![0]!)]));
    this.of = chooser(this.shards, (shard) => names.get(shard)!);
  }

  /** Calls for each shard, now or when it is known. */
  each(use: (shard: Shard) => void): void {
    this.#users.push(use);
    this.shards.forEach(use);
  }

  /** A sentence about what is not reachable. */
  get problem(): string | undefined {
    const down = new Set(this.shards.filter(({ isUp }) => !isUp).map(({ server }) => server));
    return down.size === 0 ? undefined : `Redis at ${[...down].join(", ")} is not reachable`;
  }

  /** Connects to all. */
  async open(log: Log): Promise<void> {
    const links = this.#servers.map((addresses) => {
      const [first] = addresses;
      if (first!.primary === undefined) return new Link(first!, this.#limits, log);
      const address = { ...first!, name: nameOf(first!) };
      const find = (signal: AbortSignal) => findPrimary(addresses, this.#limits.timeoutMs, signal);
      return new Link(address, this.#limits, log, find);
    });
    this.#close = async () => void await Promise.all(links.map((link) => link.close()));
    try {
      const opened = await Promise.allSettled(links.map((link) => link.open()));
      const modes = links.flatMap(({ mode }) => mode ?? []);
      if (modes.includes("cluster")) {
        if (modes.includes("alone")) {
          throw new Error("some servers belong to a Redis Cluster, and some do not");
        }
        await this.#close();
        return await this.#openCluster(log);
      }
      for (const each of opened) if (each.status === "rejected") throw each.reason;
      await Promise.all(this.shards.map((shard, i) => shard.attach(links[i], log)));
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  /** Closes all connections. */
  close(): Promise<void> {
    return this.#close();
  }

  async #openCluster(log: Log): Promise<void> {
    const seeds = this.#servers.flat();
    const [{ prefix, database }] = seeds as [RedisAddress];
    if (seeds.some((seed) => seed.prefix !== prefix)) {
      throw new Error("all URLs of a Redis Cluster have one prefix");
    }
    if (prefix.includes("{")) throw new Error("the prefix of keys in a Redis Cluster has no braces");
    if (database !== 0) throw new Error("a Redis Cluster has only the database 0");
    const load = loadWithin(this.#limits);
    const placed = parts().map(({ tag, slot }, i) => {
      const shard = this.shards[i] ?? new Shard("", load);
      shard.prefix = `${prefix}${tag}:`;
      shard.guard = `${shard.prefix}none`;
      return { tag, slot, shard };
    });
    this.shards.splice(placed.length);
    const more = placed.slice(this.shards.length).map(({ shard }) => shard);
    this.shards.push(...more);
    this.of = (name) => this.shards[partOf(name)]!;
    for (const use of this.#users) more.forEach(use);
    const topology = new Topology(placed, { seeds, limits: this.#limits, log });
    this.#close = () => topology.stop();
    await topology.start();
  }
}

/** The name of a server, for messages and to choose one for a channel. That of a sentinel would not be the same for all nodes. */
function nameOf({ primary, database, name }: RedisAddress): string {
  return primary === undefined ? name : `${primary}/${database}`;
}
