/** What others do to the data of a Redis server: a clear error, and nothing is lost silently. */

import assert from "node:assert/strict";
import { type BrokerPublishOptions, Payload } from "../../../plugins/channels.ts";
import { redis } from "../../../plugins/redis.ts";
import { underTest } from "../../kit/broker_suite.ts";
import { testWith } from "../../kit/programs.ts";
import { connectedBroker, RedisProcess } from "../../kit/redis.ts";

const keep = { size: 10, ageMs: 60_000 };

/** Starts a server, and a node whose channel `a` has a publication. */
async function start(program: string, user = "") {
  const server = new RedisProcess(program);
  await server.ready();
  if (user !== "") await server.command("ACL", "SETUSER", "app", "on", ">old", "~*", "&*", "+@all");
  const { broker, ...under } = await underTest(
    connectedBroker(redis({ urls: [server.url.replace("//", `//${user}`)] }), server),
  );
  await broker.subscribe("a");
  const publish = async (n: number, more: Partial<BrokerPublishOptions> = {}) =>
    (await broker.publish("a", { payload: Payload.of(n) }, { keep, ...more })).offset;
  assert.equal(await publish(1), 1);
  return {
    ...{ server, broker, publish, delivered: under.delivered },
    async numbers() {
      const { publications } = await broker.history("a", {}, keep);
      return publications.map(({ offset, payload }) => [offset, Number(payload.text)]);
    },
    async [Symbol.asyncDispose]() {
      await under[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

testWith(
  "redis",
  "B12 an entry of somebody else in a stream is not read, and refuses publications",
  async (program) => {
    await using node = await start(program);
    assert.equal(await node.server.command("XADD", "plugboard:stream:a", "5-0", "evil", "x"), "$3");
    for (let i = 0; i < 6; i++) {
      await assert.rejects(node.publish(2), {
        code: "unavailable",
        message: /ID specified in XADD is equal/,
      });
    }
    assert.deepEqual(await node.numbers(), [[1, 1]]);
    await node.broker.removeHistory("a");
    assert.equal(await node.publish(3), 2, "what failed was not counted");
    assert.deepEqual(await node.numbers(), [[2, 3]]);
  },
);

testWith(
  "redis",
  "B12 a key of a wrong type refuses publications, and counts neither them nor versions",
  async (program) => {
    await using node = await start(program);
    await node.server.command("DEL", "plugboard:stream:a");
    await node.server.command("SET", "plugboard:stream:a", "x");
    const version = { number: 7, epoch: "" };
    await assert.rejects(node.publish(2, { version }), { code: "unavailable", message: /WRONGTYPE/ });
    await assert.rejects(node.numbers(), { code: "unavailable", message: /WRONGTYPE/ });
    await node.server.command("DEL", "plugboard:stream:a");
    assert.equal(await node.publish(2, { version }), 2);
    assert.deepEqual(await node.numbers(), [[2, 2]]);
  },
);

testWith(
  "redis",
  "B12 a server without memory refuses publications, and goes on when it has some",
  async (program) => {
    await using node = await start(program);
    await node.server.command("CONFIG", "SET", "maxmemory", "1");
    await assert.rejects(node.publish(2), { code: "unavailable", message: /OOM command not allowed/ });
    assert.deepEqual(await node.numbers(), [[1, 1]]);
    await node.server.command("CONFIG", "SET", "maxmemory", "0");
    assert.equal(await node.publish(3), 2);
    assert.deepEqual(node.delivered.map(({ publication }) => publication.payload.text), ["1", "3"]);
  },
);

testWith(
  "redis",
  "B12 when all scripts, and then all data, are removed, publications go on in another epoch",
  async (program) => {
    await using node = await start(program);
    await node.server.command("SCRIPT", "FLUSH");
    assert.equal(await node.publish(2), 2);
    await node.server.command("FLUSHALL");
    assert.equal(await node.publish(3), 1);
    const epochs = node.delivered.map(({ epoch }) => epoch);
    assert.equal(epochs[0], epochs[1]);
    assert.notEqual(epochs[1], epochs[2], "clients learn that they cannot recover");
  },
);

testWith("redis", "B12 messages of somebody else are no publications, and prevent none", async (program) => {
  await using node = await start(program);
  for (const message of ["x", "x/0\\n", '"x/0 NaN NaN e\\n\\n1"', '"x/0 presence\\n{"', '"x/0 1 2 e\\n{"']) {
    assert.equal(await node.server.command("SPUBLISH", "plugboard:channel:a", message), ":1");
  }
  assert.equal(await node.publish(2), 2);
  assert.deepEqual(node.delivered.map(({ publication }) => publication.payload.text), ["1", "2"]);
});
