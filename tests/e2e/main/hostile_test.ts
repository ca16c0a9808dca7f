/** Tests that hostile clients of `main.ts` affect neither other clients nor the log. */

import assert from "node:assert/strict";
import { Client, RawClient, until } from "../../kit/mod.ts";
import { statusOf } from "./journeys.ts";
import { dataFolder, type Main, OPEN, startMain, stopsCleanly } from "./kit.ts";

const SOCKETS = [
  "/connection/websocket",
  "/ws",
  "/sync/x",
  "/relay/x",
  "/hub/ws?userId=eve",
  "/chat/ws/general/Eve",
  "/echo",
];

/** Messages that are invalid in some or all protocols. */
const GARBAGE: (string | Uint8Array<ArrayBuffer>)[] = [
  "",
  "hello",
  "null",
  "[]",
  "{}",
  "\n\n\n",
  "|||",
  "\0",
  "[".repeat(60_000),
  "x".repeat(70_000),
  '{"__proto__":{"id":1},"id":1,"type":"__proto__","connect":{"token":{}}}',
  '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":{}}}\n{"id":3,"rpc":{"method":"toString"}}',
  '{"id":-1,"type":"rpc","data":{"method":"home.add","params":{"idea":"\\ud800"}}}',
  '{"type":"publish","channel":"\\ud800","data":"\\ud800"}',
  '{"type":"query:subscribe","data":{"query":"home.ideas","params":[1]}}',
  '{"type":"history","channel":"a","data":{"limit":-1,"since":"x"}}',
  new Uint8Array(),
  crypto.getRandomValues(new Uint8Array(1_000)),
];

/** Routes that take a body. */
const POSTS = [
  "/hub/api/send",
  "/hub/api/broadcast",
  "/chat/rooms",
  "/connection/http_stream",
  "/connection/sse",
  "/emulation",
];

/** The other routes. */
const ROUTES = [
  "/",
  "/centrifuge.js",
  "/live_rows.js",
  "/health",
  "/metrics",
  "/hub/health",
  "/chat/rooms/general",
];

const rawTo = (server: Main) => RawClient.connect(Number(new URL(server.url).port));

/** Connects a client whose connection must keep working. */
async function connectUser(server: Main): Promise<{ works(): Promise<void> } & AsyncDisposable> {
  const client = await Client.connect(`${server.url}/ws`);
  await client.nextJson();
  return {
    async works() {
      client.sendJson({ type: "ping" });
      assert.equal((await client.nextJson()).type, "pong");
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

Deno.test("garbage is answered or ends its own connection", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path });
  await using user = await connectUser(server);
  await Promise.all(SOCKETS.map(async (path) => {
    for (const garbage of GARBAGE) {
      await using client = await Client.connect(server.url + path);
      client.send(garbage);
    }
    const { port } = new URL(server.url);
    for (
      const frame of [
        crypto.getRandomValues(new Uint8Array(300)),
        new Uint8Array([0x81, 0x81, 0, 0, 0, 0, 0xff]),
      ]
    ) {
      using raw = await RawClient.upgrade(Number(port), path, { host: `127.0.0.1:${port}` });
      await raw.write(frame);
    }
  }));
  await user.works();
  await until("the close of the others", async () => {
    const { stats } = await (await fetch(`${server.url}/health`)).json();
    return stats.total_connections === 1;
  });
  await stopsCleanly(server, [OPEN]);
});

Deno.test("requests with any method and body are refused with a sentence", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path });
  const { url } = server;
  await using user = await connectUser(server);
  for (const path of [...ROUTES, ...POSTS, ...SOCKETS]) {
    for (const method of ["PUT", "DELETE", "PATCH", ...(POSTS.includes(path) ? [] : ["POST"])]) {
      const expected = method === "DELETE" && path === "/chat/rooms/general" ? [403] : [404, 405];
      assert.ok(expected.includes(await statusOf(url + path, { method })), `${method} ${path}`);
    }
  }
  for (const path of [...ROUTES, "/api", "/api/stats", "/api/trace?channel=x"]) {
    assert.equal(await statusOf(url + path, { method: "HEAD" }), 200, `HEAD ${path}`);
  }
  const bodies = [
    "",
    "null",
    "[]",
    "{{",
    '"x"',
    "a=b&c=d",
    '{"__proto__":{"name":"x"}}',
    "x".repeat(1_000_000),
  ];
  for (const path of POSTS.filter((path) => !path.startsWith("/connection"))) {
    for (const body of bodies) {
      for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"]) {
        const init = { method: "POST", body, headers: { "content-type": type } };
        const response = await fetch(url + path, init);
        const { error: { message } = { message: undefined }, message: own, errors = [] } = await response
          .json();
        assert.ok(
          [400, 404, 413].includes(response.status),
          `${path} ${body.slice(0, 20)} ${response.status}`,
        );
        assert.match(message ?? own ?? errors[0], /^\S+ .+/, `${path} ${body.slice(0, 20)}`);
      }
    }
  }
  for (const path of POSTS) {
    using raw = await rawTo(server);
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\n{"type`;
    await raw.write(new TextEncoder().encode(head)); // then disconnects
  }
  for (
    const nonsense of [
      "\x16\x03\x01",
      "GET /\r\n\r\n",
      "X".repeat(100_000),
      "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
    ]
  ) {
    using raw = await rawTo(server);
    await raw.write(new TextEncoder().encode(nonsense)).catch(() => {}); // the server may have closed it already
  }
  await user.works();
  await until("the end of the aborted requests", async () => {
    const { stats } = await (await fetch(`${url}/health`)).json();
    return stats.total_connections === 1;
  });
  await stopsCleanly(server, [OPEN]);
});

Deno.test("two hundred clients connect at once to all endpoints and are served", async () => {
  using data = dataFolder();
  await using server = await startMain({ DATA_DIR: data.path, DRAIN_MS: "2000" });
  const all = await Promise.all(
    Array.from({ length: 200 }, (_, i) => Client.connect(server.url + SOCKETS[i % SOCKETS.length]!)),
  );
  const echoes = all.filter((_, i) => SOCKETS[i % SOCKETS.length] === "/echo");
  for (const client of echoes) client.send("hello");
  for (const client of echoes) assert.equal(await client.nextText(), "hello");
  await stopsCleanly(server, [OPEN]);
  await Promise.all(all.map((client) => client.closed));
});
