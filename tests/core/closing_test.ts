import assert from "node:assert/strict";
import { closeCodes, type Connection, type Plugin } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import {
  type Client,
  FakeClock,
  type RawClient,
  serve,
  type TestServer,
  turn,
  until,
  within,
} from "../kit/mod.ts";
import { workerCount } from "../kit/server.ts";

/** Remembers the last connection. */
function last(): Plugin & { conn: () => Connection } {
  let last: Connection;
  return { name: "last", open: (conn) => void (last = conn), conn: () => last };
}

/** Connects, and waits until the server knows it. */
async function connected(server: TestServer): Promise<RawClient> {
  const before = server.server.connections.size;
  const raw = await server.raw("/echo");
  await until("the connection", () => server.server.connections.size > before);
  return raw;
}

/** Whether the server has ended the TCP connection. */
async function isCut(raw: RawClient): Promise<boolean> {
  try {
    while (await raw.read() !== null);
  } catch { /* reset */ }
  return true;
}

/** Connects when there is a place again. */
async function admitted(server: TestServer): Promise<Client> {
  let client: Client | undefined;
  await until("a place", async () => {
    client = await server.connect("/echo").catch(() => undefined);
    return client !== undefined;
  });
  return client!;
}

/** Advances the clock for some seconds, with turns of the event loop. */
async function pass(clock: FakeClock, seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    clock.advance(1_000);
    await turn();
  }
}

for (const what of ["says nothing", "sends fragments without an end", "sends messages"]) {
  Deno.test(`a client that ${what} instead of answering the close is cut after seconds`, async () => {
    const clock = new FakeClock();
    const plugin = last();
    await using server = await serve({ clock, maxConnections: 1 }, plugin, echo());
    using raw = await connected(server);
    const send = async () => {
      if (what === "sends messages") await raw.frame(1, "hello");
      if (what.includes("fragments")) await raw.frame(0, "x".repeat(10_000), false);
    };
    if (what.includes("fragments")) await raw.frame(1, "x", false);
    plugin.conn().close(closeCodes.normal);
    assert.equal(await raw.closeCode(), 1000);
    await send();
    await pass(clock, 2);
    await assert.rejects(server.connect("/echo"), /503/, "it keeps its place while it may still answer");
    await send();
    await pass(clock, 2);
    assert.ok(await within("the cut", isCut(raw)));
    await using next = await admitted(server);
    next.send("hello");
    assert.equal(await next.next(), "hello");
    assert.deepEqual(server.log.take(), []);
  });
}

Deno.test("a client that answers the close in time ends properly", async () => {
  const clock = new FakeClock();
  const plugin = last();
  await using server = await serve({ clock, maxConnections: 1 }, plugin, echo());
  using raw = await connected(server);
  plugin.conn().close(closeCodes.normal);
  assert.equal(await raw.closeCode(), 1000);
  await pass(clock, 2);
  const timers = clock.pending;
  await raw.frame(8, Uint8Array.of(1000 >> 8, 1000 & 255));
  assert.ok(await within("the end", isCut(raw)));
  // A worker has its own timer.
  if (workerCount === 0) await until("the timer's end", () => clock.pending < timers);
  await using _next = await admitted(server);
});

Deno.test("a closed reader that is stuck keeps its place until it reads", async () => {
  const clock = new FakeClock();
  const plugin = last();
  await using server = await serve({ clock, maxConnections: 1, maxQueuedBytes: 100_000 }, plugin, echo());
  using raw = await connected(server);
  const conn = plugin.conn();
  // At the pace of the network: in the end, nothing is taken.
  const taken = () => conn.queuedBytes === 0 || !conn.open;
  while (conn.open) {
    conn.send("x".repeat(60_000));
    await until("taken", taken, 50).catch(() => {});
  }
  await pass(clock, 10);
  await assert.rejects(server.connect("/echo"), /503/);
  assert.equal(await raw.closeCode(), 3008);
  await pass(clock, 4);
  await using next = await admitted(server);
  next.send("hello");
  assert.equal(await next.next(), "hello");
});

Deno.test("stop leaves no timer, even if clients do not answer the close", async () => {
  const clock = new FakeClock();
  const plugin = last();
  const server = await serve({ clock }, plugin, echo());
  using _raw = await connected(server);
  plugin.conn().close(closeCodes.normal);
  await server[Symbol.asyncDispose]();
  await until("no timers", () => clock.pending === 0);
});
