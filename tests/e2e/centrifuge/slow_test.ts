/** Slow readers: disconnected at their limit with a code, without delaying others. */

import assert from "node:assert/strict";
import { RawClient, until, within } from "../../kit/mod.ts";
import {
  type CentrifugeServer,
  centrifugeServer,
  heard,
  sdkClient,
  type TransportName,
  transportNames,
  TRANSPORTS,
} from "../../kit/centrifuge.ts";
import { wireTo } from "./proxy.ts";

const options = {
  server: { maxQueuedBytes: 262_144 },
  channels: { defaults: { historySize: 2_000, recoveryLimit: 2_000 } },
};
const payload = (n: number) => ({ n, padding: "x".repeat(20_000) });

/** A client that subscribes to `news` and then stops reading. */
async function sleeper({ test }: CentrifugeServer, transport: TransportName): Promise<RawClient> {
  const commands = `{"connect":{},"id":1}\n{"subscribe":{"channel":"news"},"id":2}`;
  if (transport === "websocket") {
    const client = await test.raw(TRANSPORTS.websocket);
    await client.frame(1, commands);
    return client;
  }
  const client = await RawClient.connect(test.port);
  const head = `POST ${
    TRANSPORTS[transport]
  } HTTP/1.1\r\nhost: test\r\ncontent-length: ${commands.length}\r\n\r\n`;
  await client.write(new TextEncoder().encode(head + commands));
  return client;
}

/** The rest of a stream. */
async function rest(client: RawClient): Promise<string> {
  let text = "";
  const decoder = new TextDecoder("latin1");
  while (!text.endsWith("\r\n0\r\n\r\n")) {
    text += decoder.decode(await client.read() ?? assert.fail(text.slice(-200)));
  }
  return text;
}

for (const transport of transportNames) {
  Deno.test(`B05 a slow reader over ${transport} is disconnected with a code, and delays nobody`, async () => {
    await using server = await centrifugeServer(options);
    await using client = sdkClient(server.url);
    const news = client.sdk.newSubscription("news");
    const publications = heard(news, "publication");
    news.subscribe();
    client.sdk.connect();
    await news.ready();
    using slow = await sleeper(server, transport);
    await until("both subscriptions", () => server.bus.localStats("news")[0]?.subscribers === 2);
    let published = 0;
    while (server.bus.localStats("news")[0]!.subscribers === 2) {
      assert.ok(published < 2_000, "the slow reader is not cut off");
      await server.bus.publish("news", payload(++published));
      assert.equal((await publications.next()).data.n, published); // the other reader is never late
    }
    if (transport === "websocket") assert.equal(await slow.closeCode(), 3008);
    else assert.match(await rest(slow), /\{"push":\{"disconnect":\{"code":3008,"reason":"slow"\}\}\}/);
  });

  Deno.test(`B05 the SDK over ${transport} that was too slow reconnects and recovers`, async () => {
    await using server = await centrifugeServer(options);
    await using wire = wireTo(server.url);
    await using client = sdkClient(wire.url, transport);
    const { sdk } = client;
    const news = sdk.newSubscription("news", { minResubscribeDelay: 1 });
    const [subscribed, connecting] = [heard(news, "subscribed"), heard(sdk, "connecting")];
    const got: number[] = [];
    news.on("publication", ({ data }) => got.push(data.n));
    news.subscribe();
    sdk.connect();
    await Promise.all([subscribed.next(), connecting.next()]);
    wire.hold(true);
    let published = 0;
    while (server.bus.localStats("news").length > 0) {
      assert.ok(published < 2_000, "the slow reader is not cut off");
      await server.bus.publish("news", payload(++published));
      await new Promise((resolve) => setImmediate(resolve));
    }
    wire.hold(false);
    assert.equal((await connecting.next()).code, 3008);
    assert.equal((await subscribed.next()).recovered, true);
    await until("all publications", () => got.length >= published);
    assert.deepEqual(got, Array.from({ length: published }, (_, i) => i + 1));
  });
}

Deno.test("B05 a stream whose reader has stopped delays the stop of the server no longer than others", async () => {
  await using server = await centrifugeServer(options);
  using slow = await sleeper(server, "http_stream");
  await until("the subscription", () => server.bus.localStats("news").length === 1);
  for (let n = 0; server.bus.localStats("news").length > 0; n++) {
    await server.bus.publish("news", payload(n));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.equal(server.test.server.connections.size, 0);
  await within("stopping", server.test.server.stop());
  await rest(slow).catch(() => {}); // it was aborted, or has everything
});
