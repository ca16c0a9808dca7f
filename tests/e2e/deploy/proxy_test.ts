/** Tests the server behind the proxies of `examples/deploy`. */

import assert from "node:assert/strict";
import type { ServerOptions } from "../../../core/mod.ts";
import { heard, sdkClient, tidyFetch, type TransportName } from "../../kit/centrifuge.ts";
import { Client, serve, until, within } from "../../kit/mod.ts";
import { testWith } from "../../kit/programs.ts";
import { channels } from "../../../plugins/channels.ts";
import { health } from "../../../plugins/health.ts";
import { centrifuge } from "../../../plugins/protocols/centrifuge.ts";
import { json } from "../../../plugins/protocols/json.ts";
import { clientIpFrom } from "../../../plugins/shared/client_ip.ts";
import { type RunningProxy, startCaddy, startNginx } from "./proxy.ts";

async function serveBehind(options: ServerOptions = {}) {
  const bus = channels();
  const clientIp = clientIpFrom({ trusted: ["127.0.0.1"] });
  const plugins = [bus, health(), centrifuge({ channels: bus.api }), json({ channels: bus.api })];
  const test = await serve({ clientIp, ...options }, ...plugins);
  return { ...test, bus: bus.api, ips: () => [...test.server.connections].map(({ ip }) => ip) };
}

/** An SDK client that connects through the proxy. */
function sdkBehind({ url, client }: RunningProxy, transport: TransportName) {
  const open = new Set<WebSocket>();
  class Socket extends WebSocket {
    constructor(endpoint: string) {
      super(endpoint, { client });
      open.add(this);
      this.addEventListener("close", () => open.delete(this));
    }
  }
  const proxied = sdkClient(url, transport, {
    websocket: Socket,
    fetch: (request: string, init: RequestInit) => tidyFetch(request, { ...init, client } as RequestInit),
  });
  return {
    sdk: proxied.sdk,
    async [Symbol.asyncDispose]() {
      await proxied[Symbol.asyncDispose]();
      await until("closing the sockets", () => open.size === 0);
    },
  };
}

/** Checks that all transports work through the proxy and that clients keep their addresses. */
async function passes(server: Awaited<ReturnType<typeof serveBehind>>, proxy: RunningProxy) {
  for (const transport of ["websocket", "http_stream"] as const) {
    await using client = sdkBehind(proxy, transport);
    const subscription = client.sdk.newSubscription("news");
    const [subscribed, publications] = [
      heard(subscription, "subscribed"),
      heard(subscription, "publication"),
    ];
    subscription.subscribe();
    client.sdk.connect();
    await subscribed.next(`being subscribed by ${transport}`);
    assert.deepEqual(server.ips(), ["127.0.0.2"], transport);
    await subscription.publish("from the client");
    await server.bus.publish("news", "from the server");
    for (const data of ["from the client", "from the server"]) {
      assert.equal((await publications.next(`a publication by ${transport}`)).data, data);
    }
  }
  await until("the ends", () => server.server.connections.size === 0);

  const command = encodeURIComponent(JSON.stringify({ id: 1, connect: {} }));
  const sse = await fetch(`${proxy.url}/connection/sse?cf_connect=${command}`, { client: proxy.client });
  const events = sse.body!.pipeThrough(new TextDecoderStream()).getReader();
  let received = "";
  while (!received.includes('data: {"id":1,"connect"')) {
    received += (await within("the reply", events.read())).value;
  }
  assert.deepEqual(server.ips(), ["127.0.0.2"], "sse");
  await events.cancel();
  await until("its end", () => server.server.connections.size === 0);

  const headers = { "x-forwarded-for": "203.0.113.7, 127.0.0.1" };
  const connect = () => Client.connect(`${proxy.url}/ws`, [], headers, proxy.client);
  const clients = await Promise.all(Array.from({ length: 100 }, connect));
  for (const client of clients) {
    client.sendJson({ type: "subscribe", channel: "load" });
    for (const type of ["connection:ack", "subscribed"]) assert.equal((await client.nextJson()).type, type);
  }
  assert.deepEqual(new Set(server.ips()), new Set(["127.0.0.2"]), "a forged address was used");
  for (let i = 0; i < 50; i++) server.bus.publish("load", i);
  for (const client of clients) {
    for (let i = 0; i < 50; i++) assert.equal((await client.nextJson()).data, i);
    await client.close();
  }
}

testWith(
  "nginx",
  "sockets and streams pass nginx, and clients keep their addresses",
  async (nginx) => {
    // The runtime's client sometimes does not tell the proxy that it aborts a stream. Then the missing pong ends it.
    await using server = await serveBehind({ pingIntervalMs: 1_000, pongTimeoutMs: 500 });
    await using proxy = await startNginx(nginx, server.port);
    await passes(server, proxy);
  },
);

testWith(
  "caddy",
  "sockets and streams pass Caddy, and clients keep their addresses",
  async (caddy) => {
    await using server = await serveBehind();
    await using proxy = await startCaddy(caddy, server.port);
    await passes(server, proxy);
  },
);

testWith(
  "nginx",
  "pings keep idle clients connected through a proxy that closes idle connections",
  async (nginx) => {
    await using server = await serveBehind({ pingIntervalMs: 300, pongTimeoutMs: 200 });
    const short = [["proxy_read_timeout 5m;", "proxy_read_timeout 1s;"]] as const;
    await using proxy = await startNginx(nginx, server.port, short);
    await using client = await Client.connect(`${proxy.url}/ws`, [], {}, proxy.client);
    await client.nextJson();
    const since = performance.now();
    await until("longer than the timeout of the proxy", () => performance.now() > since + 2_500);
    client.sendJson({ type: "ping" });
    assert.equal((await client.nextJson()).type, "pong");
  },
);
