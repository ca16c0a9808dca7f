/** Reloading under load: all or nothing, and no client is dropped. */

import assert from "node:assert/strict";
import { heard, sdkClient } from "../../kit/centrifuge.ts";
import { Client, until } from "../../kit/mod.ts";
import { startReloadable } from "./kit.ts";

const clients = (count: number, url: string) =>
  Promise.all(Array.from({ length: count }, () => Client.connect(`${url}/ws`)));

Deno.test("B21 1,000 clients stay connected while the configuration is reloaded, and a failed reload changes nothing", async () => {
  await using server = await startReloadable({
    namespaces: { news: { historySize: 5 }, old: {} },
    limits: { publishes: "1000/1s" },
  });
  const all = await clients(1_000, server.url);
  let closed = 0;
  for (const client of all) client.socket.addEventListener("close", () => closed++);
  for (const [i, client] of all.entries()) {
    client.sendJson({ type: "subscribe", channel: i % 2 === 0 ? "news:a" : "old:a", id: "s" });
  }
  for (const client of all) {
    for (let type = ""; type !== "subscribed";) type = (await client.nextJson()).type as string;
  }

  for (
    const wrong of [{ namespaces: { news: { historySize: -1 } } }, { namespaces: { live: {} } }, "{", {
      namespaces: { news: {} },
      queries: { q: { sql: "SELECT * FROM nothing" } },
    }]
  ) {
    await assert.rejects(server.reload(wrong), { code: "bad_request" });
  }
  assert.deepEqual([server.bus.namespaceOf("news:a").historySize, server.bus.hasNamespace("old")], [5, true]);

  const result = await server.reload({
    namespaces: { news: { historySize: 7 }, fresh: { publish: "nobody" } },
    limits: { publishes: "2000/1s" },
    logLevel: "error",
  });
  assert.deepEqual([[...result.reloaded].sort(), result.restart], [["limits", "namespaces"], ["logLevel"]]);
  assert.equal(server.bus.namespaceOf("news:a").historySize, 7);
  assert.equal(server.bus.hasNamespace("old"), false);
  await server.bus.publish("news:a", "still here");
  for (const [i, client] of all.entries()) {
    const wanted = i % 2 === 0 ? "message" : "unsubscribed";
    let message = await client.nextJson();
    while (message.type !== wanted) message = await client.nextJson();
    if (i % 2 === 1) assert.deepEqual(message.data, { code: 2001, reason: "namespace removed" });
    else assert.equal(message.data, "still here");
  }
  assert.equal(closed, 0);
  await Promise.all(all.map((client) => client[Symbol.asyncDispose]()));
});

Deno.test("a reload that a name of the app's own code prevents changes nothing", async () => {
  await using server = await startReloadable({
    namespaces: { old: {} },
    queries: { q: { sql: "SELECT 1 AS n" } },
  });
  server.queries.define("taken", { sql: "SELECT 1 AS n" });
  server.changes.define("taken", { run: () => 1 });
  const namespaces = { fresh: {} };
  for (
    const [wrong, sentence] of [
      [{ queries: { taken: { sql: "SELECT 2 AS n" } } }, "queries.taken: there is a query of this name"],
      [{ mutations: { taken: { sql: "SELECT 2 AS n" } } }, "mutations.taken: there is a method of this name"],
    ] as const
  ) {
    const message = `Nothing was reloaded: ${sentence}`;
    await assert.rejects(server.reload({ namespaces, ...wrong }), { code: "bad_request", message });
    assert.deepEqual([server.bus.hasNamespace("old"), server.bus.hasNamespace("fresh")], [true, false]);
  }
  assert.match(server.queries.read("q", {}).text, /1/);
});

Deno.test("a key that is made during a reload, with a name of the file, does not split it", async () => {
  const permissions = ["*"];
  const env = { KEY: "a-key-that-is-long-enough" };
  const apiKeys = { old: { key: "${KEY}", permissions } };
  for (let turns = 0; turns < 12; turns++) {
    await using server = await startReloadable({ apiKeys }, env);
    const reload = server.reload({
      namespaces: { fresh: {} },
      apiKeys: { ...apiKeys, shop: { key: "${KEY}", permissions } },
      mutations: { m: { sql: "SELECT 1 AS n" } },
    }).then(() => true, () => false);
    for (let i = 0; i < turns; i++) await Promise.resolve();
    await server.access.createApiKey({ name: "shop", permissions }).catch(() => {});
    const done = await reload;
    assert.deepEqual([server.bus.hasNamespace("fresh"), server.methods.methods.has("m")], [done, done]);
  }
});

Deno.test("a file that is gone when the configuration is reloaded changes nothing", async () => {
  await using server = await startReloadable({ namespaces: { news: {} } });
  const message = "Nothing was reloaded: There is no file plugboard.json";
  await assert.rejects(server.reload(undefined), { code: "bad_request", message });
  assert.equal(server.bus.hasNamespace("news"), true);
});

