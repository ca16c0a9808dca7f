import assert from "node:assert/strict";
import type { Plugin } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { presence } from "../../../plugins/presence.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { rpc } from "../../../plugins/rpc.ts";
import { metricsRegistry } from "../../../plugins/stats.ts";
import { workers } from "../../../plugins/workers.ts";
import { sdkClient } from "../../kit/centrifuge.ts";
import { type Client, serve, until } from "../../kit/mod.ts";
import { CapturedWorkers, connectionsOf } from "../../kit/workers.ts";

const READERS = 12;

for (const how of ["crash", "hang"] as const) {
  Deno.test(`a worker that ends by a ${how} is replaced, its clients recover everything, and nobody else notices`, async () => {
    using captured = new CapturedWorkers();
    const metrics = metricsRegistry();
    const cores = workers({ count: 2, hangMs: 800, metrics });
    const bus = channels({ defaults: { historySize: 10_000, recoveryLimit: 10_000 } });
    const people = presence({ channels: bus.api });
    const methods = rpc();
    const services = { channels: bus.api, presence: people.api, rpc: methods.api };
    await using server = await serve({}, bus, people, methods, centrifuge(services), cores);
    await using scope = new AsyncDisposableStack();
    const received: number[][] = [];
    const disconnects: number[] = Array(READERS).fill(0);
    for (let i = 0; i < READERS; i++) {
      const got: number[] = received[i] = [];
      const { sdk } = scope.use(sdkClient(server.url));
      const subscription = sdk.newSubscription("news", { minResubscribeDelay: 1 });
      subscription.on("publication", ({ data }) => void got.push(data));
      sdk.on("connecting", () => void disconnects[i]!++);
      subscription.subscribe();
      sdk.connect();
      await subscription.ready();
    }
    disconnects.fill(0);
    const before = connectionsOf(cores.api.workers);
    assert.equal(before[0]! + before[1]!, READERS);

    let sent = 0;
    const publish = async () => {
      for (let i = 0; i < 10; i++) await bus.api.publish("news", sent++);
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await publish();
    if (how === "crash") CapturedWorkers.crash(captured.all[0]!);
    using hold = how === "hang" ? CapturedWorkers.hold(captured.all[0]!) : undefined;
    await until("the replacement", async () => (await publish(), captured.all.length === 3));
    hold?.release(); // Its sockets close when the thread ends.
    for (let i = 0; i < 10; i++) await publish();
    await until("all publications", () => received.every(({ length }) => length >= sent));
    for (const got of received) assert.deepEqual(got, Array.from({ length: sent }, (_, i) => i));
    assert.equal(disconnects.filter((count) => count > 0).length, before[0]);
    assert.equal(metrics.totals()["plugboard_workers_replaced_total"], 1);
    assert.deepEqual(cores.api.workers.map(({ replaced }) => replaced), [1, 0]);
    const logged = server.log.take().map(({ message }) => message);
    assert.deepEqual(logged, ["a worker has ended and is replaced"]);
  });
}

Deno.test("messages that a worker passed on before it ended are handled", async () => {
  using captured = new CapturedWorkers();
  const handled: string[] = [];
  const slow: Plugin = {
    name: "slow",
    endpoints: [{
      name: "slow",
      path: "/slow",
      open: () => ({
        message(text) {
          handled.push(text);
          for (const end = performance.now() + 1; performance.now() < end;);
        },
        close: () => void handled.push("closed"),
      }),
    }],
  };
  await using server = await serve({}, slow, workers({ count: 1 }));
  using raw = await server.raw("/slow");
  for (let i = 0; i < 200; i++) await raw.frame(1, String(i));
  await until("the first messages", () => handled.length > 50);
  CapturedWorkers.crash(captured.all[0]!);
  await until("the end", () => handled.at(-1) === "closed");
  assert.deepEqual(handled, [...Array.from({ length: 200 }, (_, i) => String(i)), "closed"]);
});

Deno.test("while no worker runs, the health says so, and clients get in when one runs again", async () => {
  using captured = new CapturedWorkers();
  let problems: () => readonly string[] = () => [];
  const observer = {
    name: "observer",
    start: (host: { problems: readonly string[] }) => void (problems = () => host.problems),
  };
  await using server = await serve({}, echo(), observer, workers({ count: 1 }));
  const lost = await server.connect("/echo");
  CapturedWorkers.crash(captured.all[0]!);
  await until("the problem", () => problems().length > 0);
  assert.match(problems()[0]!, /^Worker 1 accepts no connections at http:\/\/127\.0\.0\.1:\d+: /);
  assert.notEqual((await lost.closed).code, 1000);
  let client: Client | undefined;
  await until("another worker", async () => {
    client = await server.connect("/echo").catch(() => undefined);
    return client !== undefined;
  });
  client!.send("again");
  assert.equal(await client!.next(), "again");
  await client!.close();
  assert.deepEqual(problems(), []);
});
