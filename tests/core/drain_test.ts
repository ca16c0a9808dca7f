import assert from "node:assert/strict";
import type { AnyPlugin, Connection, Endpoint } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { FakeClock, offline, RawClient, serve, turn, until, within } from "../kit/mod.ts";

const plain = echo().endpoints![0]!;

/** An endpoint that handles its messages after `release`. */
function held(): { endpoint: Endpoint; release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const open = (conn: Connection) => ({
    async message(data: string) {
      await promise;
      conn.send(`done ${data}`);
    },
  });
  return { endpoint: { name: "held", path: "/held", open }, release: resolve };
}

Deno.test("a server accepts no client while it drains", async () => {
  const draining = Promise.withResolvers<void>();
  await using server = await serve({}, echo(), { name: "busy", drain: () => draining.promise });
  await using client = await server.connect("/echo");
  const stopping = server.server.stop();
  using raw = await RawClient.connect(server.port);
  const head = await raw.request("/echo");
  assert.match(head, /^HTTP\/1.1 503[^]*retry-after: 1/i);
  assert.equal((await within("the close", client.closed)).code, 3001);
  draining.resolve();
  await stopping;
  await assert.rejects(RawClient.connect(server.port), Deno.errors.ConnectionRefused);
});

Deno.test("a client in its upgrade hooks is refused when the drain begins", async () => {
  const considered = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const slow: AnyPlugin = {
    name: "slow",
    async upgrade() {
      asked.resolve();
      await considered.promise;
      return undefined;
    },
  };
  let opened = 0;
  await using server = await serve({}, slow, echo(), { name: "count", open: () => void opened++ });
  using raw = await RawClient.connect(server.port);
  const head = raw.request("/echo");
  await asked.promise;
  const stopping = server.server.stop();
  considered.resolve();
  assert.match(await head, /^HTTP\/1.1 503/);
  await stopping;
  assert.equal(opened, 0);
});

Deno.test("drain closes a client when its pending messages are handled, and ignores later ones", async () => {
  const { endpoint, release } = held();
  const server = await offline({}, { name: "held", endpoints: [endpoint] });
  const busy = await server.connect(endpoint);
  const idle = await server.connect(endpoint);
  busy.conn.receive("one");
  busy.conn.receive("two");
  const stopping = server.server.stop();
  await until("the idle client to be closed", () => idle.transport.closed !== undefined);
  assert.equal(busy.conn.open, true);
  busy.conn.receive("three");
  release();
  await stopping;
  assert.deepEqual(busy.transport.frames, ["done one", "done two"]);
  assert.deepEqual(busy.transport.closed, { code: 3001, reason: "shutdown" });
});

Deno.test("all clients are closed at the deadline, even with pending messages", async () => {
  const clock = new FakeClock();
  const { endpoint } = held();
  const server = await offline({ clock, drainMs: 5_000 }, { name: "held", endpoints: [endpoint] });
  const { conn, transport } = await server.connect(endpoint);
  conn.receive("never done");
  const stopping = server.server.stop();
  await turn();
  clock.advance(4_999);
  await turn();
  assert.equal(conn.open, true);
  clock.advance(1);
  await stopping;
  assert.equal(transport.closed?.code, 3001);
});

Deno.test("a stop takes its time, although the clock is set meanwhile", async () => {
  for (const ms of [-3_600_000, 3_600_000]) {
    const clock = new FakeClock();
    const { endpoint } = held();
    const server = await offline({ clock, drainMs: 5_000 }, { name: "held", endpoints: [endpoint] });
    const { conn } = await server.connect(endpoint);
    conn.receive("never done");
    const stopping = server.server.stop();
    await turn();
    clock.set(ms);
    clock.advance(4_999);
    await turn();
    assert.equal(conn.open, true);
    clock.advance(1);
    await stopping;
  }
});

Deno.test("many clients are closed one after the other, over most of the drain time", async () => {
  const clock = new FakeClock();
  const server = await offline({ clock, drainMs: 1_000, maxConnectionsPerIp: 5_000 }, echo());
  const all: Awaited<ReturnType<typeof server.connect>>[] = [];
  for (let i = 0; i < 2_000; i++) all.push(await server.connect(plain));
  const closed = () => all.filter(({ transport }) => transport.closed !== undefined).length;
  const stopping = server.server.stop();
  const after: number[] = [];
  for (let ms = 0; ms < 800; ms += 100) {
    for (let step = 0; step < 5; step++) {
      clock.advance(20);
      await turn();
    }
    after.push(closed());
  }
  await stopping;
  assert.ok(after[0]! < 400 && after[3]! > 800 && after[3]! < 1_300, `${after}`);
  assert.equal(after.at(-1), 2_000);
});

Deno.test("drain hooks run concurrently while the clients are connected, and are awaited", async () => {
  const calls: string[] = [];
  const drained = Promise.withResolvers<void>();
  let host: { connections: ReadonlySet<Connection> };
  const server = await offline(
    {},
    {
      name: "one",
      start: (given) => void (host = given),
      async drain() {
        calls.push(`one drains with ${host.connections.size}`);
        for (const conn of host.connections) conn.send("goodbye");
        await drained.promise;
        calls.push("one is done");
      },
      stop: () => void calls.push("stop"),
    },
    { name: "other", drain: () => void calls.push("other drains") },
    echo(),
  );
  const { transport } = await server.connect(plain);
  const stopping = server.server.stop();
  await until("the close", () => transport.closed !== undefined);
  assert.deepEqual(transport.frames, ["goodbye"]);
  drained.resolve();
  await stopping;
  assert.deepEqual(calls, ["one drains with 1", "other drains", "one is done", "stop"]);
});

Deno.test("pending requests can finish, and are aborted at the deadline", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const asked = { slow: Promise.withResolvers<void>(), stuck: Promise.withResolvers<void>() };
  const routes: AnyPlugin = {
    name: "routes",
    routes(app) {
      app.get("/slow", async (c) => {
        asked.slow.resolve();
        await promise;
        return c.text("done");
      });
      app.get("/stuck", () => {
        asked.stuck.resolve();
        return new Promise<Response>(() => {});
      });
    },
  };
  {
    await using server = await serve({ drainMs: 20_000 }, routes);
    const response = server.fetch("/slow");
    await asked.slow.promise;
    const stopping = server.server.stop();
    resolve();
    assert.equal(await (await response).text(), "done");
    await stopping;
  }
  await using server = await serve({ drainMs: 50 }, routes);
  const response = server.fetch("/stuck").then(() => "answered", () => "aborted");
  await asked.stuck.promise;
  await within("the stop", server.server.stop());
  assert.equal(await within("the end of the request", response), "aborted");
});
