/** One client that sends or reads badly costs itself, and nobody else. */

import assert from "node:assert/strict";
import { Audience, type Closed, type Connection, type Plugin } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { workers } from "../../../plugins/workers.ts";
import { type Client, DEADLINE_MS, serve, until, within } from "../../kit/mod.ts";
import { CapturedWorkers, connectionsOf } from "../../kit/workers.ts";

/** All clients at `/feed` are in its audience. */
function feed(): Plugin<Audience> & { readonly closed: Map<Connection, Closed> } {
  const readers = new Audience();
  const closed = new Map<Connection, Closed>();
  return {
    name: "feed",
    api: readers,
    closed,
    close: (conn, why) => void closed.set(conn, why),
    endpoints: [{
      name: "feed",
      path: "/feed",
      open(conn) {
        readers.add(conn);
        return { message() {}, close: () => void readers.delete(conn) };
      },
    }],
  };
}

/** Sends what arrives at `/publish` to the readers, and counts it. */
function publisherTo(readers: Audience): Plugin<{ readonly published: number }> {
  const api = { published: 0 };
  return {
    name: "publisher",
    api,
    endpoints: [{
      name: "publisher",
      path: "/publish",
      open: () => ({
        message(text) {
          api.published++;
          readers.send(text);
        },
      }),
    }],
  };
}

Deno.test("a slow reader holds 1 MiB in its worker, is closed with 3008, and the others get everything in order", async () => {
  const plugin = feed();
  const cores = workers({ count: 2 });
  await using server = await serve({}, cores, plugin);
  using slow = await server.raw("/feed");
  await until("the slow reader", () => plugin.api.size === 1);
  const [stuck] = plugin.api;
  const readers = await Promise.all(Array.from({ length: 6 }, () => server.connect("/feed")));
  await until("all", () => plugin.api.size === 7);
  const text = "x".repeat(60_000);
  let [sent, most] = [0, 0];
  for (; plugin.closed.size === 0; sent++) {
    assert.ok(sent < 5_000, "it is still connected");
    plugin.api.send(`${sent} ${text}`);
    for (const reader of readers) assert.equal((await reader.nextText()).split(" ")[0], String(sent));
    most = Math.max(most, stuck!.queuedBytes);
  }
  assert.ok(most > 500_000 && most < 2_000_000, `${most} bytes were queued`);
  assert.deepEqual(plugin.closed.get(stuck!), { code: 3008, reason: "slow", by: "server" });
  assert.equal(await within("the close code", slow.closeCode()), 3008);
  for (const reader of readers) await reader.close();
});

Deno.test("a flood from one client is cut off at its limit, and the others are answered meanwhile", async () => {
  // A handler that takes longer than the flood.
  let handled = 0;
  const slow: Plugin = {
    name: "slow",
    endpoints: [{
      name: "slow",
      path: "/slow",
      open: () => ({
        message() {
          handled++;
          for (const end = performance.now() + 1; performance.now() < end;);
        },
      }),
    }],
  };
  const cores = workers({ count: 1 });
  await using server = await serve({ maxWaitingBytes: 500_000 }, cores, slow, echo());
  await using other = await server.connect("/echo");
  using flooder = await server.raw("/slow");
  let code: number | undefined;
  void flooder.closeCode().then((received) => code = received, () => code = 0);
  let flooding = true;
  // Until it is cut off, however fast the machine is.
  const flood = (async () => {
    for (const end = performance.now() + DEADLINE_MS; code === undefined && performance.now() < end;) {
      await flooder.frame(1, "x".repeat(1_000));
    }
  })().catch(() => {}).finally(() => flooding = false);
  let most = 0;
  while (flooding) {
    const before = handled;
    other.send("hello");
    await other.next();
    most = Math.max(most, handled - before);
  }
  await flood;
  await until("the close", () => code !== undefined);
  assert.equal(code, 3013);
  assert.ok(most < 200, `the other client waited for ${most} messages`);
});

Deno.test("what waits of all clients together is bounded, too", async () => {
  const busy: Plugin = {
    name: "busy",
    endpoints: [{
      name: "busy",
      path: "/busy",
      open: () => ({
        message() {
          for (const end = performance.now() + 1; performance.now() < end;);
        },
      }),
    }],
  };
  const cores = workers({ count: 1, maxWaitingBytes: 300_000 });
  await using server = await serve({}, cores, busy);
  const flooders = await Promise.all(Array.from({ length: 8 }, () => server.connect("/busy")));
  const codes: number[] = [];
  for (const { closed } of flooders) void closed.then(({ code }) => codes.push(code));
  await until("a close", () => {
    for (const { socket } of flooders) {
      for (let i = 0; i < 10 && socket.bufferedAmount < 100_000; i++) socket.send("x".repeat(1_000));
    }
    return codes.length > 0;
  });
  assert.equal(codes[0], 3013);
  await until("the others", () => cores.api.workers[0]!.waitingBytes === 0);
  for (const flooder of flooders) await flooder.close();
});

