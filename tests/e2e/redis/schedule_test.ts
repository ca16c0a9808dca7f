import assert from "node:assert/strict";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { redis } from "../../../plugins/redis.ts";
import { schedule } from "../../../plugins/schedule.ts";
import { serve, until } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { RedisProcess } from "../../kit/redis.ts";

async function startNode(url: string) {
  const store = persistence({ path: ":memory:" });
  const shared = redis({ urls: [url] });
  const bus = channels({ broker: shared.api.broker });
  const later = schedule({ channels: bus.api, store: store.api });
  return Object.assign(await serve({}, store, shared, bus, later), { bus: bus.api, later: later.api });
}

testWith(
  "redis",
  "B12 what all nodes have in their schedules is published once each time, also when one is killed",
  async (program) => {
    await using server = new RedisProcess(program);
    await server.ready();
    await using first = await startNode(server.url);
    const second = await startNode(server.url);
    const seconds: number[] = [];
    first.bus.subscribe("clock", (_, { time }) => seconds.push(Math.floor(time / 1_000)));
    for (const { later } of [first, second]) {
      await later.publish("clock", "tick", { id: "tick", every: "* * * * * *" });
    }
    await until("ticks of both", () => seconds.length >= 2);
    await second[Symbol.asyncDispose]();
    const before = seconds.length;
    await until("ticks of one", () => seconds.length >= before + 2);
    assert.equal(new Set(seconds).size, seconds.length, `${seconds}`);
  },
);
