/** Tests that `main.ts` works on when somebody sets the machine's clock. */

import assert from "node:assert/strict";
import { heard, sdkClient } from "../../kit/centrifuge.ts";
import { until } from "../../kit/mod.ts";
import { byCentrifuge, byChat, byEcho, byHttp, byHub, byJson, byPipe, byTinyBase } from "./journeys.ts";
import { dataFolder, FLAGS, OPEN, startMain, stopsCleanly } from "./kit.ts";

const PROGRAM = new URL("children/shifted_clock.ts", import.meta.url).pathname;

Deno.test("a clock that is set back and forward by hours disturbs no protocol and no live query", async () => {
  using data = dataFolder();
  // Small limits, so that the requests of one hour exceed them unless they are refilled.
  const limits = { LIMIT_PUBLISHES: "30/1s", LIMIT_MESSAGES: "60/1s", LIMIT_CONNECTS_PER_IP: "60/1s" };
  const env = { DATA_DIR: data.path, DURABLE: "room", ...limits };
  await using server = await startMain(env, { args: [...FLAGS, PROGRAM] });
  const visitor = { url: server.url, user: "ada" };
  await using client = sdkClient(server.url);
  const ended = heard(client.sdk, "disconnected");
  const kept = client.sdk.newSubscription("kept");
  const query = client.sdk.newSubscription("live:home.ideas");
  const changes = heard(query, "publication");
  for (const subscription of [kept, query]) subscription.subscribe();
  client.sdk.connect();
  await Promise.all([kept, query].map((subscription) => subscription.ready(30_000)));
  await kept.publish("kept for five minutes");

  const warnings = [-3_600, 10_800].map((seconds) => `schedule: The clock was set by ${seconds} s`);
  const shifts = ["none", "an hour back", "three hours forward"];
  for (const [i, shift] of shifts.entries()) {
    if (shift !== "none") {
      server.kill("SIGUSR2");
      await until(shift, () => server.printed().split('"shifted"').length > (shift.includes("back") ? 1 : 2));
    }
    await byCentrifuge(visitor, "websocket", true);
    await byJson(visitor, true);
    await byHub(visitor, {});
    await byChat(visitor);
    await byPipe(visitor);
    // TinyBase's changes have the time of its clients, which may be at most five minutes ahead of the server's.
    if (shift !== "an hour back") await byTinyBase(visitor);
    await byEcho(visitor);
    await byHttp(server.url, {});
    // Many votes, each of which has to reach the live query.
    for (let i = 0; i < 10; i++) {
      changes.take();
      await client.sdk.rpc("home.vote", { id: 2 });
      await changes.next();
    }
    assert.equal((await kept.history({ limit: 10 })).publications.length, 1, `kept in memory, ${shift}`);
    // The server looks at its clock from time to time.
    await until("the warnings", () => warnings.slice(0, i).every((each) => server.warnings().includes(each)));
  }
  assert.equal(ended.size, 0);
  await stopsCleanly(server, [OPEN, ...warnings]);
});
