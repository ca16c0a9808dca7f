/** Tests that `main.ts` answers bursts of requests, however slow each of them is. */

import assert from "node:assert/strict";
import { Client, within } from "../../kit/mod.ts";
import { dataFolder, OPEN, startMain, stopsCleanly } from "./kit.ts";

const COUNT = 20_000;

/** Sends publishes at once, and returns the number of those that were answered without an error. */
async function burst(url: string, protocol: "centrifuge" | "json", channel: string): Promise<number> {
  const centrifuge = protocol === "centrifuge";
  await using client = await Client.connect(url + (centrifuge ? "/connection/websocket" : "/ws"));
  if (centrifuge) client.sendJson({ id: 1, connect: {} });
  await client.next();
  for (let i = 2; i < COUNT + 2; i++) {
    const publish = { channel, data: { n: i } };
    client.sendJson(centrifuge ? { id: i, publish } : { id: `${i}`, type: "publish", ...publish });
  }
  let answered = 0;
  const answers = async () => {
    while (answered < COUNT) {
      for (const line of (await client.nextText(60_000)).split("\n")) {
        const answer = JSON.parse(line);
        if (answer.publish !== undefined || answer.type === "published") answered++;
        else assert.equal(answer.error ?? answer.data, undefined);
      }
    }
  };
  await within("all answers", answers(), 60_000);
  return answered;
}

Deno.test(`${COUNT} publishes at once are all answered, in memory and on disk`, async () => {
  using data = dataFolder();
  const env = { DATA_DIR: data.path, DURABLE: "durable", LIMITS: "off" };
  await using server = await startMain(env);
  assert.equal(await burst(server.url, "centrifuge", "memory"), COUNT);
  assert.equal(await burst(server.url, "centrifuge", "durable:news"), COUNT);
  assert.equal(await burst(server.url, "json", "memory"), COUNT);
  await stopsCleanly(server, [OPEN]);
});
