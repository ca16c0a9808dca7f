/** Dead letters of webhooks over HTTP. */

import assert from "node:assert/strict";
import { webhooks } from "../../../plugins/webhooks.ts";
import { channels } from "../../../plugins/channels.ts";
import { auth } from "../../../plugins/auth.ts";
import { httpApi } from "../../../plugins/http_api.ts";
import { serve, until } from "../../kit/mod.ts";
import { SECRET, webhookReceiver } from "../webhooks/kit.ts";

Deno.test("B10 an operator lists, retries and deletes dead letters over HTTP", async () => {
  await using receiver = webhookReceiver();
  receiver.answer = () => new Response(null, { status: 400 });
  const key = "k".repeat(32);
  const access = auth({ apiKeys: [{ name: "ops", key, permissions: ["admin:webhooks"] }] });
  const bus = channels();
  const one = {
    name: "shop",
    url: receiver.url,
    secrets: [SECRET],
    events: ["publish" as const],
    batchMs: 0,
  };
  const hooks = webhooks({ channels: bus.api, receivers: [{ ...one, giveUpMs: 0 }] });
  const api = httpApi({ channels: bus.api, access: access.api, webhooks: hooks.api });
  await using server = await serve({}, access, bus, hooks, api);
  const call = async (method: string, params: object = {}) => {
    const init = { method: "POST", headers: { "x-api-key": key }, body: JSON.stringify(params) };
    const response = await server.fetch(`/api/${method}`, init);
    return [response.status, (await response.json()).result];
  };
  for (const number of [1, 2, 3]) await bus.api.publish("news", number);
  await until("the dead letters", () => hooks.api.stats()[0]!.deadLetters === 3);
  assert.deepEqual(await call("webhooks"), [200, {
    receivers: [{ name: "shop", queued: 0, dead_letters: 3, dropped: 0 }],
  }]);
  const [, { dead_letters: letters }] = await call("dead_letters", { name: "shop", limit: 2 });
  assert.deepEqual(
    letters.map(({ event, reason }: { event: { data: number }; reason: string }) => [event.data, reason]),
    [
      [1, "the status was 400"],
      [2, "the status was 400"],
    ],
  );
  receiver.answer = () => new Response();
  assert.deepEqual(await call("dead_letters/retry", { name: "shop", ids: [letters[1].id] }), [200, {
    queued: 1,
  }]);
  assert.equal((await receiver.events(1))[0].data, 2);
  assert.deepEqual(await call("dead_letters/empty", { name: "shop" }), [200, { deleted: 2 }]);
  assert.equal((await call("dead_letters", { name: "other" }))[0], 400);
  assert.equal((await call("dead_letters/retry", { name: "shop", ids: ["1"] }))[0], 400);
});
