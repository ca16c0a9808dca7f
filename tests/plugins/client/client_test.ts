import assert from "node:assert/strict";
import type { Centrifuge } from "centrifuge";
import { closeCode, PlugboardError } from "../../../core/mod.ts";
import { call, channel, live, presence } from "../../../plugins/client/mod.ts";
import { until } from "../../kit/mod.ts";
import { connected, follow, serveApi } from "./kit.ts";

const customers = (rows: readonly { customer: string }[]) => rows.map(({ customer }) => customer);

Deno.test("B23 rows keep themselves up to date, and a mutation resolves when they show its changes", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  const store = live(one.client, "orders", { status: "pending" });
  assert.deepEqual(store.getSnapshot(), { rows: [], status: "loading", error: undefined });
  await using pending = follow(store);
  await pending.until("the rows", ({ status }) => status === "live");
  assert.equal(await call(one.client, "addOrder", { customer: "ada" }), 1);
  assert.deepEqual(pending.latest.rows, [{ id: 1, customer: "ada" }]);
  const snapshot = store.getSnapshot();
  assert.equal(store.getSnapshot(), snapshot, "the same object until it changes");
  await call(one.client, "addOrder", { customer: "bob", status: "shipped" });
  assert.equal(store.getSnapshot(), snapshot, "another order");
});

Deno.test("B23 a reconnected client gets the missed rows, and keeps the old ones meanwhile", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  await using all = follow(live(one.client, "all"));
  await all.until("the rows", ({ status }) => status === "live");
  await call(one.client, "addOrder", { customer: "ada" });
  for (const conn of server.server.connections) conn.close(closeCode(3001, "shutdown"));
  await all.until("the loss", ({ status }) => status === "stale");
  assert.equal(all.latest.rows.length, 1);
  await server.store.run("INSERT INTO orders (customer, status) VALUES ('bob', 'pending')");
  await all.until("the missed row", ({ rows, status }) => status === "live" && rows.length === 2);
  assert.deepEqual(all.states.filter(({ rows }) => rows.length === 0).map(({ status }) => status).slice(1), [
    "live",
  ], "never empty again");
});

Deno.test("B23 a refused query and a refused parameter fail with the reason", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  await using secret = follow(live(one.client, "secret"));
  await secret.until("the refusal", ({ status }) => status === "failed");
  assert.deepEqual(secret.latest.error, { code: 103, message: "Permission denied" });
  // @ts-expect-error -- the types refuse it too
  await using unknown = follow(live(one.client, "unknown"));
  await unknown.until("the refusal", ({ status }) => status === "failed");
  assert.deepEqual(unknown.latest.error, { code: 102, message: 'There is no live query "unknown"' });
  // @ts-expect-error -- the types refuse it too
  await using lost = follow(live(one.client, "orders", { status: "lost" }));
  await lost.until("the refusal", ({ status }) => status === "failed");
  assert.equal(lost.latest.error?.code, 107);
  assert.match(lost.latest.error?.message ?? "", /^status: /);
});

Deno.test("B23 rows that are not as declared fail with the place and the reason", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  await server.store.run("INSERT INTO orders (customer, status) VALUES (NULL, 'pending')");
  await using orders = follow(live(one.client, "orders", { status: "pending" }));
  await orders.until("the refusal", ({ status }) => status === "failed");
  assert.match(orders.latest.error?.message ?? "", /^Row 0 of "orders" is not as declared: customer: /);
});

Deno.test("B23 equal stores share one subscription, which ends with the last of them", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  const subscriptions = () =>
    [...server.bus.clients.values()].flatMap(({ subscriptions }) => [...subscriptions.keys()]);
  const stores = [1, 2, 3].map(() => live(one.client, "orders", { status: "pending" }));
  const followed = stores.map(follow);
  for (const each of followed) await each.until("the rows", ({ status }) => status === "live");
  assert.deepEqual(subscriptions(), ["live:orders?status=pending"]);
  assert.equal(stores[0]!.getSnapshot(), stores[2]!.getSnapshot());
  followed[0]!.stop();
  followed[0]!.stop(); // counts once
  followed[1]!.stop();
  // As React's StrictMode: it ends the last subscription, and subscribes again at once.
  followed[2]!.stop();
  await using again = follow(stores[2]!);
  assert.equal(again.states[0]?.status, "live", "nothing flickers");
  await call(one.client, "addOrder", { customer: "ada" });
  assert.deepEqual(customers(again.latest.rows), ["ada"]);
  again.stop();
  await until("the end", () => subscriptions().length === 0);
  assert.equal(stores[0]!.getSnapshot().status, "loading");
  await using later = follow(stores[0]!);
  await later.until("the rows again", ({ status }) => status === "live");
  assert.deepEqual(customers(later.latest.rows), ["ada"]);
  later.stop();
  await until("the end", () => subscriptions().length === 0);
});

