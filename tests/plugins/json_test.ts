import assert from "node:assert/strict";
import { channels } from "../../plugins/channels.ts";
import { liveQueries } from "../../plugins/live_queries.ts";
import { RpcError } from "../../plugins/rpc.ts";
import { FakeClock, turn, until, within } from "../kit/mod.ts";
import { ask, serveJson } from "./json/kit.ts";

Deno.test("Q01 every message has an id, a timestamp, a type, a channel and data", async () => {
  await using server = await serveJson();
  const { client, ack } = await server.join();
  const messages = [
    ack,
    await ask(client, { type: "subscribe", channel: "news" }),
    await ask(client, { type: "ping" }),
    await ask(client, { type: "nonsense" }),
  ];
  client.sendJson({ type: "publish", channel: "news", data: { a: [1, "ä\n"] } });
  messages.push(await client.nextJson(), await client.nextJson());
  for (const { id, timestamp, type, channel, data } of messages) {
    assert.deepEqual(
      [typeof id, typeof timestamp, typeof type, typeof channel, typeof data],
      ["string", "number", "string", "string", "object"],
    );
  }
  const message = messages.find(({ type }) => type === "message")!;
  assert.deepEqual([message.channel, message.data, message.offset], ["news", { a: [1, "ä\n"] }, 1]);
  assert.equal(new Set(messages.map(({ id }) => id)).size, messages.length);
  await client.close();
});

Deno.test("Q02 clients subscribe and unsubscribe by message, and are subscribed by the server", async () => {
  await using server = await serveJson();
  const { client, ack } = await server.join();
  for (const channel of ["queries", "tables", "notifications"]) {
    const answer = await ask(client, { type: "subscribe", channel, id: `sub-${channel}` });
    assert.deepEqual([answer.type, answer.channel, answer.id], ["subscribed", channel, `sub-${channel}`]);
  }
  const again = await ask(client, { type: "subscribe", channel: "queries" });
  assert.deepEqual([again.type, again.data.code], ["error", "ALREADY_SUBSCRIBED"]);
  assert.equal((await ask(client, { type: "unsubscribe", channel: "tables" })).type, "unsubscribed");
  assert.equal((await ask(client, { type: "unsubscribe", channel: "tables" })).data.code, "NOT_SUBSCRIBED");
  assert.equal(await server.json.subscribeClient(ack.data.clientId, "by-server"), true);
  assert.deepEqual((await client.nextJson()).channel, "by-server");
  assert.equal(await server.json.subscribeClient(ack.data.clientId, "by-server"), true, "already subscribed");
  assert.equal(await server.json.unsubscribeClient(ack.data.clientId, "by-server"), true);
  const ended = await client.nextJson();
  assert.deepEqual([ended.type, ended.data.code], ["unsubscribed", 2000]);
  assert.equal(await server.json.subscribeClient("nobody", "x"), false);
  await client.close();
});

Deno.test("Q03 the first message acknowledges with the client's id and what it can do; heartbeats follow", async () => {
  const clock = new FakeClock();
  await using server = await serveJson({ heartbeatMs: 5_000 }, { clock });
  const { client, ack } = await server.join("ann");
  assert.equal(ack.type, "connection:ack");
  assert.equal(ack.data.userId, "ann");
  assert.equal(ack.data.heartbeatInterval, 5_000);
  assert.ok([...server.bus.clients.keys()].includes(ack.data.clientId));
  assert.deepEqual(ack.data.capabilities.slice(0, 3), ["subscribe", "unsubscribe", "publish"]);
  clock.advance(5_000);
  const heartbeat = await client.nextJson();
  assert.deepEqual([heartbeat.type, heartbeat.data], ["heartbeat", { connectedClients: 1 }]);
  await client.close();
});

