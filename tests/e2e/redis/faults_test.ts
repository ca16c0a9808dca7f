import assert from "node:assert/strict";
import { chooser, parseRedisUrl } from "../../../plugins/redis/address.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { APPEND, RedisProcess } from "../../kit/redis.ts";
import { all, everybodyHasEverything, PATIENCE_MS, Publisher, startNodes, Watcher } from "./kit.ts";
import { TcpProxy } from "../../kit/tcp_proxy.ts";
import { told, underFault } from "./under_fault.ts";

testWith(
  "redis",
  "B12 three nodes: all receive everything in one order, and recover on another node after a kill -9",
  async (program) => {
    await using redis = new RedisProcess(program);
    await redis.ready();
    const watchers = await underFault(redis.url, async ({ kill, more }) => {
      kill(0);
      await more();
    });
    assert.equal(told(watchers), 0);
  },
);

testWith("redis", "B12 Redis is killed and comes back with its data: all recover", async (program) => {
  const folder = await Deno.makeTempDir();
  {
    await using redis = new RedisProcess(program, [...APPEND, "--dir", folder]);
    await redis.ready();
    const watchers = await underFault(redis.url, async ({ publishers }) => {
      await redis.kill();
      await until("an error", () => publishers.every(({ errors }) => errors > 0), PATIENCE_MS);
      redis.run();
      await redis.ready();
    });
    assert.equal(told(watchers), 0);
  }
  await Deno.remove(folder, { recursive: true });
});

testWith(
  "redis",
  "B12 Redis is killed and comes back empty: all learn that they cannot recover",
  async (program) => {
    await using redis = new RedisProcess(program);
    await redis.ready();
    const watchers = await underFault(redis.url, async () => {
      await redis.kill();
      redis.run();
      await redis.ready();
    });
    assert.equal(told(watchers), watchers.length);
  },
);

testWith("redis", "B12 Redis stops for a time: publishers get errors, and all recover", async (program) => {
  await using redis = new RedisProcess(program);
  await redis.ready();
  const watchers = await underFault(redis.url, async ({ publishers }) => {
    const before = publishers.map(({ errors }) => errors);
    redis.signal("SIGSTOP");
    try {
      const all = () => publishers.every(({ errors }, i) => errors > before[i]!);
      await until("errors", all, PATIENCE_MS);
    } finally {
      redis.signal("SIGCONT");
    }
  });
  assert.equal(told(watchers), 0);
});

testWith("redis", "B12 the network to Redis is cut, or swallows everything: all recover", async (program) => {
  await using redis = new RedisProcess(program);
  await redis.ready();
  using proxy = new TcpProxy(redis.port);
  const watchers = await underFault(`redis://127.0.0.1:${proxy.port}`, async ({ more, publishers }) => {
    proxy.cut();
    await more();
    proxy.silent = true;
    const before = publishers.map(({ errors }) => errors);
    await until("errors", () => publishers.every(({ errors }, i) => errors > before[i]!), PATIENCE_MS);
    proxy.cut();
    proxy.silent = false;
  });
  assert.equal(told(watchers), 0);
});

testWith(
  "redis",
  "B12 what was published during a cut arrives after it, although nothing follows",
  async (program) => {
    await using redis = new RedisProcess(program);
    await redis.ready();
    using proxy = new TcpProxy(redis.port);
    const nodes =
      (await Promise.all([redis.port, proxy.port].map((port) => startNodes(1, `redis://127.0.0.1:${port}`))))
        .flat();
    await using _nodes = all(nodes);
    const [direct, cut] = nodes.map(({ url }) => url);
    await using watcher = new Watcher("a", [cut!]);
    await until("the subscription", () => watcher.subscribed, PATIENCE_MS);
    proxy.silent = true;
    await using publisher = new Publisher("a", [direct!], 1);
    await publisher.more();
    await publisher.stop();
    assert.deepEqual(watcher.received, []);
    proxy.cut();
    proxy.silent = false;
    await everybodyHasEverything([watcher], [publisher]);
    assert.equal(told([watcher]), 0);
  },
);

testWith("redis", "B12 channels on two servers: one fails, the other goes on", async (program) => {
  await using redis = new RedisProcess(program);
  await using other = new RedisProcess(program);
  await Promise.all([redis.ready(), other.ready()]);
  const urls = [redis.url, other.url];
  const choose = chooser(urls.map(parseRedisUrl), ({ name }) => name);
  const names = Array.from({ length: 50 }, (_, i) => `channel${i}`);
  const [here, there] = urls.map((url) => names.find((name) => url.endsWith(choose(name).name))!);
  const watchers = await underFault(
    urls.join(","),
    async () => {
      await other.kill();
      other.run();
      await other.ready();
    },
    [here!, there!],
  );
  assert.equal(told(watchers), watchers.length / 2, "those of the channel that was lost");
});
