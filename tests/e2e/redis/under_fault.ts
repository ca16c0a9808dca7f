/** Nodes under load, and something that happens to them. */

import { until } from "../../kit/mod.ts";
import { all, everybodyHasEverything, PATIENCE_MS, Publisher, startNodes, Watcher } from "./kit.ts";

const CHANNELS: readonly string[] = ["a", "b"];

/** Three nodes, with watchers and publishers of two channels on each, and something that happens to them. */
export async function underFault(
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
export const told = (watchers: readonly Watcher[]) =>
  watchers.filter(({ stretches }) => stretches.length > 1).length;
