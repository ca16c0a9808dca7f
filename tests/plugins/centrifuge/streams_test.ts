/** HTTP streaming, server-sent events and the emulation endpoint, as a browser sees them. */

import assert from "node:assert/strict";
import { type CentrifugeServer, centrifugeServer, fakeAccess, TRANSPORTS } from "../../kit/centrifuge.ts";
import { FakeClock, RawClient, turn, until, within } from "../../kit/mod.ts";

const CONNECT = `{"connect":{},"id":1}`;

/** Reads the chunks of a stream one by one. */
class Stream implements AsyncDisposable {
  readonly response: Response;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });

  constructor(response: Response) {
    this.response = response;
    this.#reader = response.body!.getReader();
  }

  static async open({ test }: CentrifugeServer, body = CONNECT, headers: HeadersInit = {}): Promise<Stream> {
    return new Stream(await test.fetch(TRANSPORTS.http_stream, { method: "POST", body, headers }));
  }

  /** The next chunk, or `undefined` at the end. */
  async next(): Promise<string | undefined> {
    const { value, done } = await within("a chunk", this.#reader.read());
    return done ? undefined : this.#decoder.decode(value);
  }

  // deno-lint-ignore no-explicit-any -- tests look into what they expect
  async nextJson(): Promise<any> {
    return JSON.parse(await this.next() ?? assert.fail("the stream has ended"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
  }
}

/** Sends to the emulation endpoint; returns the status. */
async function emulate({ test }: CentrifugeServer, body: unknown): Promise<number> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await test.fetch("/emulation", { method: "POST", body: text });
  await response.body?.cancel();
  return response.status;
}

Deno.test("the reply to connect on an HTTP stream has what emulation requests need", async () => {
  await using server = await centrifugeServer();
  await using stream = await Stream.open(server);
  const { status, headers } = stream.response;
  assert.equal(status, 200);
  assert.equal(headers.get("x-accel-buffering"), "no");
  assert.match(headers.get("cache-control")!, /no-store/);
  const { connect: { client, session, node } } = await stream.nextJson();
  assert.notEqual(session, client, "other clients know the client's id");
  const data = `{"subscribe":{"channel":"a"},"id":2}\n{"publish":{"channel":"a","data":"ü"},"id":3}`;
  assert.equal(await emulate(server, { session, node, data }), 204);
  const lines = (await stream.next())!.split("\n");
  assert.deepEqual(lines.map((line) => Object.keys(JSON.parse(line || "{}"))[0]), [
    "id",
    "push",
    "id",
    undefined,
  ]);
});

Deno.test("server-sent events arrive in the order of a stream", async () => {
  await using server = await centrifugeServer();
  for (const init of [undefined, { method: "POST", body: CONNECT }]) {
    const query = init === undefined ? `?cf_connect=${encodeURIComponent(CONNECT)}` : "";
    await using stream = new Stream(await server.test.fetch(TRANSPORTS.sse + query, init));
    assert.match(stream.response.headers.get("content-type")!, /^text\/event-stream/);
    let text = await stream.next() ?? "";
    assert.ok(text.startsWith("\r\n"));
    while (!text.endsWith("\n\n")) text += await stream.next();
    const { connect: { session, node } } = JSON.parse(text.slice("\r\ndata: ".length));
    const data = `{"subscribe":{"channel":"a"},"id":2}\n{"publish":{"channel":"a","data":1},"id":3}`;
    await emulate(server, { session, node, data });
    const events = (await stream.next())!.split("\n\n");
    assert.equal(events.pop(), "");
    assert.deepEqual(events.map((event) => Object.keys(JSON.parse(event.slice("data: ".length)))[0]), [
      "id",
      "push",
      "id",
    ]);
  }
  const { status, body } = await server.test.fetch(TRANSPORTS.sse);
  assert.equal(status, 400);
  await body?.cancel();
});

Deno.test("a stream that is closed as slow keeps its place until its socket is gone", async () => {
  const clock = new FakeClock();
  const options = { clock, maxConnections: 2, maxQueuedBytes: 100_000, drainMs: 0 };
  await using server = await centrifugeServer({ server: options });
  const body = `${CONNECT}\n{"subscribe":{"channel":"a"},"id":2}`;
  const stuck = await RawClient.connect(server.test.port);
  const head =
    `POST ${TRANSPORTS.http_stream} HTTP/1.1\r\nhost: test\r\ncontent-length: ${body.length}\r\n\r\n`;
  await stuck.write(new TextEncoder().encode(head + body));
  await until("the subscription", () => server.bus.clients.size === 1);
  const [conn] = server.test.server.connections;
  while (conn!.open) {
    await server.bus.publish("a", "x".repeat(60_000));
    await turn();
  }
  clock.advance(10_000);
  await turn();
  assert.equal(server.test.server.connections.size, 0);
  await using stream = await Stream.open(server);
  await stream.next();
  const refused = await server.test.fetch(TRANSPORTS.http_stream, { method: "POST", body: CONNECT });
  assert.equal(refused.status, 503);
  await refused.body?.cancel();
  stuck[Symbol.dispose]();
  await until("a free place", async () => {
    const next = await server.test.fetch(TRANSPORTS.http_stream, { method: "POST", body: CONNECT });
    await next.body?.cancel();
    return next.status === 200;
  });
});

Deno.test("the status of an emulation request depends on its body", async () => {
  await using server = await centrifugeServer();
  await using stream = await Stream.open(server);
  const { connect: { session, node } } = await stream.nextJson();
  assert.equal(await emulate(server, { session: "gone", node, data: "{}" }), 204);
  assert.equal(await emulate(server, { session, node: "", data: "{}" }), 404);
  assert.equal(await emulate(server, { session, node: "other", data: "{}" }), 404);
  assert.equal(await emulate(server, "hello"), 400);
  assert.equal(await emulate(server, "[]"), 400);
  assert.equal(await emulate(server, { session: 1, node, data: "{}" }), 400);
  assert.equal(await emulate(server, { session, node, data: "x".repeat(70_000) }), 413);
  for (const path of [TRANSPORTS.http_stream, "/emulation"]) {
    const { status, headers, body } = await server.test.fetch(path);
    assert.deepEqual([status, headers.get("allow")], [405, "POST, OPTIONS"]);
    await body?.cancel();
  }
  const before = server.test.server.connections.size;
  const head = `${TRANSPORTS.sse}?cf_connect=${encodeURIComponent(CONNECT)}`;
  assert.equal((await server.test.fetch(head, { method: "HEAD" })).status, 405);
  assert.equal(server.test.server.connections.size, before, "nothing would read, or end, its stream");
});

Deno.test("emulation requests are handled in the order of their arrival", async () => {
  await using server = await centrifugeServer();
  server.bus.extend({
    name: "slow",
    async beforeSubscribe() {
      await new Promise((resolve) => setTimeout(resolve, 10));
    },
  });
  await using stream = await Stream.open(server);
  const { connect: { session, node } } = await stream.nextJson();
  const first = emulate(server, { session, node, data: `{"subscribe":{"channel":"a"},"id":2}` });
  await first; // it has arrived, and has no reply yet
  await emulate(server, { session, node, data: `{"unsubscribe":{"channel":"a"},"id":3}` });
  let text = "";
  while (text.split("\n").length < 3) text += await stream.next();
  const ids = text.trim().split("\n").map((line) => JSON.parse(line).id);
  assert.deepEqual(ids, [2, 3]);
});

Deno.test("a stream whose first command is malformed is disconnected", async () => {
  await using server = await centrifugeServer();
  for (const body of ["hello", "", `{"rpc":{},"id":1}`]) {
    await using stream = await Stream.open(server, body);
    assert.deepEqual(await stream.nextJson(), {
      push: { disconnect: { code: 3501, reason: "bad request" } },
    });
    assert.equal(await stream.next(), undefined);
  }
  const refused: [body: BodyInit, status: number][] = [["x".repeat(70_000), 413], [Uint8Array.of(0xff), 400]];
  for (const [body, status] of refused) {
    const response = await server.test.fetch(TRANSPORTS.http_stream, { method: "POST", body });
    assert.equal(response.status, status);
    await response.body?.cancel();
  }
  await until("all to be closed", () => server.test.server.connections.size === 0);
});

Deno.test("pages of other origins get CORS headers, or are refused", async () => {
  const access = fakeAccess({ good: { user: "alice" } });
  await using own = await centrifugeServer();
  await using guarded = await centrifugeServer({ centrifuge: { access } });
  const ask = async ({ test }: CentrifugeServer, path: string, method: string, origin: string) => {
    const headers = { origin, "access-control-request-headers": "content-type,x-extra" };
    const body = method === "POST" ? `{"connect":{"token":"good"},"id":1}` : null;
    const response = await test.fetch(path, { method, headers, body });
    await response.body?.cancel();
    return response;
  };
  const allowed: [CentrifugeServer, string][] = [[own, "http://localhost:3000"], [
    guarded,
    "https://app.example",
  ]];
  for (const [server, origin] of allowed) {
    for (const path of [TRANSPORTS.http_stream, TRANSPORTS.sse, "/emulation"]) {
      for (const method of ["OPTIONS", "POST"]) {
        const { status, headers } = await ask(server, path, method, origin);
        const expected = method === "OPTIONS" ? 204 : path === "/emulation" ? 404 : 200;
        assert.equal(status, expected);
        assert.equal(headers.get("access-control-allow-origin"), origin);
        assert.equal(headers.get("access-control-allow-credentials"), "true");
        assert.equal(headers.get("access-control-allow-headers"), "content-type,x-extra");
        assert.equal(headers.get("vary"), "origin");
      }
    }
  }
  const foreign: [CentrifugeServer, string][] = [[own, "https://app.example"], [own, "null"], [
    guarded,
    "https://evil.example",
  ]];
  for (const [server, origin] of foreign) {
    for (const path of [TRANSPORTS.http_stream, TRANSPORTS.sse, "/emulation"]) {
      const { status, headers } = await ask(server, path, "POST", origin);
      assert.deepEqual([status, headers.get("access-control-allow-origin")], [403, null]);
    }
  }
});

Deno.test("streams count as connections, and release their places", async () => {
  await using server = await centrifugeServer({ server: { maxConnections: 1 } });
  for (let round = 0; round < 2; round++) {
    await using stream = await Stream.open(server);
    await stream.nextJson();
    const full = await server.test.fetch(TRANSPORTS.http_stream, { method: "POST", body: CONNECT });
    assert.equal(full.status, 503);
    await full.body?.cancel();
    await stream[Symbol.asyncDispose]();
    await until("the place to be free", () => server.test.server.connections.size === 0);
  }
});

Deno.test("a client that aborts its stream leaves its channels", async () => {
  await using server = await centrifugeServer();
  await using stream = await Stream.open(server);
  const { connect: { session, node } } = await stream.nextJson();
  await emulate(server, { session, node, data: `{"subscribe":{"channel":"a"},"id":2}` });
  await stream.next();
  assert.equal((await server.people.count("a")).clients, 1);
  await stream[Symbol.asyncDispose]();
  await until("the client to leave", async () => (await server.people.count("a")).clients === 0);
  assert.equal(await emulate(server, { session, node, data: `{"rpc":{},"id":3}` }), 204);
});

Deno.test("a body that does not end releases its place in time", async () => {
  const clock = new FakeClock();
  await using server = await centrifugeServer({ server: { clock, maxConnections: 1 } });
  using client = await RawClient.connect(server.test.port);
  const head = `POST ${TRANSPORTS.http_stream} HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n{`;
  const timers = clock.pending;
  await client.write(new TextEncoder().encode(head));
  await until("the server to wait for the body", () => clock.pending > timers);
  clock.advance(10_000);
  const answer = new TextDecoder().decode(await client.read() ?? assert.fail("no answer"));
  assert.match(answer, /^HTTP\/1.1 408 /);
  await using stream = await Stream.open(server);
  await stream.nextJson();
});

Deno.test("a server that stops disconnects its streams with a code", async () => {
  const server = await centrifugeServer();
  await using stream = await Stream.open(server);
  await stream.nextJson();
  await server[Symbol.asyncDispose]();
  assert.deepEqual(await stream.nextJson(), { push: { disconnect: { code: 3001, reason: "shutdown" } } });
  assert.equal(await stream.next(), undefined);
});

Deno.test("the URL of an event source holds one command only", async () => {
  await using server = await centrifugeServer();
  const commands = `${CONNECT}\n{"id":2,"publish":{"channel":"news","data":1}}`;
  const response = await server.test.fetch(`/connection/sse?cf_connect=${encodeURIComponent(commands)}`);
  assert.equal(response.status, 400);
  assert.equal((await response.json()).error.message, "cf_connect is one command");
});