Deno.test("Q03 a client learns which types the server accepts", async () => {
  const without = { presence: undefined, rpc: undefined, access: undefined };
  await using server = await serveJson(without);
  const { client, ack } = await server.join();
  assert.equal("expiresAt" in ack.data, false);
  for (const type of ["presence", "rpc", "refresh", "query:subscribe", "query:unsubscribe"]) {
    assert.equal(ack.data.capabilities.includes(type), false);
    const answer = await ask(client, {
      type,
      channel: "news",
      data: { method: "m", token: "t", query: "q" },
    });
    assert.deepEqual([answer.data.code, answer.data.message], [
      "NOT_AVAILABLE",
      `There is no "${type}" here`,
    ]);
  }
  await client.close();
  const known = channels({ onlyKnown: true });
  await using strict = await serveJson({ channels: known.api }, {}, known);
  const { client: third } = await strict.join();
  const refused = await ask(third, { type: "query:subscribe", data: { query: "q" } });
  assert.equal(refused.data.code, "NOT_AVAILABLE");
  await third.close();
  const bus = channels();
  await using complete = await serveJson({ channels: bus.api }, {}, bus, liveQueries({ channels: bus.api }));
  const { client: other, ack: { data: { capabilities } } } = await complete.join();
  assert.equal(capabilities.length, ack.data.capabilities.length + 5);
  for (const type of capabilities) {
    const { data } = await ask(other, { type });
    assert.notEqual(data.message, `Clients cannot send "${type}"`);
  }
  await other.close();
});

Deno.test("Q03 a client that answers no ping is disconnected, one that does is not", async () => {
  const clock = new FakeClock();
  await using server = await serveJson({}, { clock, pingIntervalMs: 1_000, pongTimeoutMs: 500 });
  const { client } = await server.join();
  using silent = await server.raw("/ws"); // answers no ping
  await until("both to connect", () => server.json.clientCount() === 2);
  await until("the silent one to be gone", async () => {
    clock.advance(20);
    await turn();
    return server.json.clientCount() === 1;
  });
  assert.equal(await silent.closeCode(), 3012);
  assert.equal((await ask(client, { type: "ping" })).type, "pong");
  await client.close();
});

Deno.test("Q05 the server broadcasts to all clients except one and to a channel, and counts clients", async () => {
  await using server = await serveJson();
  const one = await server.join();
  const two = await server.join();
  const error = {
    type: "error",
    channel: "notifications",
    data: { code: "DB_ERROR", message: "lost" },
  } as const;
  assert.equal(server.json.broadcast(error, one.ack.data.clientId), 1);
  assert.deepEqual((await two.client.nextJson()).data, { code: "DB_ERROR", message: "lost" });
  await ask(one.client, { type: "subscribe", channel: "queries" });
  const complete = { type: "query:complete", data: { queryId: "q", rowCount: 1000, duration: 250 } } as const;
  assert.equal(await server.json.broadcastToChannel("queries", complete), 1);
  const message = await one.client.nextJson();
  assert.deepEqual([message.type, message.channel, message.data.rowCount], [
    "query:complete",
    "queries",
    1000,
  ]);
  assert.equal(server.json.clientCount(), 2);
  await one.client.close();
  await until("one client left", () => server.json.clientCount() === 1);
  await two.client.close();
});

Deno.test("Q06 joins and leaves carry the true number of users, cursors reach the others", async () => {
  await using server = await serveJson({ cursorMs: 1 });
  const ann = await server.join("ann");
  await ask(ann.client, { type: "subscribe", channel: "collaboration" });
  const own = await ann.client.nextJson();
  assert.deepEqual([own.type, own.data.userId, own.data.connectedUsers], ["user:joined", "ann", 1]);
  const bob = await server.join("bob");
  await ask(bob.client, { type: "subscribe", channel: "collaboration" });
  const joined = await ann.client.nextJson();
  assert.deepEqual([joined.data.userId, joined.data.username, joined.data.connectedUsers], ["bob", "BOB", 2]);
  await bob.client.nextJson();
  bob.client.sendJson({ type: "user:cursor", channel: "collaboration", data: { x: 1, userId: "forged" } });
  const cursor = await ann.client.nextJson();
  assert.deepEqual([cursor.type, cursor.data.x, cursor.data.userId], ["user:cursor", 1, "bob"]);
  assert.equal(bob.client.waiting, 0);
  await bob.client.close();
  const left = await ann.client.nextJson();
  assert.deepEqual([left.type, left.data.userId, left.data.connectedUsers], ["user:left", "bob", 1]);
  await ann.client.close();
});

