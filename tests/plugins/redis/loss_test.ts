import assert from "node:assert/strict";
import { Payload, type Position } from "../../../plugins/channels.ts";
import { redis } from "../../../plugins/redis.ts";
import { underTest } from "../../kit/broker_suite.ts";
import { copyFolder } from "../../kit/files.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { APPEND, connectedBroker, RedisProcess } from "../../kit/redis.ts";

const keep = { size: 100, ageMs: 60_000 };

/** Runs a broker on a server. */
async function withBroker<T>(
  server: RedisProcess,
  work: (use: {
    publish(...numbers: number[]): Promise<Position>;
    since(position: Position): Promise<{ continued: boolean; numbers: number[] }>;
  }) => Promise<T>,
): Promise<T> {
  await server.ready();
  await using under = await underTest(connectedBroker(redis({ urls: [server.url] }), server));
  const { broker } = under;
  return await work({
    async publish(...numbers) {
      let position: Position | undefined;
      for (const n of numbers) position = await broker.publish("a", { payload: Payload.of(n) }, { keep });
      return position!;
    },
    async since(position) {
      const { publications, continued = false } = await broker.history("a", { since: position }, keep);
      return { continued, numbers: publications.map(({ payload }) => Number(payload.text)) };
    },
  });
}

testWith(
  "redis",
  "B12 after a loss of the latest publications, only clients that had not received them recover",
  async (program) => {
    const [folder, saved] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
    {
      await using server = new RedisProcess(program, [...APPEND, "--dir", folder]);
      const { kept, lost } = await withBroker(server, async ({ publish }) => {
        const kept = await publish(1, 2, 3);
        await copyFolder(folder, saved);
        return { kept, lost: await publish(4, 5) };
      });
      await server.kill();
      await Deno.remove(folder, { recursive: true });
      await copyFolder(saved, folder);
      server.run();
      await withBroker(server, async ({ publish, since }) => {
        const { offset, epoch } = await publish(6, 7);
        assert.equal(offset, 5, "the offsets of the lost publications are used again");
        assert.deepEqual(await since(kept), { continued: true, numbers: [6, 7] });
        assert.deepEqual(await since(lost), { continued: false, numbers: [] });
        assert.deepEqual(await since({ offset: 3, epoch }), { continued: false, numbers: [6, 7] });
      });
      await server.kill();
      server.run();
      await withBroker(server, async ({ publish, since }) => {
        await publish(8);
        assert.deepEqual(await since(kept), { continued: true, numbers: [6, 7, 8] }, "over two restarts");
        assert.equal((await since(lost)).continued, false);
      });
    }
    for (const each of [folder, saved]) await Deno.remove(each, { recursive: true });
  },
);

testWith("redis", "B12 without the append-only file, a restart begins histories anew", async (program) => {
  const folder = await Deno.makeTempDir();
  {
    await using server = new RedisProcess(program, ["--dir", folder]);
    const position = await withBroker(server, async ({ publish }) => {
      const position = await publish(1, 2);
      assert.equal(await server.command("SAVE"), "+OK");
      return position;
    });
    await server.kill();
    server.run();
    await withBroker(server, async ({ publish, since }) => {
      assert.equal((await publish(3)).offset, 3, "the snapshot is there");
      assert.deepEqual(await since(position), { continued: false, numbers: [] });
    });
  }
  await Deno.remove(folder, { recursive: true });
});

testWith(
  "redis",
  "B12 a server that has become a replica is noticed by a publish, and used again when it is a primary",
  async (program) => {
    await using first = new RedisProcess(program);
    await using second = new RedisProcess(program);
    await using other = new RedisProcess(program);
    await Promise.all([first, second, other].map((server) => server.ready()));
    // The nodes tell on the first server that they live, and would notice it there.
    const plugin = redis({ urls: [first.url, second.url] });
    await using under = await underTest(connectedBroker(plugin, second));
    const publish = () =>
      Promise.allSettled(
        Array.from(
          { length: 10 },
          (_, i) => under.broker.publish(`room${i}`, { payload: Payload.of(i) }, { keep }),
        ),
      );
    const failed = async () => (await publish()).filter(({ status }) => status === "rejected").length;
    assert.equal(await failed(), 0);
    assert.equal(await second.command("REPLICAOF", "127.0.0.1", `${other.port}`), "+OK");
    assert.notEqual(await failed(), 0);
    assert.match(`${plugin.api.problem}`, /is not reachable$/);
    assert.equal(await second.command("REPLICAOF", "NO", "ONE"), "+OK");
    await until("the server", () => plugin.api.problem === undefined);
    assert.equal(await failed(), 0);
  },
);

testWith(
  "redis",
  "B12 a server that has become a replica is noticed by a node that only reads from it",
  async (program) => {
    await using first = new RedisProcess(program);
    await using second = new RedisProcess(program);
    await Promise.all([first, second].map((server) => server.ready()));
    const plugin = redis({ urls: [first.url, second.url], timeoutMs: 900 });
    await using _under = await underTest(connectedBroker(plugin, second));
    assert.equal(await second.command("REPLICAOF", "127.0.0.1", `${first.port}`), "+OK");
    await until("the loss", () => `${plugin.api.problem}`.endsWith(`:${second.port} is not reachable`));
  },
);
