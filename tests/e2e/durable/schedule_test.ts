import assert from "node:assert/strict";
import { type Clock, Server, systemClock } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { schedule } from "../../../plugins/schedule.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { Child } from "../../kit/child.ts";
import { least, until } from "../../kit/mod.ts";

const COUNT = 3_000;
const KILLS = 6;
const HOUR_MS = 3_600_000;
/** The time at which everything is due. */
const LATER: Clock = { ...systemClock, wallTime: () => systemClock.wallTime() + HOUR_MS };
const CHILD = new URL("schedule_child.ts", import.meta.url);

async function running(path: string, clock = systemClock) {
  const server = new Server({ port: false, clock });
  const store = server.use(persistence({ path }));
  const bus = server.use(channels({ broker: sqliteBroker({ store }), defaults: { historySize: 1_000_000 } }));
  const later = server.use(schedule({ channels: bus, store }));
  await server.start();
  return { bus, later, [Symbol.asyncDispose]: () => server.stop() };
}

Deno.test("B11 scheduled publications are published once and in order across six times kill -9", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a.db`;
  let kills = 0;
  for (let round = 0; round < KILLS; round++) {
    await using child = new Child(CHILD, {
      args: [path, ...round === 0 ? [`${COUNT}`, "0"] : ["0", `${HOUR_MS}`]],
    });
    if (round === 0) assert.equal((await child.line()).trim(), "scheduled");
    // The moment of the kill depends on the work, not on a clock.
    else for (let lines = Math.ceil(Math.random() * 200); lines > 0; lines--) await child.line();
    child.kill("SIGKILL");
    await child.end();
    kills++;
  }
  assert.equal(kills, KILLS);
  const test = await running(path, LATER);
  await until("everything to be published", async () => (await test.later.list({ limit: 1 })).length === 0);
  for (let channel = 0; channel < 4; channel++) {
    const { publications } = await test.bus.history(`c${channel}`);
    const expected = Array.from({ length: COUNT / 4 }, (_, n) => n * 4 + channel);
    assert.deepEqual(publications.map(({ payload }) => Number(payload.text)), expected);
  }
  await test[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("B11 five hundred publications that are due at once are late by less than a second, while others publish", async () => {
  await using test = await running(":memory:");
  let others = 0;
  let ended = false;
  const load = (async () => {
    while (!ended) {
      await Promise.all(Array.from({ length: 20 }, () => test.bus.publish("b", ++others)));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  let rounds = 0;
  const latest = await least(1_000, async () => {
    const late: number[] = [];
    const begun = Date.now() + 1_500;
    const end = test.bus.subscribe(`a${++rounds}`, () => void late.push(Date.now() - begun));
    await Promise.all(
      Array.from({ length: 500 }, (_, n) => test.later.publish(`a${rounds}`, n, { at: begun })),
    );
    await until("all publications", () => late.length === 500);
    end();
    assert.ok(Math.min(...late) >= 0, `${Math.min(...late)} ms early`);
    return Math.max(...late);
  });
  ended = true;
  await load;
  assert.ok(latest < 1_000, `${latest} ms late, with ${others} other publications`);
});