Deno.test("Q09 malformed, unknown and forged messages get an error, and other clients do not see them", async () => {
  await using server = await serveJson();
  const { client } = await server.join();
  const other = await server.join();
  await ask(other.client, { type: "subscribe", channel: "queries" });
  const cases: [string, string][] = [
    ["", "INVALID_MESSAGE"],
    ["nonsense", "INVALID_MESSAGE"],
    ["[]", "INVALID_MESSAGE"],
    ["null", "INVALID_MESSAGE"],
    ['"subscribe"', "INVALID_MESSAGE"],
    ["{}", "INVALID_MESSAGE"],
    ['{"type":1}', "INVALID_MESSAGE"],
    ['{"type":"subscribe","channel":1}', "INVALID_MESSAGE"],
    ['{"type":"subscribe","channel":"a","id":{}}', "INVALID_MESSAGE"],
    ['{"type":"subscribe","channel":"a","data":"x"}', "INVALID_MESSAGE"],
    ['{"type":"subscribe","channel":"a","data":{"since":"x"}}', "INVALID_MESSAGE"],
    ['{"type":"subscribe","channel":"../a"}', "BAD_REQUEST"],
    ['{"type":"subscribe","channel":""}', "BAD_REQUEST"],
    ['{"type":"subscribe","channel":"secret:a"}', "PERMISSION_DENIED"],
    ['{"type":"publish","channel":"secret:a","data":1}', "PERMISSION_DENIED"],
    ['{"type":"publish","channel":"queries"}', "INVALID_MESSAGE"],
    ['{"type":"history","channel":"bare:a"}', "NOT_AVAILABLE"],
    ['{"type":"history","channel":"a","data":{"limit":-1}}', "INVALID_MESSAGE"],
    ['{"type":"rpc","data":{}}', "INVALID_MESSAGE"],
    ['{"type":"rpc","data":{"method":"none"}}', "NOT_AVAILABLE"],
    ['{"type":"user:cursor","channel":"queries","data":{}}', "NOT_SUBSCRIBED"],
    ['{"type":"query:complete","channel":"queries","data":{"queryId":"1"}}', "INVALID_MESSAGE"],
    ['{"type":"connection:ack"}', "INVALID_MESSAGE"],
    ['{"type":"__proto__"}', "INVALID_MESSAGE"],
    ['{"type":"constructor"}', "INVALID_MESSAGE"],
    [`{"type":${"[".repeat(10_000)}`, "INVALID_MESSAGE"],
  ];
  for (const [text, code] of cases) {
    client.send(text);
    const answer = await client.nextJson();
    assert.deepEqual([answer.type, answer.data.code], ["error", code], text.slice(0, 80));
    assert.ok(answer.data.message.length > 0);
  }
  await server.bus.publish("queries", "end");
  assert.equal((await other.client.nextJson()).data, "end", "nothing arrived before");
  await client.close();
  await other.client.close();
});