Deno.test("B23 presence shows who is there, and shares the subscription of the channel's publications", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  await using two = connected(server.url);
  await using room = follow(channel<string>(one.client, "chat:lobby"));
  await room.until("the channel", ({ status }) => status === "live");
  await channel<string>(two.client, "chat:lobby").publish("first");
  await room.until("the first", ({ publications }) => publications.length === 1);
  await using here = follow(presence(one.client, "chat:lobby"));
  await server.bus.publish("chat:lobby", "while the subscription changes");
  await here.until("itself", ({ clients }) => clients.length === 1);
  await room.until("both", ({ publications }) => publications.length === 2);
  {
    await using other = follow(presence(two.client, "chat:lobby"));
    await other.until("both", ({ clients }) => clients.length === 2);
    await here.until("both", ({ clients }) => clients.length === 2);
  }
  await here.until("itself again", ({ clients }) => clients.length === 1);
  assert.equal(
    [...server.bus.clients.values()].reduce((sum, { subscriptions }) => sum + subscriptions.size, 0),
    1,
  );
  await channel<string>(two.client, "chat:lobby").publish("last");
  await room.until("all", ({ publications }) => publications.length === 3);
  assert.deepEqual(room.latest.publications.map(({ data }) => data), [
    "first",
    "while the subscription changes",
    "last",
  ]);
});

Deno.test("B23 presence that cannot be read now is read again, and what is not allowed fails", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  const codes = ["unavailable"];
  server.bus.extend({
    name: "failing",
    beforeRead(_, __, channel) {
      if (channel === "chat:closed") throw new PlugboardError("permission_denied", "Not this one");
      const code = codes.shift();
      if (code !== undefined) throw new PlugboardError(code, "Not now");
    },
  });
  await using here = follow(presence(one.client, "chat:lobby"));
  await here.until("the error", ({ error }) => error?.message === "Not now");
  assert.equal(here.latest.status, "loading");
  await here.until("itself", ({ status, error }) => status === "live" && error === undefined);
  await using closed = follow(presence(one.client, "chat:closed"));
  await closed.until("the refusal", ({ status }) => status === "failed");
  assert.equal(closed.latest.error?.message, "Not this one");
});

Deno.test("B23 presence shows nobody once the server has ended the subscription", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  await using here = follow(presence(one.client, "chat:lobby"));
  await here.until("itself", ({ clients }) => clients.length === 1);
  await server.bus.unsubscribeClients({ client: here.latest.clients[0]!.client }, "chat:lobby");
  await here.until("the end", ({ status }) => status === "failed");
  assert.deepEqual([here.latest.clients, here.latest.error?.code], [[], 2000]);
});

Deno.test("B23 a channel loads its history, keeps a limit, and recovers what it missed", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  for (const text of ["a", "b", "c"]) await server.bus.publish("chat:x", text);
  await using room = follow(channel<string>(one.client, "chat:x", { history: 2, limit: 3 }));
  await room.until("the history", ({ status }) => status === "live");
  const texts = () => room.latest.publications.map(({ data }) => data).join("");
  assert.equal(texts(), "bc");
  for (const conn of server.server.connections) conn.close(closeCode(3001, "shutdown"));
  await room.until("the loss", ({ status }) => status === "stale");
  for (const text of ["d", "e"]) await server.bus.publish("chat:x", text);
  await until("all", () => texts() === "cde");
  await room.until("live", ({ status }) => status === "live");
});

Deno.test("B23 a channel loads a history that the server sends in several parts", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  const options = { historySize: 700, recoveryLimit: 700 };
  await server.bus.addNamespace("long", options);
  for (let i = 1; i <= 700; i++) await server.bus.publish("long:x", i);
  for (const [history, first] of [[650, 51], [1_000, 1]] as const) {
    await using room = follow(channel<number>(one.client, "long:x", { history }));
    await room.until("the history", ({ status }) => status === "live");
    const expected = Array.from({ length: 701 - first }, (_, i) => first + i);
    assert.deepEqual(room.latest.publications.map(({ data }) => data), expected);
  }
});

