/** A Redis Cluster for tests: three primaries on free ports, with replicas if wanted. */

import { parseRedisUrl } from "../../plugins/redis/address.ts";
import type { Connection } from "../../plugins/redis/connection.ts";
import { openConnection } from "../../plugins/redis/opening.ts";
import type { Value } from "../../plugins/redis/resp.ts";
import { freePort } from "./ports.ts";
import { RedisProcess } from "./redis.ts";
import { until } from "./wait.ts";

const PRIMARIES = 3;
const SLOTS = 16_384;
/** After this time without an answer, the others take a node for dead. */
const NODE_TIMEOUT_MS = 600;
const PATIENCE_MS = 90_000;

/** A node of the cluster, and a connection to it. */
export interface ClusterNode {
  readonly server: RedisProcess;
  readonly id: string;
  ask(...words: readonly string[]): Promise<Value>;
}

/** See the module. */
export class RedisClusterProcess implements AsyncDisposable {
  readonly primaries: readonly ClusterNode[];
  /** A replica of each of the first primaries. */
  readonly replicas: readonly ClusterNode[];
  readonly #connections: readonly Connection[];
  readonly #folder: string;

  private constructor(nodes: readonly ClusterNode[], connections: readonly Connection[], folder: string) {
    this.primaries = nodes.slice(0, PRIMARIES);
    this.replicas = nodes.slice(PRIMARIES);
    this.#connections = connections;
    this.#folder = folder;
  }

  /** Starts a cluster, and waits until it works. `args` are options of all servers. */
  static async start(
    program: string,
    { replicas = 0, args = [] }: { readonly replicas?: number; readonly args?: readonly string[] } = {},
  ): Promise<RedisClusterProcess> {
    const folder = await Deno.makeTempDir();
    const connections: Connection[] = [];
    const nodes = await Promise.all(Array.from({ length: PRIMARIES + replicas }, async (_, i) => {
      const dir = `${folder}/${i}`;
      await Deno.mkdir(dir);
      const server = new RedisProcess(program, [
        ...["--cluster-enabled", "yes", "--cluster-node-timeout", `${NODE_TIMEOUT_MS}`, "--dir", dir],
        ...["--cluster-port", `${freePort()}`, "--cluster-replica-validity-factor", "0"],
        ...["--repl-diskless-sync-delay", "0", ...args],
      ]);
      await server.ready();
      const events = { message() {}, moved() {}, failed() {} };
      const connection = await openConnection(
        parseRedisUrl(server.url),
        events,
        { ms: PATIENCE_MS },
        ({ connection }) => connection,
      );
      connections.push(connection);
      const ask = (...words: readonly string[]) => connection.send(words);
      return { server, ask, id: String(await ask("CLUSTER", "MYID")) };
    }));
    const cluster = new RedisClusterProcess(nodes, connections, folder);
    await cluster.#join();
    return cluster;
  }

  /** What a node of Plugboard gets as `REDIS_URL`. */
  get url(): string {
    return `redis://${this.primaries.map(({ server }) => `127.0.0.1:${server.port}`).join(",")}`;
  }

  async #join(): Promise<void> {
    const { primaries, replicas } = this;
    const nodes = [...primaries, ...replicas];
    const share = SLOTS / PRIMARIES;
    for (const [i, { ask }] of nodes.entries()) {
      await ask("CLUSTER", "SET-CONFIG-EPOCH", `${i + 1}`);
      if (i >= PRIMARIES) continue;
      const [first, last] = [Math.ceil(i * share), Math.ceil((i + 1) * share) - 1];
      await ask("CLUSTER", "ADDSLOTSRANGE", `${first}`, `${last}`);
    }
    for (const { server } of nodes.slice(1)) {
      const busPort = (await this.#busPort(server)) ?? "";
      await nodes[0]!.ask("CLUSTER", "MEET", "127.0.0.1", `${server.port}`, busPort);
    }
    const knows = async ({ ask }: ClusterNode) =>
      String(await ask("CLUSTER", "NODES")).trim().split("\n").length === nodes.length;
    const works = async ({ ask }: ClusterNode) =>
      String(await ask("CLUSTER", "INFO")).includes("cluster_state:ok");
    await until("the cluster", async () => (await Promise.all(nodes.map(knows))).every(Boolean), PATIENCE_MS);
    for (const [i, { ask }] of replicas.entries()) await ask("CLUSTER", "REPLICATE", primaries[i]!.id);
    await until(
      "all slots",
      async () => (await Promise.all(nodes.map(works))).every(Boolean),
      PATIENCE_MS,
    );
    for (const { ask } of replicas) {
      const copied = async () => String(await ask("INFO", "replication")).includes("master_link_status:up");
      await until("the replica", copied, PATIENCE_MS);
    }
  }

  async #busPort(server: RedisProcess): Promise<string | undefined> {
    const node = [...this.primaries, ...this.replicas].find((each) => each.server === server)!;
    return String(await node.ask("CLUSTER", "NODES")).match(/@(\d+)\S* myself/)?.[1];
  }

  /** Moves a slot, as `redis-cli --cluster reshard` does. `first` runs when that has begun, and before a key has moved. */
  async moveSlot(slot: number, from: ClusterNode, to: ClusterNode, first = async () => {}): Promise<void> {
    await to.ask("CLUSTER", "SETSLOT", `${slot}`, "IMPORTING", from.id);
    await from.ask("CLUSTER", "SETSLOT", `${slot}`, "MIGRATING", to.id);
    await first();
    for (;;) {
      const keys = await from.ask("CLUSTER", "GETKEYSINSLOT", `${slot}`, "1") as readonly Value[];
      if (keys.length === 0) break;
      await from.ask("MIGRATE", "127.0.0.1", `${to.server.port}`, "", "0", "5000", "KEYS", String(keys[0]));
    }
    for (const { ask } of [to, from, ...this.primaries.filter((each) => each !== to && each !== from)]) {
      await ask("CLUSTER", "SETSLOT", `${slot}`, "NODE", to.id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    for (const { server } of [...this.primaries, ...this.replicas]) await server[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
