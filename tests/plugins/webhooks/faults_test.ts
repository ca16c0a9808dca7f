/** Receivers that are slow, down or hostile, full queues, and processes that are killed. */

import assert from "node:assert/strict";
import { PlugboardError } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { type WebhookOptions, webhooks } from "../../../plugins/webhooks.ts";
import { Child } from "../../kit/child.ts";
import { FakeClock, serve, until } from "../../kit/mod.ts";
import { SECRET, type TestReceiver, webhookReceiver } from "./kit.ts";

/** A server that sends its publications to one receiver, in memory or stored. */
async function start(
  url: string,
  options: Partial<WebhookOptions> & { stored?: boolean; clock?: FakeClock } = {},
) {
  const { stored = false, clock, ...more } = options;
  const bus = channels();
  const store = persistence({ path: ":memory:" });
  const receiver = {
    name: "test",
    url,
    secrets: [SECRET],
    events: ["publish" as const],
    batchMs: 0,
    ...more,
  };
  const hooks = webhooks({ channels: bus.api, receivers: [receiver], ...(stored && { store: store.api }) });
  const test = await serve(clock ? { clock } : {}, store, bus, hooks);
  return {
    hooks: hooks.api,
    log: test.log,
    stats: () => hooks.api.stats()[0]!,
    async publish(from: number, count: number) {
      for (let i = from; i < from + count; i++) await bus.api.publish("news", i);
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
const dataOf = (events: readonly { data: number }[]) => events.map(({ data }) => data);

/** Advances the clock until something holds. */
const advanceUntil = (clock: FakeClock, what: string, holds: () => boolean) =>
  until(what, () => {
    if (!holds()) clock.advance(1_000);
    return holds();
  });

/** 100 MB, sent as fast as they are read. */
function flood(status: number): Response {
  let parts = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (++parts > 1_600) controller.close();
      else controller.enqueue(new Uint8Array(65_536));
    },
  });
  return new Response(body, { status });
}

for (const stored of [false, true]) {
  const where = stored ? "stored" : "in memory";
  Deno.test(`whatever the receiver does, its events arrive in order once it is back, ${where}`, async (t) => {
    const clock = new FakeClock(Date.now());
    await using receiver = webhookReceiver();
    await using server = await start(receiver.url, { stored, clock, maxBatch: 4 });
    const hanging: (() => void)[] = [];
    const faults: Record<string, TestReceiver["answer"]> = {
      "answers 500": () => new Response("oops", { status: 500 }),
      "redirects": () => new Response(null, { status: 308, headers: { location: "http://127.0.0.1:1/" } }),
      "sends 100 MB with an error": () => flood(503),
      "hangs": () =>
        new Promise((resolve) => hanging.push(() => resolve(new Response(null, { status: 500 })))),
      "flaps": () => new Response(null, { status: receiver.count % 2 === 0 ? 204 : 500 }),
    };
    let next = 0;
    for (const [name, answer] of Object.entries(faults)) {
      await t.step(name, async () => {
        const seen = receiver.count;
        receiver.answer = answer;
        await server.publish(next, 10);
        await advanceUntil(clock, "three requests", () => receiver.count >= seen + 3);
        receiver.answer = () => new Response("x");
        const all = receiver.events(10);
        await advanceUntil(clock, "the deliveries", () => server.stats().queued === 0);
        // What was accepted when the answer was lost comes again.
        assert.deepEqual(dataOf(await all), numbers(next, 10));
        next += 10;
        for (const end of hanging.splice(0)) end();
      });
    }
    assert.deepEqual({ ...server.stats(), name: "" }, { name: "", queued: 0, deadLetters: 0, dropped: 0 });
    assert.ok(server.log.size <= 20, "a problem that continues is logged rarely");
  });

  Deno.test(`a full queue makes dead letters, which can be listed, retried and deleted, ${where}`, async () => {
    await using receiver = webhookReceiver();
    receiver.answer = () => new Response(null, { status: 500 });
    const clock = new FakeClock(Date.now());
    await using server = await start(receiver.url, { stored, clock, maxQueued: 5, maxDeadLetters: 3 });
    await server.publish(0, 10);
    await until("the request", () => receiver.count > 0);
    assert.deepEqual(server.stats(), { name: "test", queued: 5, deadLetters: 3, dropped: 2 });
    await until("the storing", () => server.hooks.deadLetters("test").length === 3);
    const letters = server.hooks.deadLetters("test");
    assert.deepEqual(letters.map(({ event, reason }) => [(event as { data: number }).data, reason]), [
      [5, "the queue was full"],
      [6, "the queue was full"],
      [7, "the queue was full"],
    ]);
    assert.deepEqual(server.hooks.deadLetters("test", { after: letters[0]!.id, limit: 1 }), [letters[1]]);
    assert.equal(await server.hooks.retry("test"), 0, "there is no room");

    receiver.answer = () => new Response();
    await advanceUntil(clock, "the deliveries", () => server.stats().queued === 0);
    assert.equal(await server.hooks.retry("test", [letters[1]!.id, 999]), 1);
    await until("the delivery", () => server.stats().queued === 0);
    assert.equal(await server.hooks.empty("test", [letters[0]!.id]), 1);
    assert.deepEqual(server.hooks.deadLetters("test"), [letters[2]]);
    assert.equal(await server.hooks.retry("test"), 1);
    assert.equal(await server.hooks.empty("test"), 0);
    assert.deepEqual(dataOf(await receiver.events(7)), [0, 1, 2, 3, 4, 6, 7]);
    await assert.rejects(server.hooks.retry("other"), PlugboardError);
    assert.ok(server.log.take().some(({ message }) => /dropped/.test(message)));
  });

  Deno.test(`events that a receiver refuses for too long become dead letters, and later ones follow, ${where}`, async () => {
    const clock = new FakeClock(Date.now());
    await using receiver = webhookReceiver();
    receiver.answer = () => new Response(null, { status: 400 });
    await using server = await start(receiver.url, { stored, clock, maxBatch: 2, giveUpMs: 10_000 });
    await server.publish(0, 2);
    await advanceUntil(clock, "the end of the retries", () => server.stats().deadLetters === 2);
    receiver.answer = () => new Response();
    await server.publish(2, 2);
    assert.deepEqual(dataOf(await receiver.events(2)), [2, 3]);
    assert.deepEqual(server.hooks.deadLetters("test").map(({ reason }) => reason), [
      "the status was 400",
      "the status was 400",
    ]);
  });
}

