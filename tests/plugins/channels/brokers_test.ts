import assert from "node:assert/strict";
import { type Broker, memoryBroker, Payload } from "../../../plugins/channels.ts";
import { Child } from "../../kit/child.ts";
import { brokerSuite, underTest } from "../../kit/broker_suite.ts";
import { publishOnceSuite } from "../../kit/publish_once_suite.ts";
import { persistent, remoteBrokers } from "../../kit/remote.ts";

brokerSuite("memory", () => underTest(memoryBroker()));
brokerSuite("remote", () => underTest(persistent(remoteBrokers(1)[0]!)));
publishOnceSuite("memory", () => underTest(memoryBroker()));
publishOnceSuite("remote", () => underTest(persistent(remoteBrokers(1)[0]!)));

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

Deno.test("the memory broker keeps histories for their age, although the clock is set", async () => {
  await using under = await underTest(memoryBroker());
  const { broker, clock } = under;
  const keep = { size: 10, ageMs: 60_000 };
  const length = async () => (await broker.history("a", {}, keep)).publications.length;
  for (const ms of [-3_600_000, 7_200_000]) {
    await broker.publish("a", { payload: Payload.of(1) }, { keep });
    clock.set(ms);
    clock.advance(59_000);
    assert.equal(await length(), 1);
    clock.advance(1_000);
    assert.equal(await length(), 0);
  }
});

const LARGE = { payload: Payload.of("x".repeat(10_000)) };
const KEEP = { size: 10, ageMs: 60_000 };

/** A publication of a user. */
const by = (user: string) => ({ ...LARGE, info: { user, client: `client of ${user}` } });

/** The names of channels that end in a number. */
const numbered = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);

async function lengths(broker: Broker, channels: readonly string[]): Promise<number[]> {
  const pages = channels.map(async (channel) =>
    (await broker.history(channel, {}, KEEP)).publications.length
  );
  return await Promise.all(pages);
}

Deno.test("the memory broker removes the longest unused histories when all together are too large", async () => {
  await using under = await underTest(memoryBroker({ maxChars: 35_000 }));
  const { broker } = under;
  await broker.subscribe("a");
  for (const channel of ["a", "b", "a", "c"]) await broker.publish(channel, LARGE, { keep: KEEP });
  assert.deepEqual(await lengths(broker, ["a", "b", "c"]), [2, 0, 1]);
  for (const channel of ["b", "c"]) await broker.publish(channel, LARGE, { keep: KEEP });
  assert.deepEqual(await lengths(broker, ["a", "b", "c"]), [0, 1, 2]);
  assert.equal((await broker.history("a", {}, KEEP)).top.offset, 2, "offsets of a channel in use go on");
});

Deno.test("large tags count", async () => {
  await using under = await underTest(memoryBroker({ maxChars: 35_000 }));
  const tags = { name: "x".repeat(9_000) };
  for (const channel of ["a", "b", "c", "d"]) {
    await under.broker.publish(channel, { payload: Payload.of(1), tags }, { keep: KEEP });
  }
  assert.deepEqual(await lengths(under.broker, ["a", "b", "c", "d"]), [0, 1, 1, 1]);
  for (let i = 0; i < 100; i++) {
    await under.broker.publish("d", { payload: Payload.of(1), tags }, { keep: { ...KEEP, size: 1 } });
  }
  assert.deepEqual(await lengths(under.broker, ["b", "c", "d"]), [1, 1, 1], "only tags that are stored");
});

Deno.test("names that were published to once count, and are forgotten in the order of their use", async () => {
  await using under = await underTest(memoryBroker({ maxChars: 1_500_000 }));
  const { broker, clock } = under;
  const keep = { size: 10, ageMs: 1_000 };
  const payload = { payload: Payload.of(1) };
  await broker.subscribe("followed");
  const first = await broker.publish("first", payload, { keep });
  for (const name of ["followed", ...numbered("name", 1_000)]) await broker.publish(name, payload, { keep });
  clock.advance(5_000);
  assert.equal((await broker.history("first", {}, keep)).top.offset, 1, "empty, but not forgotten");
  for (const name of numbered("other", 1_000)) await broker.publish(name, payload, { keep });
  const { top } = await broker.history("first", {}, keep);
  assert.equal(top.offset, 0, "forgotten");
  assert.notEqual(top.epoch, first.epoch, "and its position is not taken for one in a new log");
  assert.equal((await broker.history("name0", {}, keep)).top.offset, 0);
  assert.equal((await broker.history("name999", {}, keep)).top.offset, 1, "used last");
  assert.equal((await broker.history("followed", {}, keep)).top.offset, 1, "it has subscribers");
  assert.deepEqual(await lengths(broker, ["other0", "other999"]), [1, 1], "positions go before histories");
});

Deno.test("a user who publishes too much loses own histories, not those of others", async () => {
  await using under = await underTest(memoryBroker({ maxChars: 1_000_000 }));
  const { broker } = under;
  for (const name of numbered("news", 30)) await broker.publish(name, LARGE, { keep: KEEP });
  for (const user of ["alice", "bob", ""]) {
    for (const name of numbered(`${user}:`, 5)) await broker.publish(name, by(user), { keep: KEEP });
  }
  for (const name of numbered("eve:", 1_000)) {
    await broker.publish(name, by("eve"), { keep: KEEP });
    await broker.publish("alice:0", by("eve"), { keep: KEEP }); // it stays a channel of Alice
  }
  const others = ["alice:", "bob:", ":"].flatMap((name) => numbered(name, 5)).concat(numbered("news", 30));
  assert.ok((await lengths(broker, others)).every((length) => length > 0));
  assert.deepEqual(await lengths(broker, ["eve:0", "eve:999"]), [0, 1]);
});

Deno.test("many users together do not empty what the server has published", async () => {
  await using under = await underTest(memoryBroker({ maxChars: 1_000_000 }));
  const { broker } = under;
  const news = numbered("news", 30);
  for (const name of news) await broker.publish(name, LARGE, { keep: KEEP });
  for (let i = 0; i < 5_000; i++) await broker.publish(`own:${i}`, by(`user${i}`), { keep: KEEP });
  assert.ok((await lengths(broker, news)).every((length) => length === 1));
  for (const name of numbered("more", 200)) await broker.publish(name, LARGE, { keep: KEEP });
  assert.deepEqual(await lengths(broker, ["news0", "own:4999", "more199"]), [0, 0, 1], "it has a bound, too");
});

Deno.test("a small publication does not keep the large message that it came in", async () => {
  const script = new URL("children/small_parts.ts", import.meta.url);
  await using child = new Child(script, { flags: ["--v8-flags=--expose-gc"] });
  const megabytes = Number(await child.line());
  assert.ok(megabytes < 60, `${megabytes} MB for 3,000 small publications in messages of 60 KB`);
});
