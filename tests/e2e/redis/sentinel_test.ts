import assert from "node:assert/strict";
import { systemClock } from "../../../core/mod.ts";
import { redis } from "../../../plugins/redis.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { connectedBroker, RedisProcess } from "../../kit/redis.ts";
import { PATIENCE_MS } from "./kit.ts";
import { told, underFault } from "./under_fault.ts";

const events = { publication: () => 0, presence() {}, interrupted() {} };
const host = { clock: systemClock, log: { debug() {}, info() {}, warn() {}, error() {} } };

/** A sentinel of a primary named `main`, which has one replica. */
function startSentinel(program: string, folder: string, primary: RedisProcess): RedisProcess {
  const file = `${folder}/sentinel.conf`;
  const lines = [
    `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
    "sentinel down-after-milliseconds main 500",
    "sentinel failover-timeout main 3000",
  ];
  Deno.writeTextFileSync(file, lines.join("\n"));
  return new RedisProcess(program, ["--sentinel"], file);
}

testWith(
  "redis",
  "B12 a primary that sentinels watch is killed: nodes follow to the replica that takes its place",
  async (program) => {
    const folder = await Deno.makeTempDir();
    {
      await using primary = new RedisProcess(program);
      await primary.ready();
      await using replica = new RedisProcess(program, ["--replicaof", "127.0.0.1", `${primary.port}`]);
      await replica.ready();
      await using sentinel = startSentinel(program, folder, primary);
      await sentinel.ready();
      const knows = async () => (await sentinel.command("SENTINEL", "REPLICAS", "main")).startsWith("*1");
      await until("the replica", knows, PATIENCE_MS);

      const url = `redis+sentinel://127.0.0.1:1,127.0.0.1:${sentinel.port}/main`;
      const watchers = await underFault(url, async ({ publishers }) => {
        const before = publishers.map(({ errors }) => errors);
        await primary.kill();
        const failed = () => publishers.every(({ errors }, i) => errors > before[i]!);
        await until("errors", failed, PATIENCE_MS);
      });
      assert.equal(told(watchers), watchers.length, "the replica may have missed something");

      for (
        const [wrong, sentence] of [
          [`redis+sentinel://127.0.0.1:${sentinel.port}/other`, /does not know "other"$/],
          [`redis://127.0.0.1:${sentinel.port}`, /it is a sentinel: write redis\+sentinel:/],
        ] as const
      ) {
        await assert.rejects(
          async () => await connectedBroker(redis({ urls: [wrong] }), sentinel).start!(events, host),
          sentence,
        );
      }
    }
    await Deno.remove(folder, { recursive: true });
  },
);
