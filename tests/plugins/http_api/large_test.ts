// deno-lint-ignore-file no-explicit-any -- reads the answers by name
import assert from "node:assert/strict";
import type { Channels, ChannelStats, Client } from "../../../plugins/channels.ts";
import { channels } from "../../../plugins/channels.ts";
import { auth } from "../../../plugins/auth.ts";
import { httpApi } from "../../../plugins/http_api.ts";
import { longestHold, offline, type OfflineServer, slowdown } from "../../kit/mod.ts";

const COUNT = 100_000;
const HOLD_MS = 20;

/** Entries for the test that reads all pages. */
const PAGED = 10_000;

/** A channel service with so many channels and clients, in no order. */
function largeChannels(bus: Channels, count: number): Channels {
  const stats = Array.from({ length: count }, (_, i): ChannelStats => ({
    channel: `${i % 2 === 0 ? "chat" : "news"}:${(i * 7919) % count}`,
    subscribers: 1 + i % 3,
    callbacks: 0,
    publications: i,
    lastPublishedAt: undefined,
  }));
  const subscriptions = new Map([["news", {}]]);
  const clients = new Map(Array.from({ length: count }, (_, i) => {
    const id: string = crypto.randomUUID();
    const conn = { id, ip: "127.0.0.1", openedAt: 1, endpoint: { name: "centrifuge" } };
    const client = {
      id,
      conn,
      identity: { user: `u${i % 1_000}` },
      subscriptions: i % 10 === 0 ? subscriptions : new Map(),
    };
    return [id, client as unknown as Client];
  }));
  return { ...bus, clients, clientOf: (id) => clients.get(id), localChannels: () => stats.values() };
}

async function largeServer(count = COUNT): Promise<
  OfflineServer & { ask(method: string, params: object): Promise<() => Promise<any>> }
> {
  const access = auth();
  const bus = channels();
  const server = await offline(
    {},
    access,
    bus,
    httpApi({ channels: largeChannels(bus.api, count), access: access.api }),
  );
  const info = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as Deno.ServeHandlerInfo;
  return Object.assign(server, {
    async ask(method: string, params: object) {
      const request = new Request(`http://127.0.0.1/api/${method}`, {
        method: "POST",
        body: JSON.stringify(params),
      });
      const response = await server.server.fetch(request, { ...info, completed: Promise.resolve() });
      return async () => (await response.json()).result;
    },
  });
}

Deno.test("B09 channels and connections are paged, each once and in order", async () => {
  await using server = await largeServer(PAGED);
  for (
    const [method, params, expected] of [["channels", { pattern: "chat:*" }, PAGED / 2], ["connections", {
      channel: "news",
    }, PAGED / 10]] as const
  ) {
    const seen: string[] = [];
    let pages = 0;
    for (let cursor: string | undefined = ""; cursor !== undefined; pages++) {
      const result: any = await (await server.ask(method, { ...params, limit: 1_000, cursor }))();
      seen.push(...Object.keys(result[method]));
      cursor = result.cursor;
    }
    assert.equal(pages, expected / 1_000);
    assert.deepEqual(seen, [...new Set(seen)].sort());
    assert.equal(seen.length, expected);
  }
  const all = await (await server.ask("channels", {}))();
  assert.equal(Object.keys(all.channels).length, PAGED);
});

for (
  const [method, params] of [
    ["channels", {}],
    ["channels", { limit: 1_000 }],
    ["channels", { pattern: "*:*9*9*", limit: 1_000 }],
    ["connections", {}],
    ["connections", { user: "u7", limit: 1_000 }],
    ["connections", { channel: "news", limit: 1_000 }],
    ["info", {}],
    ["search", { text: "" }],
    ["search", { text: "u99" }],
    ["search", { text: "nothing has this name" }],
  ] as const
) {
  Deno.test(`B09 ${method} ${JSON.stringify(params)} over 100,000 never holds the event loop for more than ${HOLD_MS} ms`, async () => {
    await using server = await largeServer();
    const bound = HOLD_MS * slowdown();
    const longest = await longestHold(bound, () => server.ask(method, params));
    assert.ok(longest < bound, `it held it for ${longest} ms`);
  });
}
