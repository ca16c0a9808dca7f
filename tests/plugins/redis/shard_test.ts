import assert from "node:assert/strict";
import type { Log } from "../../../core/mod.ts";
import type { Link, LinkEvents, Listener } from "../../../plugins/redis/link.ts";
import { loadWithin } from "../../../plugins/redis/load.ts";
import { Shard } from "../../../plugins/redis/shard.ts";
import { until } from "../../kit/mod.ts";

Deno.test("B12 a slot that moves while its channels are subscribed to again leaves none without a subscription", async () => {
  let owner: LinkEvents | undefined;
  let subscriptions = 0;
  const link = {
    isUp: true,
    address: { name: "server" },
    own: (events: LinkEvents) => {
      owner = events;
      return () => {};
    },
    subscribe(_: readonly string[], listener: Listener) {
      const subscribed = Promise.resolve();
      // The server's answer, and right behind it the end of the subscription.
      if (++subscriptions === 2) listener.moved();
      return subscribed;
    },
    unsubscribe: async () => {},
  };
  const log = {} as Log;
  const shard = new Shard("", loadWithin({ maxPending: 1, maxPendingBytes: 1 }));
  let looks = 0;
  shard.moved = () => looks++;
  await shard.attach(link as unknown as Link, log);
  await shard.subscribe("a");
  owner!.down();
  owner!.back();
  await until("the next subscription", () => subscriptions === 3 && shard.isUp);
  assert.equal(looks, 1);
  await shard.attach(undefined, log);
});
