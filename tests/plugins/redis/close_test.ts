import assert from "node:assert/strict";
import type { Log } from "../../../core/mod.ts";
import { parseRedisUrl } from "../../../plugins/redis/address.ts";
import { Link } from "../../../plugins/redis/link.ts";
import { loadWithin } from "../../../plugins/redis/load.ts";
import { findPrimary } from "../../../plugins/redis/sentinels.ts";
import { Shard } from "../../../plugins/redis/shard.ts";
import { parts } from "../../../plugins/redis/slots.ts";
import { Topology } from "../../../plugins/redis/topology.ts";
import { within } from "../../kit/mod.ts";

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
