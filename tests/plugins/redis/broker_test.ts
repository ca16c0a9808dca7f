import assert from "node:assert/strict";
import { type Draft, type HistoryQuery, Payload } from "../../../plugins/channels.ts";
import { redis } from "../../../plugins/redis.ts";
import { brokerSuite, underTest } from "../../kit/broker_suite.ts";
import { publishOnceSuite } from "../../kit/publish_once_suite.ts";
import { FakeClock, until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { connectedBroker, ownRedis, RedisProcess, withRedis } from "../../kit/redis.ts";

if (withRedis()) {
  const make = () => {
    const clock = new FakeClock();
    return underTest(connectedBroker(ownRedis({ clock })), undefined, clock);
  };
  brokerSuite("B12 Redis", make);
  publishOnceSuite("Redis", make);
}

testWith("redis", "B12 a node delivers its own publication as the others do", async (program) => {
  await using server = new RedisProcess(program);
  const node = () => underTest(connectedBroker(redis({ urls: [server.url] }), server));
  await using publisher = await node();
  await using other = await node();
  for (const { broker } of [publisher, other]) await broker.subscribe("a");
  const info = { client: "c", user: "ü", data: Payload.of({ name: "名" }) };
  const drafts: Draft[] = [
    { payload: Payload.fromJson('{"price": 1.10, "text": "é\\n"}') },
    { payload: Payload.fromBytes(new Uint8Array([0, 10, 255])), tags: { room: "語 1" }, except: "c" },
    { payload: Payload.of([]), info },
  ];
  for (const draft of drafts) {
    await publisher.broker.publish("a", draft, { keep: { size: 10, ageMs: 60_000 } });
  }
  await until("all", () => other.delivered.length === drafts.length);
  const plain = ({ delivered }: typeof other) =>
    delivered.map(({ channel, epoch, publication: { payload, info, ...rest } }) => ({
      ...{ channel, epoch, bytes: [...payload.bytes], isBinary: payload.isBinary, ...rest },
      info: JSON.parse(JSON.stringify(info ?? null)),
    }));
  assert.deepEqual(plain(publisher), plain(other));
});

testWith("redis", "B12 keys and epochs of versions may be any texts", async (program) => {
  await using server = new RedisProcess(program);
  await using under = await underTest(connectedBroker(redis({ urls: [server.url] }), server));
  const keep = { size: 10, ageMs: 60_000 };
  const publish = async (key: string, version?: { number: number; epoch: string }) => {
    const options = { keep, repeatable: { key, ttlMs: 60_000, owner: "" }, ...(version && { version }) };
    const { offset, suppressed } = await under.broker.publish("a", { payload: Payload.of(1) }, options);
    return [offset, suppressed];
  };
  const epoch = "ep 1\n名";
  assert.deepEqual(await publish("k 1\n語", { number: 5, epoch }), [1, undefined]);
  assert.deepEqual(await publish("k 1\n語"), [1, "idempotency"]);
  assert.deepEqual(await publish(" 1\n語"), [2, undefined], "another key");
  assert.deepEqual(await publish("", { number: 5, epoch }), [2, "version"]);
  assert.deepEqual(await publish("x", { number: 5, epoch: "ep 1" }), [3, undefined], "another epoch");
});

testWith(
  "redis",
  "B12 a long history is read in slices: whole, in order, and without a gap",
  async (program) => {
    await using server = new RedisProcess(program);
    await using under = await underTest(connectedBroker(redis({ urls: [server.url] }), server));
    const keep = { size: 700, ageMs: 60_000 };
    const publish = async (count: number) => {
      await Promise.all(
        Array.from({ length: count }, () => under.broker.publish("a", { payload: Payload.of(1) }, { keep })),
      );
    };
    await publish(701);
    const read = async (query: HistoryQuery) => {
      const { publications, top } = await under.broker.history("a", query, keep);
      const offsets = publications.map(({ offset }) => offset);
      const step = query.reverse ? -1 : 1;
      assert.deepEqual(offsets, offsets.map((_, i) => offsets[0]! + step * i), "no gap");
      return [offsets.length, offsets[0], offsets.at(-1), top.offset];
    };
    const since = (offset: number) => ({ since: { offset, epoch: "" } });
    assert.deepEqual(await read({}), [700, 2, 701, 701]);
    assert.deepEqual(await read({ reverse: true }), [700, 701, 2, 701]);
    assert.deepEqual(await read({ limit: 450 }), [450, 2, 451, 701]);
    assert.deepEqual(await read({ ...since(301) }), [400, 302, 701, 701]);
    assert.deepEqual(await read({ ...since(601), reverse: true, limit: 599 }), [599, 600, 2, 701]);
    for (let round = 0; round < 5; round++) {
      // They remove what the reader is about to read.
      const [[, , last, top]] = await Promise.all([read({}), publish(1_000)]);
      assert.equal(last ?? top, top, "until the position");
    }
  },
);