Deno.test("Q09 bytes and large messages get an error, much larger ones close the connection", async () => {
  await using server = await serveJson({ maxMessageBytes: 1_000 });
  const [{ client }, other] = [await server.join(), await server.join()];
  await ask(other.client, { type: "subscribe", channel: "news" });
  const fill = (bytes: number) => {
    const frame = (text: string) => JSON.stringify({ type: "publish", channel: "news", data: text });
    return frame("x".repeat(bytes - frame("").length));
  };
  const cases: [string | Uint8Array<ArrayBuffer>, string][] = [
    [new TextEncoder().encode('{"type":"ping"}'), "INVALID_MESSAGE"],
    [new Uint8Array(0), "INVALID_MESSAGE"],
    [fill(1_001), "LIMIT_EXCEEDED"],
    ["é".repeat(501), "LIMIT_EXCEEDED"],
    [fill(16_000), "LIMIT_EXCEEDED"],
  ];
  for (const [message, code] of cases) {
    client.send(message);
    const answer = await client.nextJson();
    assert.deepEqual([answer.type, answer.data.code], ["error", code]);
  }
  client.send(fill(1_000));
  assert.equal((await client.nextJson()).type, "published");
  client.send(fill(16_001));
  assert.equal((await within("the close", client.closed)).code, 1009);
  assert.equal((await other.client.nextJson()).offset, 1);
  await server.bus.publish("news", "end");
  assert.equal((await other.client.nextJson()).data, "end", "nothing arrived in between");
  await other.client.close();
});

Deno.test("a client that reconnects recovers from its offset", async () => {
  await using server = await serveJson();
  const first = await server.join();
  const { data } = await ask(first.client, { type: "subscribe", channel: "news" });
  assert.equal(data.position.offset, 0);
  await server.bus.publish("news", "one");
  const { offset } = await first.client.nextJson();
  await first.client.close();
  for (const text of ["two", "three"]) await server.bus.publish("news", text);
  const { client } = await server.join();
  const since = { offset, epoch: data.position.epoch };
  const back = await ask(client, { type: "subscribe", channel: "news", data: { since } });
  assert.equal(back.data.recovered, true);
  assert.deepEqual([(await client.nextJson()).data, (await client.nextJson()).data], ["two", "three"]);
  await ask(client, { type: "unsubscribe", channel: "news" });
  const lost = await ask(client, {
    type: "subscribe",
    channel: "news",
    data: { since: { offset: 1, epoch: "other" } },
  });
  assert.equal(lost.data.recovered, false);
  await client.close();
});

Deno.test("a recovery that is too large fails, and the client reads the history in pages", async () => {
  await using server = await serveJson();
  const text = "x".repeat(30_000);
  for (let i = 0; i < 50; i++) await server.bus.publish("news", text);
  const { client } = await server.join();
  const back = await ask(client, { type: "subscribe", channel: "news", data: { since: 0 } });
  assert.deepEqual([back.data.recovered, back.data.position.offset], [false, 50]);
  await server.bus.publish("news", "next");
  assert.equal((await client.nextJson()).offset, 51);
  let read = 0;
  while (read < 50) {
    const { data } = await ask(client, {
      type: "history",
      channel: "news",
      data: { since: read, limit: 20 },
    });
    for (const { offset } of data.publications) assert.equal(offset, ++read);
  }
  await ask(client, { type: "unsubscribe", channel: "news" });
  const since = { ...back.data.position, offset: 41 };
  assert.equal(
    (await ask(client, { type: "subscribe", channel: "news", data: { since } })).data.recovered,
    true,
  );
  for (let offset = 42; offset <= 51; offset++) assert.equal((await client.nextJson()).offset, offset);
  await client.close();
});

Deno.test("a failure of the server gives an error and a log line, and keeps the connection", async () => {
  await using server = await serveJson();
  server.methods.define("big", { run: () => 1n });
  const { client } = await server.join();
  const { id, data } = await ask(client, { type: "rpc", id: "r", data: { method: "big" } });
  assert.deepEqual([id, data], ["r", { code: "INTERNAL", message: "Internal server error" }]);
  assert.equal((await server.log.next()).plugin, "json");
  assert.equal((await ask(client, { type: "ping" })).type, "pong");
  await client.close();
});

