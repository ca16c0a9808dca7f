import assert from "node:assert/strict";
import { type Log, Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { owner } from "../../../plugins/owner.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { presence } from "../../../plugins/presence.ts";
import { redis } from "../../../plugins/redis.ts";
import { parseRedisUrl } from "../../../plugins/redis/address.ts";
import { Link } from "../../../plugins/redis/link.ts";
import { loadWithin } from "../../../plugins/redis/load.ts";
import { findPrimary } from "../../../plugins/redis/sentinels.ts";
import { Shard } from "../../../plugins/redis/shard.ts";
import { parts } from "../../../plugins/redis/slots.ts";
import { Topology } from "../../../plugins/redis/topology.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { started, within } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";

const limits = { timeoutMs: 60_000, maxPending: 10, maxPendingBytes: 1_000 };
const log = { debug() {}, info() {}, warn() {}, error() {} } as unknown as Log;

/** A server that accepts connections and answers nothing, as one that is stopped. */
class SilentServer implements AsyncDisposable {
  readonly accepted: Promise<void>;
  readonly address: ReturnType<typeof parseRedisUrl>;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #ended: Promise<void>;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.accepted = promise;
    this.address = parseRedisUrl(`redis://127.0.0.1:${this.#listener.addr.port}`);
    this.#ended = this.#accept(resolve);
  }

  async #accept(accepted: () => void): Promise<void> {
    for await (const conn of this.#listener) {
      accepted();
      const bytes = new Uint8Array(1_000);
      while (await conn.read(bytes) !== null);
      conn.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#ended;
  }
}

/** Starts to connect to a silent server; returns how to close it. */
const connecting: Record<string, (address: SilentServer["address"]) => { close(): Promise<void> }> = {
  "a server"(address) {
    const link = new Link(address, limits, log);
    link.openLater();
    return link;
  },
  "a sentinel"(address) {
    const find = (signal: AbortSignal) =>
      findPrimary([{ ...address, primary: "main" }], limits.timeoutMs, signal);
    const link = new Link(address, limits, log, find);
    link.openLater();
    return link;
  },
  "a Redis Cluster"(address) {
    const placed = parts().map((part) => ({ ...part, shard: new Shard("", loadWithin(limits)) }));
    const topology = new Topology(placed, { seeds: [address], limits, log });
    const started = topology.start();
    return {
      async close() {
        await topology.stop();
        await assert.rejects(started);
      },
    };
  },
};

for (const [what, connect] of Object.entries(connecting)) {
  Deno.test(`B12 a stop does not wait for ${what} that is connected to and silent`, async () => {
    await using server = new SilentServer();
    const connection = connect(server.address);
    await server.accepted;
    await within("the close", connection.close(), 4_000);
  });
}

testWith("redis", "B12 a stop does not wait for a connected server that stands still", async (program) => {
  await using redisServer = new RedisProcess(program);
  await redisServer.ready();
  const server = new Server({ port: 0, drainMs: 1_000 });
  const store = server.use(persistence({ path: ":memory:" }));
  const shared = server.use(redis({ urls: [redisServer.url], timeoutMs: 60_000 }));
  const { broker, cluster, leases, occupancy, presenceStore } = shared;
  server.use(owner({ leases, store, address: "here" }));
  const bus = server.use(channels({ broker, cluster, defaults: { presence: true } }));
  server.use(presence({ channels: bus, store: presenceStore }));
  server.use({
    name: "counts",
    start: ({ log }) => occupancy.start({ log, occupied() {}, vacated() {} }),
    stop: () => occupancy.stop(),
  });
  server.use(channelProtocol(bus));
  await using node = await started(server);
  await using client = await node.connect("/t");
  client.sendJson({ do: "subscribe", channel: "room" });
  while ((await client.nextJson()).subscribed !== "room");
  redisServer.signal("SIGSTOP");
  occupancy.set("room", true);
  client.sendJson({ do: "publish", channel: "room", data: 1 });
  await within("the stop", server.stop(), 8_000); // It takes half a second.
  redisServer.signal("SIGCONT");
});
