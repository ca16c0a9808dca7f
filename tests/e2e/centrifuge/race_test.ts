/** Subscribing while others publish: from its position on, a client gets each publication exactly once. */

import assert from "node:assert/strict";
import { type Broker, memoryBroker } from "../../../plugins/channels.ts";
import { centrifugeServer, heard, sdkClient, transportNames } from "../../kit/centrifuge.ts";
import { until } from "../../kit/mod.ts";

/** A broker that answers later, except to publish. */
function slowBroker(): Broker {
  const memory = memoryBroker();
  const later = async <T>(run: () => T | Promise<T>): Promise<T> => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
    return await run();
  };
  return {
    ...memory,
    subscribe: (channel) => later(() => memory.subscribe(channel)),
    history: (...args) => later(() => memory.history(...args)),
  };
}

for (const [name, broker] of [["local", memoryBroker], ["slow", slowBroker]] as const) {
  Deno.test(`B02 50 clients that subscribe and publish at once get each publication exactly once (${name} broker)`, async () => {
    await using server = await centrifugeServer({
      channels: { broker: broker(), defaults: { historySize: 5_000, recoveryLimit: 5_000 } },
    });
    await using clients = new AsyncDisposableStack();
    const perClient = 10;
    const middle = Promise.withResolvers<void>();
    const readers = await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      const { sdk } = clients.use(sdkClient(server.url, transportNames[i % 3]));
      const room = sdk.newSubscription("room");
      const subscribed = heard(room, "subscribed");
      const offsets: number[] = [];
      const seen = new Set<string>();
      room.on("publication", ({ offset, data }) => {
        offsets.push(offset!);
        seen.add(data);
      });
      sdk.connect();
      await sdk.ready();
      if (i === 0) await middle.promise; // So what follows is certain to come after somebody's position.
      const publishing = Promise.all(
        Array.from({ length: perClient }, (_, n) => sdk.publish("room", `${i}:${n}`)),
      );
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
      room.subscribe();
      const { streamPosition } = await subscribed.next();
      if (streamPosition!.offset > 0) middle.resolve();
      await publishing;
      return { start: streamPosition!.offset, offsets, seen };
    }));
    const { offset: top } = (await server.bus.history("room", { limit: 0 })).top;
    assert.equal(top, 50 * perClient);
    await until(
      "all publications",
      () => readers.every(({ offsets, start }) => offsets.length >= top - start),
    );
    for (const { start, offsets, seen } of readers) {
      assert.deepEqual(offsets, Array.from({ length: top - start }, (_, i) => start + 1 + i));
      assert.equal(seen.size, top - start);
    }
    assert.ok(readers.some(({ start }) => start > 0 && start < top), "nobody subscribed in the middle of it");
  });
}
