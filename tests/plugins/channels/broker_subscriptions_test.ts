import assert from "node:assert/strict";
import { type Broker, channels, memoryBroker } from "../../../plugins/channels.ts";
import { channelProtocol } from "../../kit/channel_protocol.ts";
import { FakeClock, serve, turn, until } from "../../kit/mod.ts";

/** A server whose broker answers a subscribe with the given function. */
async function serveBroker(subscribe: () => Promise<void> | void) {
  const calls: string[] = [];
  const memory = memoryBroker();
  const broker: Broker = {
    ...memory,
    subscribe(channel) {
      calls.push(`subscribe ${channel}`);
      return subscribe();
    },
    unsubscribe: (channel) => void calls.push(`unsubscribe ${channel}`),
  };
  const clock = new FakeClock();
  const bus = channels({ broker });
  const server = await serve({ clock }, bus, channelProtocol(bus.api));
  return Object.assign(server, { bus: bus.api, calls, clock });
}

for (
  const [how, fail] of [
    ["rejects", () => Promise.reject(new Error("no connection"))],
    ["throws", () => {
      throw new Error("no connection");
    }],
  ] as [string, () => Promise<void>][]
) {
  Deno.test(`a subscribe that ${how} at the broker is retried with back-off while a callback needs it`, async () => {
    let failures = 3;
    await using server = await serveBroker(() => failures-- > 0 ? fail() : undefined);
    const { calls, clock } = server;
    const heard: unknown[] = [];
    const stop = server.bus.subscribe("a", (data) => heard.push(data));
    for (const delay of [100, 200, 400]) {
      assert.match((await server.log.next()).message, /^subscribing to a at the broker failed$/);
      const before = calls.length;
      clock.advance(delay - 1);
      assert.equal(calls.length, before, "not too early");
      clock.advance(1);
      await until("the retry", () => calls.length === before + 1);
    }
    await server.bus.publish("a", 1);
    await until("the callback", () => heard.length === 1);
    clock.advance(60_000);
    assert.equal(calls.length, 4, "no retry after a success");
    stop();
    assert.deepEqual(calls.at(-1), "unsubscribe a");
  });
}

Deno.test("a client gets the error of its subscribe, and there is no retry for it", async () => {
  await using server = await serveBroker(() => Promise.reject(new Error("no connection")));
  await using client = await server.connect("/t");
  client.sendJson({ do: "subscribe", channel: "a" });
  assert.deepEqual(await client.nextJson(), { error: "no connection" });
  await until("the release", () => server.bus.localStats().length === 0);
  server.clock.advance(10_000);
  await turn();
  assert.deepEqual(server.calls, ["subscribe a", "unsubscribe a"]);
});

Deno.test("a client that subscribes while a retry waits does not wait for it", async () => {
  let failures = 1;
  await using server = await serveBroker(() => {
    if (failures-- > 0) throw new Error("no connection");
  });
  server.bus.subscribe("a", () => {});
  await server.log.next();
  await using client = await server.connect("/t");
  client.sendJson({ do: "subscribe", channel: "a" });
  assert.equal((await client.nextJson()).subscribed, "a");
  server.clock.advance(10_000);
  assert.deepEqual(server.calls, ["subscribe a", "subscribe a"]);
});

Deno.test("retries end with the last callback, and when the server stops", async () => {
  await using server = await serveBroker(() => Promise.reject(new Error("no connection")));
  const stop = server.bus.subscribe("a", () => {});
  await server.log.next();
  stop();
  server.bus.subscribe("b", () => {});
  await server.log.next();
  await server.server.stop();
  server.clock.advance(60_000);
  assert.deepEqual(server.calls, ["subscribe a", "unsubscribe a", "subscribe b"]);
});

Deno.test("a broker gets one call at a time for each channel, in order", async () => {
  const answers: (() => void)[] = [];
  await using server = await serveBroker(() => new Promise<void>((resolve) => answers.push(resolve)));
  const { bus, calls } = server;
  bus.subscribe("a", () => {})();
  bus.subscribe("a", () => {});
  bus.subscribe("b", () => {});
  assert.deepEqual(calls, ["subscribe a", "subscribe b"]);
  answers[0]!();
  await until("the calls", () => calls.length === 4);
  assert.deepEqual(calls, ["subscribe a", "subscribe b", "unsubscribe a", "subscribe a"]);
  for (const answer of answers) answer();
});
