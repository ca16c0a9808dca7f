import assert from "node:assert/strict";
import fc from "fast-check";
import type { Closed, Connection, Endpoint, Plugin } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { type Client, FakeClock, offline, serve, turn, until } from "../kit/mod.ts";

const INTERVAL_MS = 5_000;
const TIMEOUT_MS = 2_000;
const TICK_MS = INTERVAL_MS / 50;

/** Echoes; pings by a message of its own. */
const pinging: Endpoint = {
  name: "pinging",
  path: "/pinging",
  open: (conn) => ({ ping: () => void conn.send("ping"), message: (data) => void conn.send(data) }),
};
const plain = echo().endpoints![0]!;

/** A plugin with both endpoints, which records why connections were closed. */
function both(): Plugin & { closed: Map<Connection, Closed> } {
  const closed = new Map<Connection, Closed>();
  return {
    name: "both",
    closed,
    endpoints: [pinging, plain],
    close: (conn, why) => void closed.set(conn, why),
  };
}

/** Advances the clock, with a turn of the event loop after each tick. */
async function pass(clock: FakeClock, ms: number, each: () => boolean | void = () => {}): Promise<void> {
  for (let passed = 0; passed < ms; passed += TICK_MS) {
    clock.advance(TICK_MS);
    await turn();
    if (each() === false) return;
  }
}

for (const endpoint of [pinging, plain]) {
  Deno.test(`${endpoint.name}: a peer that stops answering is closed within two intervals, at any time`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 3 * INTERVAL_MS / TICK_MS }), async (ticks) => {
        const clock = new FakeClock();
        const options = { clock, pingIntervalMs: INTERVAL_MS, pongTimeoutMs: TIMEOUT_MS };
        await using server = await offline(options, { name: "test", endpoints: [endpoint] });
        const { conn, transport } = await server.connect(endpoint);
        await pass(clock, ticks * TICK_MS, () => conn.receive("a sign of life"));
        assert.equal(conn.open, true);
        const silentSince = clock.wallTime();
        await pass(clock, 3 * INTERVAL_MS, () => conn.open);
        assert.equal(transport.closed?.code, 3012);
        assert.ok(
          clock.wallTime() - silentSince <= 2 * INTERVAL_MS,
          `it took ${clock.wallTime() - silentSince} ms`,
        );
      }),
      { numRuns: 20 },
    );
  });

  Deno.test(`${endpoint.name}: a real peer that is silently gone is closed with 3012`, async () => {
    const plugin = both();
    const clock = new FakeClock();
    await using server = await serve(
      { clock, pingIntervalMs: INTERVAL_MS, pongTimeoutMs: TIMEOUT_MS },
      plugin,
    );
    // It neither answers nor closes, as after a network failure.
    using _silent = await server.raw(endpoint.path as string);
    await until("the connection", () => server.server.connections.size === 1);
    const since = clock.wallTime();
    await pass(clock, 3 * INTERVAL_MS, () => plugin.closed.size === 0);
    assert.deepEqual([...plugin.closed.values()].map(({ code, by }) => [code, by]), [[3012, "server"]]);
    assert.ok(clock.wallTime() - since <= 2 * INTERVAL_MS);
  });
}

Deno.test("a peer that answers stays: ping frames, ping messages, and any message counts", async () => {
  const plugin = both();
  await using server = await serve({ pingIntervalMs: 150, pongTimeoutMs: 100 }, plugin);
  using frames = await server.raw("/echo");
  using messages = await server.raw("/pinging");
  const answerFrames = async () => {
    for (let i = 0; i < 4; i++) await frames.frame(10, await frames.nextFrame(9));
  };
  const answerMessages = async () => {
    for (let i = 0; i < 4; i++) {
      await messages.nextFrame(1);
      await messages.frame(1, "pong");
      await messages.nextFrame(1);
    }
  };
  await Promise.all([answerFrames(), answerMessages()]);
  assert.deepEqual([server.server.connections.size, plugin.closed.size], [2, 0]);
});

