import assert from "node:assert/strict";
import { systemClock } from "../../../core/mod.ts";
import { Payload } from "../../../plugins/channels.ts";
import { redis } from "../../../plugins/redis.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { connectedBroker, RedisProcess } from "../../kit/redis.ts";
import { PATIENCE_MS, TIMEOUT_MS } from "./kit.ts";
import { told, underFault } from "./under_fault.ts";

const events = { publication: () => 0, presence() {}, interrupted() {} };
const host = { clock: systemClock, log: { debug() {}, info() {}, warn() {}, error() {} } };

/** A sentinel of a primary named `main`, which has one replica. */
function startSentinel(
  program: string,
  folder: string,
  primary: RedisProcess,
  more: readonly string[] = [],
): RedisProcess {
  const file = `${folder}/sentinel.conf`;
  const lines = [
    `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
    "sentinel down-after-milliseconds main 500",
    "sentinel failover-timeout main 3000",
    ...more,
  ];
  Deno.writeTextFileSync(file, lines.join("\n"));
  return new RedisProcess(program, ["--sentinel"], file);
}

const replicaKnownTo = (sentinel: RedisProcess) =>
  until(
    "the replica",
    async () => (await sentinel.command("SENTINEL", "REPLICAS", "main")).startsWith("*1"),
    PATIENCE_MS,
  );

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
      await replicaKnownTo(sentinel);

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

testWith(
  "redis",
  "B12 a primary that was replaced without knowing it is left, although it answers",
  async (program) => {
    const folder = await Deno.makeTempDir();
    {
      await using primary = new RedisProcess(program);
      await primary.ready();
      // The sentinel may not make it a replica, as if they were cut off from each other.
      assert.equal(
        await primary.command(
          "ACL",
          "SETUSER",
          "watcher",
          "on",
          ">secret",
          "&*",
          "+@all",
          "-replicaof",
          "-slaveof",
        ),
        "+OK",
      );
      await using replica = new RedisProcess(program, ["--replicaof", "127.0.0.1", `${primary.port}`]);
      await replica.ready();
      assert.equal(
        await replica.command("ACL", "SETUSER", "watcher", "on", ">secret", "&*", "+@all"),
        "+OK",
      );
      const signIn = ["sentinel auth-user main watcher", "sentinel auth-pass main secret"];
      await using sentinel = startSentinel(program, folder, primary, signIn);
      await sentinel.ready();
      await replicaKnownTo(sentinel);
      const plugin = redis({
        urls: [`redis+sentinel://127.0.0.1:${sentinel.port}/main`],
        timeoutMs: TIMEOUT_MS,
      });
      const broker = connectedBroker(plugin, primary);
      await broker.start!(events, host);
      const keep = { size: 10, ageMs: 60_000 };
      const publish = async (channel: string) => {
        try {
          await broker.publish(channel, { payload: Payload.of(1) }, { keep });
        } catch { /* Redis is not reachable for a moment. */ }
      };
      await publish("before");
      const failOver = async () => await sentinel.command("SENTINEL", "FAILOVER", "main") === "+OK";
      await until("the beginning of a fail-over", failOver, PATIENCE_MS); // First it looks at the replica.
      // A replica tells more.
      const isPrimary = async (server: RedisProcess) => await server.command("ROLE") === "*3";
      await until("its end", () => isPrimary(replica), PATIENCE_MS);
      await until("a publication on the new primary", async () => {
        await publish("after");
        return /^:[1-9]/.test(await replica.command("XLEN", "plugboard:stream:after"));
      }, PATIENCE_MS);
      assert.ok(await isPrimary(primary), "it still takes itself for one");
      assert.equal(await primary.command("XLEN", "plugboard:stream:before"), ":1");
      await broker.stop!();
    }
    await Deno.remove(folder, { recursive: true });
  },
);

testWith("redis", "B12 sentinels with a password, or with users, are signed in to", async (program) => {
  const folder = await Deno.makeTempDir();
  {
    await using primary = new RedisProcess(program);
    await using sentinel = startSentinel(program, folder, primary);
    await Promise.all([primary.ready(), sentinel.ready()]);
    const user = (server: RedisProcess, ...rules: string[]) => server.command("ACL", "SETUSER", ...rules);
    assert.equal(await user(primary, "app", "on", ">app-secret", "~*", "&*", "+@all"), "+OK");
    const rights = ["+hello", "+info", "+sentinel|master"];
    assert.equal(await user(sentinel, "watch", "on", ">watch-secret", ...rights), "+OK");
    assert.equal(await user(sentinel, "default", "resetpass", ">secret"), "+OK");
    const base = `redis+sentinel://app:app-secret@127.0.0.1:${sentinel.port}/main?prefix=app`;
    for (
      const [parameters, problem] of [
        ["&sentinel_password=secret"],
        ["&sentinel_user=watch&sentinel_password=watch-secret"],
        ["", /NOAUTH/],
        ["&sentinel_password=app-secret", /WRONGPASS/],
        ["&sentinel_user=app&sentinel_password=app-secret", /WRONGPASS/],
      ] as const
    ) {
      const broker = connectedBroker(redis({ urls: [base + parameters] }), primary);
      if (problem !== undefined) {
        await assert.rejects(async () => await broker.start!(events, host), problem);
        continue;
      }
      await broker.start!(events, host);
      const { offset } = await broker.publish(parameters, { payload: Payload.of(1) }, {
        keep: { size: 10, ageMs: 60_000 },
      });
      assert.equal(offset, 1);
      await broker.stop!();
    }
  }
  await Deno.remove(folder, { recursive: true });
});
