import assert from "node:assert/strict";
import type { AnyPlugin, Connection, Endpoint, ServerState } from "../../core/mod.ts";
import { Server } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { Child, FakeClock, offline, RawClient, serve, turn, until, within } from "../kit/mod.ts";

const plain = echo().endpoints![0]!;

/** An endpoint whose messages are handled when they are told to. */
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

Deno.test("plugins start in order and stop in reverse, after the last client has gone", async () => {
  const calls: string[] = [];
  const plugin = (name: string): AnyPlugin => ({
    name,
    start: () => void calls.push(`start ${name}`),
    stop: () => void calls.push(`stop ${name}`),
    close: () => void calls.push(`close ${name}`),
  });
  const server = await offline({}, plugin("a"), plugin("b"), echo());
  await server.connect(plain);
  await server.server.stop();
  assert.deepEqual(calls, ["start a", "start b", "close a", "close b", "stop b", "stop a"]);
});

Deno.test("the state tells where the server is in its life", async () => {
  const states: ServerState[] = [];
  const server = new Server({ port: 0 });
  const note = () => void states.push(server.state);
  note();
  server.use({ name: "note", start: note, drain: note, stop: note });
  await server.start();
  note();
  await server.stop();
  note();
  assert.deepEqual(states, ["idle", "starting", "ready", "draining", "draining", "stopped"]);
});

Deno.test("a server takes no plugin after the start, and starts and stops only once", async () => {
  const server = new Server({ port: 0 });
  assert.throws(() => server.address, { code: "not_listening" });
  await server.start();
  assert.equal(server.address.url, `http://127.0.0.1:${server.address.port}`);
  assert.throws(() => server.use(echo()), { code: "started", message: /^Cannot use echo: / });
  await assert.rejects(server.start(), { code: "started" });
  const stopping = server.stop();
  assert.equal(server.stop(), stopping);
  await stopping;
  await server.stop();
  assert.throws(() => server.use(echo()), { code: "started" });
  await assert.rejects(server.start(), { code: "started" });
  assert.throws(() => server.address, { code: "not_listening" });
});

Deno.test("a server that never started can be stopped, and then not be started", async () => {
  const server = new Server({ port: 0 });
  await server.stop();
  assert.equal(server.state, "stopped");
  await assert.rejects(server.start(), { code: "started" });
});

Deno.test("a stop during the start ends the start, and stops what had started", async () => {
  const calls: string[] = [];
  const opening = Promise.withResolvers<void>();
  const server = new Server({ port: 0 });
  server.use({
    name: "slow",
    async start() {
      calls.push("start slow");
      await opening.promise;
    },
    stop: () => void calls.push("stop slow"),
  });
  server.use({
    name: "later",
    start: () => void calls.push("start later"),
    drain: () => void calls.push("drain"),
  });
  const starting = server.start();
  const stopping = server.stop();
  opening.resolve();
  await assert.rejects(starting, { code: "stopped" });
  await stopping;
  assert.deepEqual([calls, server.state], [["start slow", "stop slow"], "stopped"]);
});

Deno.test("a start that hangs is left at the deadline", async () => {
  const clock = new FakeClock();
  let stopped = 0;
  const server = new Server({ port: 0, drainMs: 5_000, clock });
  server.use({ name: "stuck", start: () => new Promise(() => {}), stop: () => void stopped++ });
  void server.start().catch(() => {});
  const stopping = server.stop();
  await turn();
  assert.equal(stopped, 0);
  clock.advance(5_000);
  await stopping;
  assert.equal(stopped, 1);
});

Deno.test("a plugin that takes for ever to stop is passed over", async () => {
  const clock = new FakeClock();
  const calls: string[] = [];
  const other = { name: "other", stop: () => void calls.push("stop other") };
  const stuck = { name: "stuck", stop: () => new Promise<void>(() => {}) };
  await using server = await offline({ clock }, other, stuck);
  const stopping = server.server.stop();
  await until("the stuck one to be passed over", () => {
    clock.advance(1_000);
    return calls.length === 1;
  });
  await stopping;
  const { plugin, fields } = await server.log.next();
  assert.deepEqual([plugin, fields.hook], ["stuck", "stop"]);
});

Deno.test("while it starts and while it drains, a server lets nobody in", async () => {
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

Deno.test("a client whose upgrade was being considered when the drain began is turned away", async () => {
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

Deno.test("clients are told to come back when what they asked for is done; what they say after is not heard", async () => {
  const { endpoint, release } = held();
  const server = await offline({}, { name: "held", endpoints: [endpoint] });
  const busy = await server.connect(endpoint);
  const idle = await server.connect(endpoint);
  busy.conn.receive("one");
  busy.conn.receive("two");
  const stopping = server.server.stop();
  await until("the idle one to be closed", () => idle.transport.closed !== undefined);
  assert.equal(busy.conn.open, true);
  busy.conn.receive("three");
  release();
  await stopping;
  assert.deepEqual(busy.transport.frames, ["done one", "done two"]);
  assert.deepEqual(busy.transport.closed, { code: 3001, reason: "shutdown" });
});

Deno.test("at the deadline everybody is closed, whatever they wait for", async () => {
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

Deno.test("many clients are told one after the other, over the better part of the time", async () => {
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

Deno.test("drain hooks run while the clients are there, all at once, and are awaited", async () => {
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

Deno.test("requests under way may finish; those that do not are cut off at the deadline", async () => {
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
  const response = server.fetch("/stuck").then(() => "answered", () => "cut off");
  await asked.stuck.promise;
  await within("the stop", server.server.stop());
  assert.equal(await within("the end of the request", response), "cut off");
});

Deno.test("stopping leaves no timer and no connection, also when clients do not say goodbye", async () => {
  const server = await serve({ drainMs: 300 }, echo());
  const raws = await Promise.all(Array.from({ length: 5 }, () => server.raw("/echo")));
  await until("all", () => server.server.connections.size === 5);
  await server.server.stop();
  assert.equal(server.server.connections.size, 0);
  for (const raw of raws) raw[Symbol.dispose]();
});

Deno.test("stop may be called by a plugin: in a hook, in a handler, while it drains", async () => {
  const stop = () => void test.server.stop();
  const endpoint: Endpoint = {
    name: "bomb",
    path: "/bomb",
    open: () => ({ message: stop }),
  };
  await using test = await serve({}, {
    name: "bomb",
    endpoints: [endpoint],
    drain: stop,
    close: stop,
  });
  await using client = await test.connect("/bomb");
  client.send("stop");
  assert.equal((await within("the close", client.closed)).code, 3001);
  await within("the stop", test.server.stop());
});

Deno.test("a handler that awaits the stop of the server does not keep it from stopping for ever", async () => {
  const endpoint: Endpoint = {
    name: "knot",
    path: "/knot",
    open: () => ({ message: () => test.server.stop() }),
  };
  await using test = await serve({ drainMs: 100 }, { name: "knot", endpoints: [endpoint] });
  await using client = await test.connect("/knot");
  client.send("stop");
  assert.equal((await within("the close", client.closed)).code, 3001);
  await within("the stop", test.server.stop());
});

Deno.test("nothing that is left behind keeps the process alive", async () => {
  await using child = new Child(new URL("children/ending.ts", import.meta.url));
  assert.deepEqual(await child.end(), { code: 0, stderr: "" });
  assert.deepEqual(child.lines.take(), ["stopped"]);
});
