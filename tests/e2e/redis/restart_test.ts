import assert from "node:assert/strict";
import { Client, freePort, until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";
import {
  all,
  everybodyHasEverything,
  type NodeProcess,
  PATIENCE_MS,
  Publisher,
  startNode,
  Watcher,
} from "./kit.ts";

const CHANNELS = Array.from({ length: 10 }, (_, i) => `room${i}`);
const HOUR_MS = 3_600_000;

/** Returns what a node finds in the history. */
async function historyOf(url: string): Promise<number[]> {
  await using client = await Client.connect(`${url}/t`);
  client.sendJson({ do: "history", channel: "room" });
  const { history: { publications } } = await client.nextJson();
  return publications.map(({ json }: { json: string }) => Number(json));
}

/** Waits until all have what is published now. */
async function more(publishers: readonly Publisher[]): Promise<void> {
  await Promise.all(publishers.map((each) => each.more(3)));
}

testWith(
  "redis",
  "B12 three nodes with 300 clients and 20 publishers restart one after the other: nothing is lost",
  async (program) => {
    await using redis = new RedisProcess(program);
    await redis.ready();
    // Those that start again; their clients, which try to connect meanwhile, take none of them.
    const ports = [freePort(), freePort(), freePort()];
    const nodes: NodeProcess[] = await Promise.all(ports.map((port) => startNode(redis.url, { port })));
    await using _nodes = all(nodes);
    const urls = nodes.map(({ url }) => url);
    const from = (i: number) => [...urls.slice(i % 3), ...urls.slice(0, i % 3)];
    const watchers = CHANNELS.map((channel) =>
      Array.from({ length: 30 }, (_, i) => new Watcher(channel, from(i)))
    );
    await using _watchers = all(watchers.flat());
    const subscribed = () => watchers.flat().every((each) => each.subscribed);
    await until("all subscriptions", subscribed, PATIENCE_MS);
    const publishers = CHANNELS.map((channel, c) =>
      [0, 1].map((i) => new Publisher(channel, from(c + i), (c * 10 + i) * 1_000_000, 100))
    );
    await using _publishers = all(publishers.flat());

    for (const [i, { child }] of nodes.entries()) {
      await more(publishers.flat());
      child.kill("SIGTERM");
      assert.equal((await child.end()).code, 0);
      const closes: number[] = JSON.parse(child.lines.take().at(-1)!);
      assert.ok(closes.length >= 100, `${closes.length} clients were moved`);
      // 500 connections a second are closed.
      const spreadMs = Math.max(...closes) - Math.min(...closes);
      assert.ok(spreadMs > closes.length * 0.8, `${closes.length} clients reconnect within ${spreadMs} ms`);
      await until("all subscriptions", subscribed, PATIENCE_MS);
      nodes[i] = await startNode(redis.url, { port: ports[i]! });
    }
    await more(publishers.flat());
    for (const [c] of CHANNELS.entries()) await everybodyHasEverything(watchers[c]!, publishers[c]!);
    assert.ok(watchers.flat().every(({ stretches }) => stretches.length === 1), "all have recovered");
  },
);

testWith("redis", "B12 two nodes whose clocks are an hour apart are one server", async (program) => {
  await using redis = new RedisProcess(program);
  await redis.ready();
  const presenceMs = 5_000;
  const nodes = [
    await startNode(redis.url, { presenceMs }),
    await startNode(redis.url, { presenceMs, aheadMs: HOUR_MS }),
  ];
  await using _nodes = all(nodes);
  const urls = nodes.map(({ url }) => url);
  const watchers = [0, 1, 2, 3].map((i) => new Watcher("room", i % 2 === 0 ? urls : urls.toReversed()));
  await using _watchers = all(watchers);
  const subscribed = () => watchers.every((each) => each.subscribed);
  await until("all subscriptions", subscribed, PATIENCE_MS);
  const publishers = [0, 1].map((i) => new Publisher("room", [urls[i]!, urls[1 - i]!], i * 1_000_000));
  await using _publishers = all(publishers);
  await more(publishers);
  // Longer than the timeout of presence.
  const till = performance.now() + 1.5 * presenceMs;
  await until("the end of the timeout", () => performance.now() > till);
  assert.deepEqual(watchers.map(({ left }) => left), [0, 0, 0, 0], "all are present");
  for (const publisher of publishers) await publisher.stop();
  const histories = await Promise.all(urls.map(historyOf));
  assert.deepEqual(histories[0], histories[1]);
  assert.ok(
    publishers.every(({ acknowledged: [first] }) => histories[0]!.includes(first!)),
    "neither clock makes anything too old",
  );

  await using later = new Publisher("room", urls, 2_000_000);
  publishers.push(later);
  await later.more();
  nodes[0]!.child.kill("SIGKILL");
  await later.more();
  await until("all subscriptions", subscribed, PATIENCE_MS);
  await everybodyHasEverything(watchers, publishers);
  assert.ok(watchers.every(({ stretches }) => stretches.length === 1), "all have recovered");
});