Deno.test("a message that crosses a ping does not close its sender", async () => {
  // The runtime's own idle timer closes such a sender at some time.
  const plugin = both();
  await using server = await serve({ pingIntervalMs: 100, pongTimeoutMs: 80 }, plugin);
  using raw = await server.raw("/echo");
  for (let i = 0; i < 8; i++) {
    const payload = await raw.nextFrame(9);
    await raw.frame(1, "crossing");
    await raw.frame(10, payload);
    await raw.frame(1, "crossing");
  }
  assert.equal(plugin.closed.size, 0);
});

Deno.test("time during which the event loop is blocked closes no connection", async () => {
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: INTERVAL_MS, pongTimeoutMs: TIMEOUT_MS };
  await using server = await offline(options, { name: "test", endpoints: [pinging] });
  const { conn } = await server.connect(pinging);
  // Fewer turns of the event loop than the timeout has ticks.
  for (let i = 0; i < 15; i++) {
    clock.block(TIMEOUT_MS + 500);
    clock.advance(TICK_MS);
    await turn();
    clock.advance(INTERVAL_MS);
    assert.equal(conn.open, true, `after block ${i}`);
  }
});

Deno.test("an event loop that is repeatedly blocked for longer than the timeout closes no connection", async () => {
  const plugin = both();
  await using server = await serve({ pingIntervalMs: 200, pongTimeoutMs: 100 }, plugin);
  const clients: Client[] = [];
  for (let i = 0; i < 20; i++) clients.push(await server.connect(i % 2 === 0 ? "/echo" : "/pinging"));
  using witness = await server.raw("/echo");
  const answer = async () => await witness.frame(10, await witness.nextFrame(9));
  for (const client of clients) {
    client.socket.addEventListener("message", ({ data }) => data === "ping" && client.send("pong"));
  }
  await answer();
  for (let i = 0; i < 4; i++) {
    block(450);
    await turn();
  }
  // Three more rounds of pings.
  for (let i = 0; i < 3; i++) await answer();
  assert.deepEqual([...plugin.closed.values()], []);
  for (const client of clients) {
    client.send("still here");
    while (await client.next() !== "still here");
    await client.close();
  }
});

Deno.test("after a stall of the event loop, every connection is pinged at once, and none is closed for it", async () => {
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: 25_000, pongTimeoutMs: 8_000 };
  await using server = await offline(options, { name: "test", endpoints: [pinging, plain] });
  const all = await Promise.all(
    Array.from({ length: 100 }, (_, i) => server.connect(i % 2 ? pinging : plain)),
  );
  const pings = () => all.map(({ transport }) => transport.pings + transport.frames.length);
  for (let i = 0; i < 100; i++) {
    clock.advance(500);
    await turn();
    for (const { conn } of all) conn.heard();
  }
  // A message is on its way to half of them.
  for (const { transport } of all.slice(50)) transport.buffered = 1;
  for (const stallMs of [3_000, 20_000, 60_000]) {
    const before = pings();
    clock.block(stallMs);
    clock.advance(0);
    await turn();
    assert.deepEqual(pings(), before.map((count) => count + 1), `after ${stallMs} ms`);
    for (const { conn } of all) conn.heard();
  }
  for (const { transport } of all) transport.buffered = 0;
  for (let i = 0; i < 20; i++) {
    clock.advance(500);
    await turn();
  }
  assert.ok(all.every(({ conn }) => conn.open));
});

Deno.test("peers that do not answer after a stall are closed after the timeout", async () => {
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: 25_000, pongTimeoutMs: 8_000 };
  await using server = await offline(options, { name: "test", endpoints: [plain] });
  const { conn, transport } = await server.connect(plain);
  clock.block(20_000);
  const since = clock.wallTime();
  // The regular ping may come soon after the first one, and starts the timeout again.
  for (let i = 0; i < 40 && conn.open; i++) {
    clock.advance(500);
    await turn();
  }
  assert.equal(transport.closed?.code, 3012);
  const took = clock.wallTime() - since;
  assert.ok(took >= 8_000 && took <= 17_000, `it took ${took} ms`);
});

