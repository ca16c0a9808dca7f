import assert from "node:assert/strict";
import { Payload } from "../../../plugins/channels.ts";
import { redis } from "../../../plugins/redis.ts";
import { batches } from "../../../plugins/redis/batches.ts";
import { loadWithin } from "../../../plugins/redis/load.ts";
import { underTest } from "../../kit/broker_suite.ts";
import { testWith } from "../../kit/programs.ts";
import { connectedBroker, RedisProcess } from "../../kit/redis.ts";
import { turn } from "../../kit/mod.ts";

const limits = { maxPending: 1_000, maxPendingBytes: 1_000_000 };
const keep = { size: 100, ageMs: 60_000 };

Deno.test("B12 items that wait share a call, in their order, within its bounds", async () => {
  const calls: { items: readonly number[]; answer(results: readonly string[]): void }[] = [];
  const add = batches<number, string>(
    (items) => new Promise((answer) => calls.push({ items, answer })),
    loadWithin(limits),
  );
  const results = [add(1, 10), add(2, 10)];
  await turn();
  for (let i = 3; i <= 36; i++) results.push(add(i, i === 36 ? 300_000 : 10));
  await turn();
  assert.deepEqual(calls.map(({ items }) => items.length), [2, 32], "at most 32");
  results.push(add(37, 10));
  await turn();
  assert.equal(calls.length, 2, "no third call at once");
  calls[0]!.answer(["one", "two"]);
  await turn();
  assert.deepEqual(calls[2]!.items, [35], "36 would be too large beside it");
  assert.deepEqual(await Promise.all(results.slice(0, 2)), ["one", "two"]);
  for (const { items, answer } of calls.slice(1)) answer(items.map(String));
  await turn();
  calls[3]!.answer(["36"]);
  await turn();
  calls[4]!.answer(["37"]);
  assert.deepEqual((await Promise.all(results)).slice(2), Array.from({ length: 35 }, (_, i) => `${i + 3}`));
});

testWith(
  "redis",
  "B12 publications of one moment share a script call, and one that fails does not harm the others",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using under = await underTest(connectedBroker(redis({ urls: [server.url] }), server));
    assert.equal(await server.command("SET", "plugboard:stream:b", "foreign"), "+OK");
    assert.equal(await server.command("HSET", "plugboard:meta:b", "base", "x", "run", "y", "top", "1"), ":3");
    const publish = async (channel: string, n: number) =>
      (await under.broker.publish(channel, { payload: Payload.of(n) }, { keep })).offset;
    const [first, failed, ...rest] = await Promise.allSettled([
      publish("a", 1),
      publish("b", 1),
      ...Array.from({ length: 98 }, (_, i) => publish("a", i + 2)),
    ]);
    assert.deepEqual(first, { status: "fulfilled", value: 1 });
    assert.equal(failed!.status, "rejected");
    assert.match(`${(failed as PromiseRejectedResult).reason}`, /Redis answered: WRONGTYPE/);
    assert.deepEqual(
      rest.map((each) => each.status === "fulfilled" && each.value),
      Array.from({ length: 98 }, (_, i) => i + 2),
    );
    const { stdout } = await new Deno.Command("redis-cli", {
      args: ["-p", `${server.port}`, "INFO", "commandstats"],
    }).output();
    const calls = Number(new TextDecoder().decode(stdout).match(/evalsha:calls=(\d+)/)![1]);
    assert.ok(calls < 10, `${calls} calls for 100 publications`);
  },
);