Deno.test("a repeated request has the id of the first one, and a new signature", async () => {
  const clock = new FakeClock(Date.now());
  await using receiver = webhookReceiver();
  receiver.answer = () => new Response(null, { status: 500 });
  await using server = await start(receiver.url, { clock });
  await server.publish(0, 1);
  const first = await receiver.deliveries.next();
  receiver.answer = () => new Response();
  await advanceUntil(clock, "the delivery", () => server.stats().queued === 0);
  const second = await receiver.deliveries.next();
  assert.equal(first.id, second.id);
  assert.equal(first.body, second.body);
  assert.notEqual(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]);
});

Deno.test("a receiver that is down costs one request at a time, and a publish does not wait for it", async () => {
  let pending = 0;
  let most = 0;
  const hanging: (() => void)[] = [];
  await using receiver = webhookReceiver();
  receiver.answer = () => {
    most = Math.max(most, ++pending);
    return new Promise((resolve) => hanging.push(() => resolve(new Response(null, { status: 500 }))));
  };
  await using server = await start(receiver.url, { stored: true, maxQueued: 500 });
  await server.publish(0, 2_000);
  await until("the request", () => pending > 0);
  assert.equal(most, 1);
  await until("the storing", () => server.hooks.deadLetters("test", { limit: 1_000 }).length === 1_000);
  assert.deepEqual(server.stats(), { name: "test", queued: 500, deadLetters: 1_500, dropped: 0 });
  assert.equal(await server.hooks.empty("test"), 1_500);
  for (const end of hanging) end();
});

Deno.test("B10 events survive kill -9 and arrive after the restart, in order", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using receiver = webhookReceiver();
    receiver.answer = () => new Response(null, { status: 503 });
    const script = new URL("kill_child.ts", import.meta.url);
    const run = (from: number, count: number) =>
      new Child(script, { args: [`${folder}/test.db`, receiver.url, `${from}`, `${count}`] });
    {
      await using first = run(0, 20);
      assert.equal(await first.line(), "stored");
      await until("a request before the kill", () => receiver.count > 0);
      first.kill("SIGKILL");
      await first.end();
    }
    receiver.answer = () => new Response();
    await using second = run(20, 10);
    assert.equal(await second.line(), "stored");
    assert.deepEqual(dataOf(await receiver.events(30)), numbers(0, 30));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
