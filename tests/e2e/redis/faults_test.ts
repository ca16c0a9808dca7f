import assert from "node:assert/strict";
import { chooser, parseRedisUrl } from "../../../plugins/redis/address.ts";
import { until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import {
  all,
  everybodyHasEverything,
  PATIENCE_MS,
  Publisher,
  startNodes,
  TIMEOUT_MS,
  Watcher,
} from "./kit.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const CHANNELS: readonly string[] = ["a", "b"];

/** Three nodes, with watchers and publishers of two channels on each, and something that happens to them. */
async function underFault(
  redisUrl: string,
  happen: (
    group: { kill(node: number): void; more(): Promise<void>; publishers: readonly Publisher[] },
  ) => Promise<void>,
  channels: readonly string[] = CHANNELS,
): Promise<Watcher[]> {
  const nodes = await startNodes(3, redisUrl);
  await using _nodes = all(nodes);
  const urls = nodes.map(({ url }) => url);
  const from = (i: number) => [...urls.slice(i % 3), ...urls.slice(0, i % 3)];
  const watchers = channels.map((channel) =>
    Array.from({ length: 15 }, (_, i) => new Watcher(channel, from(i)))
  );
  await using _watchers = all(watchers.flat());
  const subscribed = () => watchers.flat().every((each) => each.subscribed);
  await until("all subscriptions", subscribed, PATIENCE_MS);
  const publishers = channels.map((channel, c) =>
    Array.from({ length: 3 }, (_, i) => new Publisher(channel, from(i), (c * 10 + i) * 1_000_000))
  );
  await using _publishers = all(publishers.flat());
  const more = async () => void await Promise.all(publishers.flat().map((each) => each.more()));
  await more();
  await happen({ kill: (node) => nodes[node]!.child.kill("SIGKILL"), more, publishers: publishers.flat() });
  await more();
  await until("all subscriptions", subscribed, PATIENCE_MS);
  for (const [c] of channels.entries()) await everybodyHasEverything(watchers[c]!, publishers[c]!);
  return watchers.flat();
}

/** The number of clients that were told that they miss something. */
const told = (watchers: readonly Watcher[]) =>
  watchers.filter(({ stretches }) => stretches.length > 1).length;

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
    await using redis = new RedisProcess(program, ["--appendonly", "yes", "--dir", folder]);
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
      await until("errors", all, TIMEOUT_MS * 10);
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
  const choose = chooser(urls.map((url) => ({ address: parseRedisUrl(url) })));
  const names = Array.from({ length: 50 }, (_, i) => `channel${i}`);
  const [here, there] = urls.map((url) => names.find((name) => url.endsWith(choose(name).address.name))!);
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
