import assert from "node:assert/strict";
import { memoryBroker, Payload } from "../../../plugins/channels.ts";
import { brokerSuite, underTest } from "../../kit/broker_suite.ts";
import { persistent, remoteBrokers } from "../../kit/remote.ts";

brokerSuite("memory", () => underTest(memoryBroker()));
brokerSuite("remote", () => underTest(persistent(remoteBrokers(1)[0]!)));

Deno.test("the memory broker stores nothing for channels that are only read", async () => {
  const { broker } = await underTest(memoryBroker());
  const keep = { size: 1, ageMs: 1000 };
  const { top } = await broker.history("first", {}, keep);
  for (let i = 0; i < 1000; i++) await broker.history(`other${i}`, {}, keep);
  assert.deepEqual((await broker.history("first", {}, keep)).top, top);
  await broker.stop?.();
});

Deno.test("the memory broker forgets unused histories, and their positions are not valid in new ones", async () => {
  await using under = await underTest(memoryBroker({ forgetAfterMs: 10_000 }));
  const { broker, clock } = under;
  const keep = { size: 10, ageMs: 1000 };
  const before = await broker.publish("a", { payload: Payload.of(1) }, { keep });
  clock.advance(20_000);
  const after = await broker.publish("a", { payload: Payload.of(2) }, { keep });
  assert.equal(after.offset, 1);
  assert.notEqual(after.epoch, before.epoch);
});

Deno.test("the memory broker empties the longest unused histories when all together are too large", async () => {
  await using under = await underTest(memoryBroker({ maxChars: 100 }));
  const { broker } = under;
  const keep = { size: 10, ageMs: 60_000 };
  const payload = { payload: Payload.of("x".repeat(38)) };
  for (const channel of ["a", "b", "a", "c"]) await broker.publish(channel, payload, { keep });
  const sizes = await Promise.all(
    ["a", "b", "c"].map(async (channel) => (await broker.history(channel, {}, keep)).publications.length),
  );
  assert.deepEqual(sizes, [0, 0, 1]);
  assert.equal((await broker.history("a", {}, keep)).top.offset, 2);
});
