import assert from "node:assert/strict";
import type { AnyPlugin, Endpoint, ServerState } from "../../core/mod.ts";
import { Server } from "../../core/mod.ts";
import { echo } from "../../plugins/protocols/echo.ts";
import { Child, FakeClock, offline, serve, turn, until, within } from "../kit/mod.ts";

const plain = echo().endpoints![0]!;

Deno.test("plugins start in order, and stop in reverse after the last client has left", async () => {
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

Deno.test("the state follows the server's lifecycle", async () => {
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

Deno.test("a server accepts no plugin after its start, and starts and stops only once", async () => {
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

Deno.test("a server that was stopped before its start cannot be started", async () => {
  const server = new Server({ port: 0 });
  await server.stop();
  assert.equal(server.state, "stopped");
  await assert.rejects(server.start(), { code: "started" });
});

Deno.test("a stop during the start aborts it, and stops the started plugins", async () => {
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

Deno.test("stop gives up a start that hangs at the deadline", async () => {
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

Deno.test("stop gives up a plugin that does not stop", async () => {
  const clock = new FakeClock();
  const calls: string[] = [];
  const other = { name: "other", stop: () => void calls.push("stop other") };
  const stuck = { name: "stuck", stop: () => new Promise<void>(() => {}) };
  await using server = await offline({ clock }, other, stuck);
  const stopping = server.server.stop();
  await until("the other plugin to stop", () => {
    clock.advance(1_000);
    return calls.length === 1;
  });
  await stopping;
  const { plugin, fields } = await server.log.next();
  assert.deepEqual([plugin, fields.hook], ["stuck", "stop"]);
});

Deno.test("stop leaves no timer and no connection, even if clients do not answer the close", async () => {
  const server = await serve({ drainMs: 300 }, echo());
  const raws = await Promise.all(Array.from({ length: 5 }, () => server.raw("/echo")));
  await until("all", () => server.server.connections.size === 5);
  await server.server.stop();
  assert.equal(server.server.connections.size, 0);
  for (const raw of raws) raw[Symbol.dispose]();
});

Deno.test("a plugin can call stop in a hook, in a handler and in drain", async () => {
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

Deno.test("a handler that awaits the server's stop does not block it", async () => {
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

Deno.test("a stopped server does not keep the process alive", async () => {
  await using child = new Child(new URL("children/ending.ts", import.meta.url));
  assert.deepEqual(await child.end(), { code: 0, stderr: "" });
  assert.deepEqual(child.lines.take(), ["stopped"]);
});
