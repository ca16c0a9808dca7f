/** One publication to many clients over all transports. */

import assert from "node:assert/strict";
import { Centrifuge } from "centrifuge";
import { Centrifuge as Centrifuge574 } from "npm:centrifuge@5.7.4";
import { Centrifuge as Protobuf574 } from "npm:centrifuge@5.7.4/build/protobuf";
import {
  centrifugeServer,
  heard,
  rowOf,
  sdkClient,
  tidyFetch,
  transportNames,
  transportOf,
  TRANSPORTS,
  ways,
} from "../../kit/centrifuge.ts";
import { jsonValued } from "../../kit/protobuf_sdk.ts";
import { until } from "../../kit/mod.ts";

Deno.test("B01 a publication to many clients is stringified once for all transports", async () => {
  await using server = await centrifugeServer();
  await using clients = new AsyncDisposableStack();
  const publications = await Promise.all(Array.from({ length: 30 }, async (_, i) => {
    const { sdk } = clients.use(sdkClient(server.url, transportNames[i % 3]));
    const news = sdk.newSubscription("news");
    const inbox = heard(news, "publication");
    news.subscribe();
    sdk.connect();
    await news.ready();
    return inbox;
  }));
  let stringified = 0;
  const payload = { toJSON: () => ({ times: ++stringified }) };
  const { receivers } = await server.bus.publish("news", payload);
  for (const inbox of publications) assert.deepEqual((await inbox.next()).data, { times: 1 });
  assert.deepEqual([receivers, stringified], [30, 1]);
});

Deno.test("B01 a callback that throws, hangs or is slow delays neither the publisher nor other readers", async () => {
  await using server = await centrifugeServer();
  await using client = sdkClient(server.url);
  const news = client.sdk.newSubscription("news");
  const publications = heard(news, "publication");
  news.subscribe();
  client.sdk.connect();
  await news.ready();
  const heardBy: number[] = [];
  const slow = Promise.withResolvers<void>();
  const ends = [
    server.bus.subscribe("news", () => {
      throw new Error("thrown on purpose");
    }),
    server.bus.subscribe("news", () => Promise.reject(new Error("rejected on purpose"))),
    server.bus.subscribe("news", () => new Promise(() => {})),
    server.bus.subscribe("news", () => slow.promise),
    server.bus.subscribe("news", (data) => heardBy.push(data as number)),
  ];
  for (let n = 1; n <= 3; n++) {
    await news.publish(n);
    assert.equal((await publications.next()).data, n);
  }
  slow.resolve();
  await until("calls of the good callback", () => heardBy.length === 3);
  assert.deepEqual(heardBy, [1, 2, 3]);
  for (const end of ends) end();
});

for (const way of ways) {
  Deno.test(`${rowOf(way)} the SDK of version 5.7.4, which is stricter, works over ${way}`, async () => {
    await using server = await centrifugeServer();
    const Sdk = way.endsWith("Protobuf") ? jsonValued(Protobuf574) : Centrifuge574;
    await using client = sdkClient(server.url, way, {}, Sdk as typeof Centrifuge);
    const { sdk } = client;
    const news = sdk.newSubscription("news", { joinLeave: true });
    const [subscribed, publications, joins] = [
      heard(news, "subscribed"),
      heard(news, "publication"),
      heard(news, "join"),
    ];
    const errors = [heard(sdk, "error"), heard(news, "error")];
    news.subscribe();
    sdk.connect();
    await Promise.all([subscribed.next(), joins.next()]);
    // Many at once, so that frames have many lines. Over HTTP streams, this version of the SDK reorders messages that
    // it reads in two chunks at once.
    const atOnce = transportOf(way) === "http_stream" ? 1 : 250;
    for (let n = 0; n < 500; n++) {
      server.bus.publish("news", { n, text: "ü🌍" });
      if ((n + 1) % atOnce > 0) continue;
      for (let i = n + 1 - atOnce; i <= n; i++) {
        assert.deepEqual((await publications.next()).data, { n: i, text: "ü🌍" });
      }
    }
    const { publications: kept } = await news.history({ limit: 100 });
    assert.equal(kept.length, 100);
    assert.equal((await news.presenceStats()).numClients, 1);
    const [{ conn } = assert.fail()] = server.bus.clients.values();
    server.bus.disconnect({ client: conn.id }, { code: 3011, reason: "force reconnect" });
    assert.equal((await subscribed.next()).recovered, true);
    assert.deepEqual(errors.map(({ size }) => size), [0, 0]);
  });
}

Deno.test("B03 where WebSockets are blocked, the SDK falls back to the next transport", async () => {
  await using server = await centrifugeServer();
  const { url } = server;
  for (const transport of ["http_stream", "sse"] as const) {
    const sdk = new Centrifuge([
      { transport: "websocket", endpoint: `${url.replace("http", "ws")}/blocked` },
      { transport, endpoint: url + TRANSPORTS[transport] },
    ], { emulationEndpoint: `${url}/emulation`, minReconnectDelay: 1, fetch: tidyFetch });
    const connected = heard(sdk, "connected");
    sdk.connect();
    assert.equal((await connected.next()).transport, transport);
    await sdk.publish("news", 1);
    sdk.disconnect();
  }
});
