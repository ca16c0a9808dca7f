/** Clients that only receive: one message connects them, then pushes arrive without an envelope. */

import assert from "node:assert/strict";
import type { ServerOptions } from "../../../core/mod.ts";
import { uniDisconnect } from "../../../plugins/protocols/centrifuge/codes.ts";
import { rateLimits } from "../../../plugins/rate_limits.ts";
import { type CentrifugeServer, centrifugeServer, fakeAccess } from "../../kit/centrifuge.ts";
import { type Client, FakeClock, Inbox, until } from "../../kit/mod.ts";

/** What a one-way client receives, and how it ends. */
interface Receiver extends AsyncDisposable {
  // deno-lint-ignore no-explicit-any -- tests look into what they expect
  next(): Promise<any>;
  /** Resolves to the code that it was disconnected with. */
  ended(): Promise<number>;
}

type Connect = (server: CentrifugeServer, request: string) => Promise<Receiver>;

function overSocket(client: Client): Receiver {
  return {
    next: () => client.nextJson(),
    ended: async () => (await client.closed).code,
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** Reads the messages of a stream; each is after `before` on a line of its own. */
function overStream(response: Response, before: string): Receiver {
  assert.equal(response.status, 200);
  const messages = new Inbox<unknown>();
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const reading = (async () => {
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line.startsWith(before) && line.trim() !== "") {
          messages.put(JSON.parse(line.slice(before.length)));
        }
      }
    }
  })();
  return {
    next: () => messages.next("a message"),
    async ended() {
      const { disconnect } = await messages.next("the disconnect") as { disconnect: { code: number } };
      await reading;
      return disconnect.code;
    },
    async [Symbol.asyncDispose]() {
      await reader.cancel();
      await reading;
    },
  };
}

const query = (request: string) => `?cf_connect=${encodeURIComponent(request)}`;

/** Each transport, and each way to send the connect. */
const ways: Record<string, Connect> = {
  async "uni_websocket with a message"({ test }, request) {
    const client = await test.connect("/connection/uni_websocket");
    client.send(request);
    return overSocket(client);
  },
  "uni_websocket with a URL": async ({ test }, request) =>
    overSocket(await test.connect(`/connection/uni_websocket${query(request)}`)),
  "uni_http_stream": async ({ test }, body) =>
    overStream(await test.fetch("/connection/uni_http_stream", { method: "POST", body }), ""),
  "uni_sse with a URL": async ({ test }, request) =>
    overStream(await test.fetch(`/connection/uni_sse${query(request)}`), "data: "),
  "uni_sse with a body": async ({ test }, body) =>
    overStream(await test.fetch("/connection/uni_sse", { method: "POST", body }), "data: "),
};

const access = fakeAccess({ good: { user: "alice", channels: ["news"] } });

function serverWith(server: ServerOptions = {}): Promise<CentrifugeServer> {
  return centrifugeServer({ server, centrifuge: { access } });
}