Deno.test("while workers fall behind, publishers wait, and nothing is lost or reordered", async () => {
  using captured = new CapturedWorkers();
  const cores = workers({ count: 2 });
  const plugin = feed();
  const publisher = publisherTo(plugin.api);
  await using server = await serve(
    { maxWaitingBytes: 100_000_000, maxQueuedBytes: 100_000_000 },
    cores,
    plugin,
    publisher,
  );
  const readers = await Promise.all(Array.from({ length: 8 }, () => server.connect("/feed")));
  const sender = await server.connect("/publish");
  await until("the readers", () => plugin.api.size === 8);
  const total = 3_000;
  for (const worker of captured.all) CapturedWorkers.occupy(worker, 500);
  for (let i = 0; i < total; i++) sender.send(`${i} ${"x".repeat(1_000)}`);
  const received = await Promise.all(readers.map(async (reader) => {
    const numbers: number[] = [];
    while (numbers.length < total) numbers.push(Number((await reader.nextText(30_000)).split(" ")[0]));
    return numbers;
  }));
  for (const numbers of received) assert.deepEqual(numbers, Array.from({ length: total }, (_, i) => i));
  assert.equal(publisher.api.published, total);
  assert.equal(connectionsOf(cores.api.workers).reduce((a, b) => a + b), 9);
  for (const each of [...readers, sender]) await each.close();
});

Deno.test("a publisher waits for a worker that is late, although its own worker is not", async () => {
  using captured = new CapturedWorkers();
  const cores = workers({ count: 2 });
  const plugin = feed();
  const publisher = publisherTo(plugin.api);
  await using server = await serve({ maxWaitingBytes: 100_000_000 }, cores, plugin, publisher);
  const sender = await server.connect("/publish");
  const own = connectionsOf(cores.api.workers).indexOf(1);
  const readers: Client[] = [];
  while (connectionsOf(cores.api.workers)[1 - own] === 0) readers.push(await server.connect("/feed"));
  await until("the readers", () => plugin.api.size === readers.length);
  const total = 10_000;
  const late = () => cores.api.workers[1 - own]!.lagMs;
  using hold = CapturedWorkers.hold(captured.all[1 - own]!);
  for (let i = 0; i < total; i++) sender.send(`${i} ${"x".repeat(200)}`);
  await until("a late worker", () => late() > 200);
  const before = publisher.api.published;
  await until("the same later", () => late() > 600);
  // What the publisher's worker had credit for may still have been handled.
  const meanwhile = publisher.api.published - before;
  assert.ok(meanwhile < 150, `${meanwhile} messages were handled meanwhile`);
  hold.release();
  await until("all", () => publisher.api.published === total);
  for (const each of [...readers, sender]) await each.close();
});

Deno.test("hostile frames end only their connection, and leave the worker alive", async () => {
  using captured = new CapturedWorkers();
  await using server = await serve({}, workers({ count: 1 }), echo());
  await using other = await server.connect("/echo");
  const hostile: ((raw: Awaited<ReturnType<typeof server.raw>>) => Promise<void>)[] = [
    (raw) => raw.frame(3, "an opcode that does not exist"),
    (raw) => raw.frame(0, "a continuation without a start"),
    (raw) => raw.frame(1, Uint8Array.of(0xff, 0xfe)),
    (raw) => raw.frame(9, "x".repeat(126)),
    (raw) => raw.frame(8, Uint8Array.of(3)),
    (raw) => raw.frame(1, "x".repeat(70_000)),
    (raw) => raw.write(new Uint8Array(100).fill(255)),
    (raw) => Promise.resolve(raw.tcp.close()),
  ];
  for (const attack of hostile) {
    const raw = await server.raw("/echo");
    await attack(raw);
    await until("its end", () => server.server.connections.size === 1);
    raw[Symbol.dispose]();
    other.send("still here");
    assert.equal(await other.next(), "still here");
  }
  assert.equal(captured.all.length, 1);
  assert.equal(server.log.size, 0);
});