Deno.test("late ticks delay no pings: a client counts its own time", async () => {
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: 25_000, pongTimeoutMs: 8_000 };
  await using server = await offline(options, { name: "test", endpoints: [plain] });
  const { conn, transport } = await server.connect(plain);
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    const before = transport.pings;
    clock.block(900);
    clock.advance(500);
    await turn();
    conn.heard();
    if (transport.pings > before) times.push(clock.wallTime());
  }
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  assert.ok(gaps.length > 10 && Math.max(...gaps) < 27_000, gaps.join());
});

// Regression: after a stall, all connections are pinged. That postponed the check of those that were pinged before.
Deno.test("a peer that is gone is closed, and others are kept, while the event loop stalls again and again", async () => {
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: INTERVAL_MS, pongTimeoutMs: TIMEOUT_MS };
  await using server = await offline(options, { name: "test", endpoints: [plain] });
  const [gone, alive] = [await server.connect(plain), await server.connect(plain)];
  for (let i = 0; i < 60; i++) {
    clock.block(10 * TICK_MS);
    clock.advance(TICK_MS);
    await turn();
    alive.conn.heard();
  }
  assert.equal(gone.transport.closed?.code, 3012);
  assert.equal(alive.conn.open, true);
});

Deno.test("a clock that is set changes no ping", async () => {
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: INTERVAL_MS, pongTimeoutMs: TIMEOUT_MS };
  await using server = await offline(options, { name: "test", endpoints: [plain] });
  const { conn, transport } = await server.connect(plain);
  for (const ms of [-3_600_000, 7_200_000]) {
    clock.set(ms);
    const before = transport.pings;
    await pass(clock, 5 * INTERVAL_MS, () => conn.heard());
    const pings = transport.pings - before;
    assert.ok(pings === 5 || pings === 4, `${pings} pings in five intervals`);
  }
});

Deno.test("a connection whose protocol sends no ping needs no answer", async () => {
  const silent: Endpoint = {
    name: "silent",
    path: "/silent",
    open: () => ({ ping: () => false, message() {} }),
  };
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: INTERVAL_MS, pongTimeoutMs: TIMEOUT_MS };
  await using server = await offline(options, { name: "test", endpoints: [silent] });
  const { conn } = await server.connect(silent);
  await pass(clock, 4 * INTERVAL_MS);
  assert.equal(conn.open, true);
});

Deno.test("pings stop with the connection and with the server", async () => {
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: INTERVAL_MS, pongTimeoutMs: TIMEOUT_MS };
  await using server = await offline(options, { name: "test", endpoints: [plain] });
  const { conn, transport } = await server.connect(plain);
  const other = await server.connect(plain);
  await pass(clock, INTERVAL_MS, () => [conn, other.conn].forEach((each) => each.heard()));
  conn.ended({ code: 1000, reason: "", by: "client" });
  transport.onClose();
  const pings = transport.pings;
  assert.ok(pings > 0);
  await pass(clock, INTERVAL_MS, () => other.conn.heard());
  assert.equal(transport.pings, pings);
  await server.server.stop();
  assert.equal(clock.pending, 0);
});

Deno.test("pings are spread over the interval", async () => {
  const clock = new FakeClock();
  const options = { clock, pingIntervalMs: INTERVAL_MS, pongTimeoutMs: TIMEOUT_MS };
  await using server = await offline(options, { name: "test", endpoints: [plain] });
  const all: Awaited<ReturnType<typeof server.connect>>[] = [];
  for (let i = 0; i < 500; i++) all.push(await server.connect(plain));
  let most = 0;
  let before = 0;
  await pass(clock, 2 * INTERVAL_MS, () => {
    for (const { conn } of all) conn.heard();
    const pings = all.reduce((sum, { transport }) => sum + transport.pings, 0);
    most = Math.max(most, pings - before);
    before = pings;
  });
  assert.ok(before >= 500 && before <= 1_000, `${before} pings`);
  assert.ok(most < 100, `${most} at once`);
});

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
