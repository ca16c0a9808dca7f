import assert from "node:assert/strict";
import { Audience, type Closed, type Connection, type Endpoint, type Plugin } from "../../core/mod.ts";
import { Child, FakeClock, offline, serve, turn, until, within } from "../kit/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";

const endpoint = echo().endpoints![0]!;

/** All clients at `/feed` are in its audience. Records why connections were closed. */
function feed(): Plugin<Audience> & { closed: Map<Connection, Closed> } {
  const readers = new Audience();
  const closed = new Map<Connection, Closed>();
  return {
    name: "feed",
    api: readers,
    closed,
    endpoints: [{
      name: "feed",
      path: "/feed",
      open(conn) {
        readers.add(conn);
        return { message() {} };
      },
    }],
    close(conn, why) {
      readers.delete(conn);
      closed.set(conn, why);
    },
  };
}

Deno.test("a reader that stops is closed at 1 MiB, and the others receive everything in order", async () => {
  const plugin = feed();
  await using server = await serve({}, plugin);
  using _stuck = await server.raw("/feed");
  await using fast = await server.connect("/feed");
  await using another = await server.connect("/feed");
  await until("three readers", () => plugin.api.size === 3);
  const text = "x".repeat(65_500);
  for (let sent = 0; plugin.closed.size === 0; sent++) {
    assert.ok(sent < 5_000, "it is still connected");
    plugin.api.send(`${sent} ${text}`);
    // At the pace of the fast readers. The system's buffers hold some megabytes for the slow one, on some machines many.
    for (const client of [fast, another]) {
      assert.equal((await client.nextText()).split(" ")[0], String(sent));
    }
  }
  assert.deepEqual([...plugin.closed.values()].map(({ code, by }) => [code, by]), [[3008, "server"]]);
  assert.equal(plugin.api.send("last"), 2);
  assert.equal(await fast.next(), "last");
});

Deno.test("the limit is an option, and holds within one turn", async () => {
  await using server = await offline({ maxQueuedBytes: 10_000 }, echo());
  const { conn, transport } = await server.connect(endpoint);
  transport.send = (frame) => void (transport.buffered += frame.length);
  for (let i = 0; i < 10; i++) conn.send("x".repeat(1_000));
  await turn();
  assert.equal(conn.open, true);
  // The frame at the limit is not split.
  for (let i = 0; i < 2; i++) conn.send("x".repeat(1_000));
  await turn();
  assert.equal(transport.closed?.code, 3008);
  // The backlog was dropped instead of sent.
  assert.ok(transport.buffered <= 6_000);
});

Deno.test("an endpoint's limit overrides the server's", async () => {
  const patient = { ...endpoint, path: "/patient", maxQueuedBytes: 50_000 } as Endpoint;
  await using server = await offline({ maxQueuedBytes: 10_000 }, echo(), {
    name: "patient",
    endpoints: [patient],
  });
  const [strict, lenient] = [await server.connect(endpoint), await server.connect(patient)];
  for (const { conn, transport } of [strict, lenient]) {
    transport.send = (frame) => void (transport.buffered += frame.length);
    for (let i = 0; i < 20; i++) conn.send("x".repeat(1_000));
  }
  await turn();
  assert.deepEqual([strict.transport.closed?.code, lenient.conn.open], [3008, true]);
  for (let i = 0; i < 50; i++) lenient.conn.send("x".repeat(1_000));
  await turn();
  assert.equal(lenient.transport.closed?.code, 3008);
});

Deno.test("sent bytes do not count", async () => {
  await using server = await offline({ maxQueuedBytes: 100_000 }, echo());
  const { conn, transport } = await server.connect(endpoint);
  for (let round = 1; round <= 5; round++) {
    transport.buffered = 60_000;
    for (let i = 0; i < 5; i++) conn.send("x".repeat(9_000));
    await turn();
    transport.buffered = 0;
    await until("all frames to be sent", () => transport.frames.length === 5 * round);
  }
  assert.equal(conn.open, true);
});

Deno.test("a single message over the limit reaches a reader that keeps up", async () => {
  await using server = await offline({}, echo());
  const { conn, transport } = await server.connect(endpoint);
  const state = "x".repeat(3_000_000);
  conn.send(state);
  await turn();
  assert.deepEqual([conn.open, transport.frames], [true, [state]]);
});

Deno.test("waiting frames are sent in order when the network takes more", async () => {
  await using server = await offline({}, echo());
  const { conn, transport } = await server.connect(endpoint);
  transport.buffered = 200_000;
  const messages = Array.from({ length: 5 }, (_, i) => `${i}${"x".repeat(50_000)}`);
  for (const message of messages) conn.send(message);
  await turn();
  // Frames are sent until the backlog checks the transport.
  const before = transport.frames.length;
  assert.ok(before < 5, `${before} were sent`);
  transport.buffered = 0;
  await until("the rest", () => transport.frames.length === 5);
  assert.deepEqual(transport.frames, messages);
});

Deno.test("a stuck reader with a small backlog is closed between two pings", async () => {
  const clock = new FakeClock();
  await using server = await offline({ clock, pingIntervalMs: 5_000, pongTimeoutMs: 2_000 }, echo());
  const { conn, transport } = await server.connect(endpoint);
  conn.send("hello");
  await turn();
  transport.buffered = 5;
  for (let i = 0; i < 100 && transport.closed === undefined; i++) {
    conn.heard();
    clock.advance(100);
  }
  assert.equal(transport.closed?.code, 3008);
});

Deno.test("a slow reader that makes progress is kept", async () => {
  const clock = new FakeClock();
  await using server = await offline({ clock, pingIntervalMs: 5_000, pongTimeoutMs: 2_000 }, echo());
  const { conn, transport } = await server.connect(endpoint);
  transport.buffered = 5_000;
  for (let i = 0; i < 200; i++) {
    conn.heard();
    transport.buffered--;
    clock.advance(100);
  }
  assert.equal(transport.closed, undefined);
});

Deno.test("a place is taken until the socket of a closed connection is gone", async () => {
  const plugin = feed();
  await using server = await serve({ maxConnectionsPerIp: 1, maxQueuedBytes: 100_000 }, plugin);
  const stuck = await server.raw("/feed");
  await until("the reader", () => plugin.api.size === 1);
  // Not without a limit: a worker that is late is replaced if too much waits for it, and the place is free.
  while (plugin.closed.size === 0) {
    if ([...plugin.api].every(({ queuedBytes }) => queuedBytes < 1_000_000)) {
      plugin.api.send("x".repeat(60_000));
    }
    await turn();
  }
  assert.equal(server.server.connections.size, 0);
  await assert.rejects(server.connect("/feed"), /503/);
  stuck[Symbol.dispose]();
  await until(
    "a free place",
    () => server.connect("/feed").then((client) => client.close()).then(() => true, () => false),
  );
});

Deno.test("the backlogs of closed readers are freed", async () => {
  await using child = new Child(new URL("children/slow_readers.ts", import.meta.url), {
    flags: ["--v8-flags=--expose-gc"],
  });
  const { readers, queuedBytes, before, after } = JSON.parse(
    await within("the figures", child.line(), 60_000),
  );
  const grown = after - before;
  // A kept backlog would be about a megabyte.
  assert.ok(grown < readers * queuedBytes / 4, `${readers} closed readers hold ${grown} bytes`);
});
