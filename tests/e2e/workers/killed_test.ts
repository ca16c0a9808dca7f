/** Workers that are killed again and again. */

import assert from "node:assert/strict";
import { channels } from "../../../plugins/channels.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { workers } from "../../../plugins/workers.ts";
import { sdkClient } from "../../kit/centrifuge.ts";
import { serve, until } from "../../kit/mod.ts";
import { CapturedWorkers, connectionsOf } from "../../kit/workers.ts";

const READERS = 10;

/** Of each place. */
const KILLS = 4;

Deno.test("workers that are killed in a row come back ever later, and no client, place or message is lost", async () => {
  using captured = new CapturedWorkers();
  const cores = workers({ count: 2 });
  const bus = channels({ defaults: { historySize: 10_000, recoveryLimit: 10_000 } });
  const people = presence({ channels: bus.api });
  const methods = rpc();
  const services = { channels: bus.api, presence: people.api, rpc: methods.api };
  // A connection that is not released would keep others out.
  const server = await serve({ maxConnections: READERS }, bus, people, methods, centrifuge(services), cores);
  await using _server = server;
  await using scope = new AsyncDisposableStack();
  const received: number[][] = [];
  for (let i = 0; i < READERS; i++) {
    const got: number[] = received[i] = [];
    const { sdk } = scope.use(sdkClient(server.url));
    const subscription = sdk.newSubscription("news", { minResubscribeDelay: 1 });
    subscription.on("publication", ({ data }) => void got.push(data));
    subscription.subscribe();
    sdk.connect();
    await subscription.ready();
  }
  let sent = 0;
  const publish = () => bus.api.publish("news", sent++);
  const waits: number[] = [];
  for (let round = 1; round <= KILLS; round++) {
    const before = captured.all.length;
    for (const worker of captured.all.slice(-2)) CapturedWorkers.crash(worker);
    await until("the ends", () => cores.api.workers.every(({ replaced }) => replaced === round));
    const endedAt = performance.now();
    await until("the others", async () => (await publish(), captured.all.length === before + 2));
    waits.push(performance.now() - endedAt);
    await until("all publications", async () => {
      await publish();
      return server.server.connections.size === READERS && received.every(({ length }) => length > sent - 5);
    });
  }
  await until("all publications", () => received.every(({ length }) => length === sent));
  for (const got of received) assert.deepEqual(got, Array.from({ length: sent }, (_, i) => i));
  // 50, 150, 350 and 750 ms.
  waits.forEach((wait, i) => assert.ok(wait >= 100 * 2 ** i - 60, `waits of ${waits} ms`));
  assert.equal(captured.all.length, 2 + 2 * KILLS);
  assert.equal(connectionsOf(cores.api.workers).reduce((a, b) => a + b), READERS);
  assert.equal((await people.api.list("news")).length, READERS);
});