Deno.test("replies to presence, history, rpc and ping have the id of the message", async () => {
  await using server = await serveJson();
  server.methods.define("add", { run: (value) => (value as number[]).reduce((a, b) => a + b) });
  const { client } = await server.join("ann");
  await ask(client, { type: "subscribe", channel: "news" });
  client.sendJson({ type: "publish", channel: "news", data: { n: 1 }, id: "p" });
  const answers = [await client.nextJson(), await client.nextJson()];
  assert.equal(answers.find(({ type }) => type === "message").userId, "ann");
  assert.equal(answers.find(({ type }) => type === "published").id, "p");
  const who = await ask(client, { type: "presence", channel: "news", id: 7 });
  assert.deepEqual([who.id, who.data.clients.length, who.data.clients[0].user], ["7", 1, "ann"]);
  const log = await ask(client, { type: "history", channel: "news", id: "h", data: { limit: 10 } });
  assert.deepEqual([log.id, log.data.offset, log.data.publications[0].data], ["h", 1, { n: 1 }]);
  assert.equal(log.data.publications[0].userId, "ann");
  const sum = await ask(client, { type: "rpc", id: "r", data: { method: "add", params: [1, 2, 3] } });
  assert.deepEqual([sum.type, sum.id, sum.data], ["rpc:result", "r", 6]);
  assert.deepEqual((await ask(client, { type: "ping", id: "x" })).type, "pong");
  await client.close();
});

Deno.test("a history has the types of events, and an RPC error has its number", async () => {
  await using server = await serveJson();
  const { client } = await server.join();
  const complete = { type: "query:complete", data: { queryId: "q", rowCount: 1, duration: 1 } } as const;
  await server.json.broadcastToChannel("queries", complete);
  await server.bus.publish("queries", "hello");
  const { data } = await ask(client, { type: "history", channel: "queries" });
  assert.deepEqual(data.publications.map((each: { type: string }) => each.type), [
    "query:complete",
    "message",
  ]);
  server.methods.define("fail", {
    run() {
      throw new RpcError(404, "No such order");
    },
  });
  const refused = await ask(client, { type: "rpc", id: "r", data: { method: "fail" } });
  assert.deepEqual([refused.id, refused.data], ["r", {
    code: "RPC_ERROR",
    message: "No such order",
    number: 404,
  }]);
  await client.close();
});

Deno.test("every path in the list serves the protocol", async () => {
  await using server = await serveJson({ path: ["/", "/ws"] });
  for (const path of ["/", "/ws"]) {
    await using client = await server.connect(path);
    assert.equal((await client.nextJson()).type, "connection:ack");
  }
  await assert.rejects(serveJson({ path: ["/ws", "ws"] }), /"path" must be a path that begins with \/, got/);
});

Deno.test("payloads arrive as they were sent, without their line breaks", async () => {
  await using server = await serveJson();
  const [{ client }, reader] = [await server.join(), await server.join()];
  await ask(reader.client, { type: "subscribe", channel: "news" });
  const sent = ["12345678901234567890", "1e400", "1.0", `{"a" : [1,\r\n  2],\n"a":"\\u00e4"}`, "null"];
  const received = sent.map((data) => data.replaceAll(/[\r\n]/g, ""));
  for (const [i, data] of sent.entries()) {
    client.send(`{"type":"publish",\n"data":0,\n"channel":"news","data":\n${data}\n}`);
    assert.equal((await client.nextJson()).type, "published");
    const text = await reader.client.nextText();
    assert.ok(text.includes(`"channel":"news","data":${received[i]},"offset":${i + 1}`), text);
    assert.doesNotMatch(text, /[\r\n]/);
  }
  client.sendJson({ type: "history", channel: "news" });
  const history = await client.nextText();
  for (const data of received) assert.ok(history.includes(`"data":${data}`), history);
  const { publications } = JSON.parse(history).data;
  assert.equal(publications.length, sent.length);
  await client.close();
  await reader.client.close();
});
