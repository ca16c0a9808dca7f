import assert from "node:assert/strict";
import { Payload } from "../../../plugins/channels.ts";
import { redis } from "../../../plugins/redis.ts";
import { underTest } from "../../kit/broker_suite.ts";
import { testWith } from "../../kit/programs.ts";
import { connectedBroker, RedisProcess } from "../../kit/redis.ts";

const keep = { size: 10_000, ageMs: 60_000 };

for (
  const [limit, letter] of [
    [{ maxPending: 100 }, "x"],
    [{ maxPendingBytes: 100_000 }, "x"],
    [{ maxPendingBytes: 300_000 }, "語"], // Of three bytes.
  ] as const
) {
  const [name] = Object.keys(limit);
  testWith(
    "redis",
    `B12 while Redis stands still, no more waits than ${name} says (${letter}), and acknowledgements are true`,
    async (program) => {
      await using server = new RedisProcess(program);
      await server.ready();
      const plugin = redis({ urls: [server.url], timeoutMs: 60_000, ...limit });
      await using under = await underTest(connectedBroker(plugin, server));
      const draft = { payload: Payload.of(letter.repeat(1_000)) };
      server.signal("SIGSTOP");
      const all = Array.from({ length: 1_000 }, async () => await under.broker.publish("a", draft, { keep }));
      const settled = Promise.allSettled(all);
      await assert.rejects(all.at(-1)!, { code: "unavailable", message: /does not keep up$/ });
      server.signal("SIGCONT");
      const results = await settled;
      const done = results.filter(({ status }) => status === "fulfilled").length;
      assert.ok(done > 50 && done <= 100, `${done}`);
      assert.equal((await under.broker.history("a", { limit: 0 }, keep)).top.offset, done);
    },
  );
}

testWith(
  "redis",
  "B12 ten thousand members that are put at once do not prevent a publish",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    const plugin = redis({ urls: [server.url], maxPending: 1_000 });
    await using under = await underTest(connectedBroker(plugin, server));
    const { presenceStore } = plugin.api;
    const puts = Array.from({ length: 10_000 }, async (_, i) => {
      const client = `client${i}`;
      const present = { client, user: "", data: undefined, joinedAt: 1, lastSeenAt: 1 };
      await presenceStore.put("room", present, 60_000);
      assert.equal((await presenceStore.get("room", client))?.client, client);
    });
    const { offset } = await under.broker.publish("a", { payload: Payload.of(1) }, { keep });
    assert.equal(offset, 1);
    await Promise.all(puts);
    assert.deepEqual(await presenceStore.count("room"), { clients: 10_000, users: 1, anonymous: 10_000 });
  },
);