for (const [way, connect] of Object.entries(ways)) {
  Deno.test(`B18 ${way}: a client receives pushes without an envelope`, async () => {
    await using server = await serverWith();
    await using client = await connect(server, `{"token":"good","name":"test"}`);
    const { connect: { client: id, version, ping, pong, session, subs } } = await client.next();
    assert.ok(server.bus.clientOf(id));
    assert.deepEqual([version, ping, pong, session], ["plugboard", 25, undefined, undefined]);
    assert.deepEqual([subs.news.recoverable, subs.news.epoch.length > 0], [true, true]);

    await server.bus.publish("news", { text: "ü\n" });
    assert.deepEqual(await client.next(), { channel: "news", pub: { data: { text: "ü\n" }, offset: 1 } });
    await server.bus.subscribeClients({ user: "alice" }, "more");
    const { channel, subscribe } = await client.next();
    assert.deepEqual([channel, subscribe.recoverable], ["more", true]);
    server.bus.unsubscribeClients({ user: "alice" }, "more");
    const { unsubscribe } = await client.next();
    assert.deepEqual(unsubscribe, { code: 2000, reason: "server unsubscribe" });
    assert.ok(server.protocol.send(server.bus.clientOf(id)!.conn, 1));
    assert.deepEqual(await client.next(), { message: { data: 1 } });
    await server.bus.disconnect({ user: "alice" });
    assert.equal(await client.ended(), 3503);
    await until("the end", () => server.bus.clients.size === 0);
  });

  Deno.test(`B18 ${way}: a client recovers what it missed`, async () => {
    await using server = await serverWith();
    const { top: { epoch } } = await server.bus.history("news", { limit: 0 });
    for (const n of [1, 2, 3]) await server.bus.publish("news", n);
    const subs = { news: { recover: true, offset: 1, epoch } };
    await using client = await connect(server, JSON.stringify({ token: "good", subs }));
    const { news } = (await client.next()).connect.subs;
    assert.equal(news.recovered, true);
    assert.deepEqual(news.publications.map(({ data }: { data: number }) => data), [2, 3]);
  });

  Deno.test(`B18 ${way}: a client that is refused learns the code`, async () => {
    await using server = await serverWith();
    const refused: [request: string, code: number][] = [
      [`{"token":"bad"}`, 3500],
      [`{"token":"expired"}`, 3005],
      ["{}", 3500],
      [`{"token":1}`, 3501],
      ["[1]", 3501],
      ["hello", 3501],
      [`{"token":"good"}\n{"token":"good"}`, 3501],
    ];
    for (const [request, code] of refused) {
      if (request.includes("\n") && way === "uni_sse with a URL") continue;
      await using client = await connect(server, request);
      assert.equal(await client.ended(), code, request);
    }
    assert.deepEqual([server.bus.clients.size, server.test.log.size], [0, 0]);
  });
}

Deno.test("B18 a one-way client is pinged, and needs no answer", async () => {
  const clock = new FakeClock();
  await using server = await serverWith({ clock });
  await using client = await ways["uni_websocket with a message"]!(server, `{"token":"good"}`);
  await client.next();
  for (let pings = 0; pings < 3; pings++) {
    for (let passed = 0; passed < 25_000; passed += 500) clock.advance(500);
    assert.deepEqual(await client.next(), {});
  }
  assert.equal(server.bus.clients.size, 1);
});

Deno.test("B18 a one-way client does not come back after an error that lasts", () => {
  const codes = [100, 101, 103, 107, 109, 110, 111, 4001].map((code) =>
    uniDisconnect({ code, message: "", temporary: code === 100 || code === 111 }).code
  );
  assert.deepEqual(codes, [3004, 3500, 3507, 3507, 3005, 3005, 3013, 3507]);
});

Deno.test("B18 what a one-way client sends later is ignored", async () => {
  await using server = await serverWith();
  await using client = await server.test.connect("/connection/uni_websocket");
  for (const frame of [`{"token":"good"}`, `{"token":"bad"}`, "x"]) client.send(frame);
  client.send(`{"publish":{"channel":"news","data":1},"id":1}`);
  assert.ok((await client.nextJson()).connect);
  client.send("{}");
  await server.bus.publish("news", 2);
  assert.equal((await client.nextJson()).pub.data, 2);
});

Deno.test("B18 a one-way client that does not connect in time is disconnected", async () => {
  const clock = new FakeClock();
  await using server = await serverWith({ clock });
  await using client = await server.test.connect("/connection/uni_websocket");
  await until("the connection", () => server.test.server.connections.size === 1);
  clock.advance(11_000);
  assert.equal((await client.closed).code, 3502);
});

Deno.test("B18 an event source without cf_connect is refused", async () => {
  await using server = await serverWith();
  const response = await server.test.fetch("/connection/uni_sse");
  assert.deepEqual([response.status, (await response.json()).error.code], [400, "bad_request"]);
});

Deno.test("B18 a one-way client beyond a rate limit learns the code", async () => {
  const limits = rateLimits({ limits: { messages: "1/1m" } });
  await using server = await centrifugeServer({ centrifuge: { limits: limits.api }, plugins: [limits] });
  await using client = await server.test.connect("/connection/uni_websocket");
  client.send("{}");
  assert.ok((await client.nextJson()).connect);
  client.send("{}");
  assert.equal((await client.closed).code, 3013);
});