Deno.test("B23 a call without a connection is temporary, and says so", async () => {
  const url = await serveApi().then(async (server) => {
    await server[Symbol.asyncDispose]();
    return server.url;
  });
  await using one = connected(url, { timeout: 50 });
  await assert.rejects(call(one.client, "now"), {
    code: 1,
    temporary: true,
    message: /^No answer from the server/,
  });
});

Deno.test("B23 a failed call has the number and the reason", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  assert.equal(await call(one.client, "add", { a: 1, b: 2 }), 3);
  assert.deepEqual(await call(one.client, "now"), { at: "1970-01-01T00:00:00.000Z", zone: "UTC" });
  // @ts-expect-error -- the types refuse it too
  const wrong = call(one.client, "add", { a: 1, b: "2" });
  await assert.rejects(wrong, { name: "CallError", code: 107, temporary: false, message: /^b: / });
  await call(one.client, "addOrder", { customer: "ada" });
  await assert.rejects(call(one.client, "addOrder", { customer: "ada" }), {
    code: 113,
    message: "UNIQUE constraint failed: orders.customer",
  });
  // @ts-expect-error -- the types refuse it too
  await assert.rejects(call(one.client, "missing"), { code: 104 });
});

Deno.test("B23 a mutation with an idempotency key runs once, and repeated calls get the first reply", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  const add = (idempotencyKey: string, customer: string) =>
    call(one.client, "addOrder", { customer }, { idempotencyKey });
  assert.deepEqual(await Promise.all([add("form-1", "ada"), add("form-1", "ada"), add("form-2", "bob")]), [
    1,
    1,
    2,
  ]);
  assert.equal(server.store.all("SELECT id FROM orders").length, 2);
  await assert.rejects(add("", "cat"), { code: 107 });
  // @ts-expect-error -- options come after the arguments
  const wrong = call(one.client, "addOrder", { customer: "dan" }, "form-3");
  await wrong;
});

Deno.test("B23 a client without a contract may use any names and values", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  const client: Centrifuge = one.client;
  assert.equal(await call(client, "addOrder", { customer: "ada" }), 1);
  assert.equal((await call(client, "now")).zone, "UTC");
  await using all = follow(live(client, "orders", { status: "pending", customer: undefined }));
  await all.until("the rows", ({ rows }) => rows[0]?.customer === "ada");
  await using other = follow(live(client, "all"));
  await other.until("the rows", ({ rows }) => rows.length === 1);
});

Deno.test("B23 a channel that the app has subscribed to by itself fails with the reason", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  one.client.newSubscription("chat:own").subscribe();
  await using room = follow(channel(one.client, "chat:own"));
  assert.equal(room.latest.status, "failed");
  assert.match(room.latest.error?.message ?? "", /chat:own/);
});

Deno.test("B23 the server serves the client to pages of any origin, cached by its contents", async () => {
  await using server = await serveApi();
  await using one = connected(server.url);
  for (const path of ["/plugboard.js", "/plugboard-react.js", "/plugboard.d.ts", "/plugboard-react.d.ts"]) {
    const response = await server.fetch(path);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.match(response.headers.get("content-type") ?? "", /^text\/(java|type)script/);
    assert.doesNotMatch(await response.text(), /from "\.[^"]*(?<!\.d)\.ts"|\/\/ @ts-types/, path);
    const etag = response.headers.get("etag") ?? "";
    const again = await server.fetch(path, { headers: { "if-none-match": etag } });
    assert.equal(again.status, 304);
    await again.body?.cancel();
  }
  const text = await (await server.fetch("/plugboard.js")).text();
  const served: typeof import("../../../plugins/client/mod.ts") = await import(
    `data:text/javascript,${encodeURIComponent(text)}`
  );
  const source = await import("../../../plugins/client/mod.ts");
  for (const name of Object.keys(source)) assert.equal(typeof Reflect.get(served, name), "function", name);
  await served.call(one.client, "addOrder", { customer: "ada" });
  await using all = follow(served.live(one.client, "all"));
  await all.until("the rows", ({ rows }) => rows.length === 1);
});