Deno.test("the options in force are those of the last reload, except what needs a restart", async () => {
  await using server = await startReloadable({ namespaces: { news: { historySize: 5 } }, drainMs: 1 });
  await server.reload({ namespaces: { news: { historySize: 7 } }, drainMs: 2, dataDir: "other" });
  await assert.rejects(server.reload({ namespaces: { news: { historySize: -1 } } }));
  const lines = server.lines();
  const shown = (name: string) => lines.filter((line) => line.startsWith(`${name} = `));
  assert.deepEqual(["namespaces.news.historySize", "drainMs", "dataDir"].map(shown), [
    ["namespaces.news.historySize = 7  (plugboard.json)"],
    ["drainMs = 1  (plugboard.json)"],
    ["dataDir = data  (default)"],
  ]);
});

Deno.test("defaults of the channels need a restart, also when a namespace changes", async () => {
  const file = (size: number, historySize: number) => ({
    channels: { defaults: { historySize: size } },
    namespaces: { news: {}, chat: { historySize } },
  });
  await using server = await startReloadable(file(3, 5));
  const { restart } = await server.reload(file(4, 6));
  const sizes = ["news:a", "chat:a"].map((name) => server.bus.namespaceOf(name).historySize);
  assert.deepEqual([restart, sizes], [["channels"], [3, 6]]);
});

Deno.test("B21 the SDK learns that a namespace is gone, and does not subscribe again", async () => {
  await using server = await startReloadable({ namespaces: { old: {} } });
  await using client = sdkClient(server.url);
  const subscription = client.sdk.newSubscription("old:a");
  const [subscribed, unsubscribed] = [heard(subscription, "subscribed"), heard(subscription, "unsubscribed")];
  subscription.subscribe();
  client.sdk.connect();
  await subscribed.next();
  await server.reload({});
  assert.equal((await unsubscribed.next()).code, 2001);
});

Deno.test("B21 a key that is gone loses its connections, an unchanged one keeps them", async () => {
  const key = (name: string) => `${name}-key-that-is-long-enough`;
  const keys = (...names: string[]) =>
    Object.fromEntries(names.map((name) => [name, { key: `\${KEY_${name}}`, permissions: ["*"] }]));
  const env = { KEY_a: key("a"), KEY_b: key("b"), KEY_c: key("c") };
  await using server = await startReloadable({ apiKeys: keys("a", "b") }, env);
  const connect = (name: string) => Client.connect(`${server.url}/ws?api_key=${key(name)}`);
  await using a = await connect("a");
  await using b = await connect("b");
  assert.equal((await b.nextJson()).type, "connection:ack");
  await server.reload({ apiKeys: keys("b", "c") });
  await a.closed;
  await using c = await connect("c");
  assert.equal((await c.nextJson()).type, "connection:ack");
  b.sendJson({ type: "ping" });
  assert.equal((await b.nextJson()).type, "pong");
});

Deno.test("B21 queries and mutations are replaced, and what did not change goes on", async () => {
  const queries = {
    one: { sql: "SELECT 1 AS n", read: "anyone" },
    two: { sql: "SELECT 2 AS n", read: "anyone" },
  };
  await using server = await startReloadable({
    queries,
    mutations: { m: { sql: "SELECT 1 AS n", call: "anyone" } },
  });
  const ends: string[] = [];
  for (const name of ["one", "two"]) server.queries.watch(name, {}, () => {}, () => ends.push(name));
  await server.reload({
    queries: { one: queries.one, two: { sql: "SELECT 3 AS n" } },
    mutations: { m: { sql: "SELECT 4 AS n", call: "anyone" } },
  });
  assert.deepEqual(ends, ["two"]);
  assert.match(server.queries.read("two", {}).text, /3/);
  const identity = { user: "", can: () => true };
  assert.deepEqual(await server.methods.call("m", {}, { identity }), { n: 4 });
});

Deno.test("B21 a changed receiver of events keeps its queue", async () => {
  const received: string[] = [];
  const backend = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { events } = await request.json();
    for (const { channel } of events) received.push(`${new URL(request.url).pathname} ${channel}`);
    return new Response();
  });
  try {
    const webhooks = (path: string) => ({
      shop: {
        url: `http://127.0.0.1:${backend.addr.port}${path}`,
        secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        events: ["publish"],
        batchMs: 0,
      },
    });
    await using server = await startReloadable({ webhooks: webhooks("/one") });
    await server.bus.publish("a", 1);
    await until("the first event", () => received.length === 1);
    await server.reload({ webhooks: webhooks("/two") });
    await server.bus.publish("b", 1);
    await until("the second event", () => received.length === 2);
    assert.deepEqual(received, ["/one a", "/two b"]);
  } finally {
    await backend.shutdown();
  }
});
