/** While a worker is late, what one connection can hold is bounded, and the worker lives on. */

import assert from "node:assert/strict";
import { closeCodes, type Closed, type Connection, type Plugin } from "../../../core/mod.ts";
import { workers } from "../../../plugins/workers.ts";
import { serve, until } from "../../kit/mod.ts";
import { turn } from "../../kit/wait.ts";
import { CapturedWorkers } from "../../kit/workers.ts";

/** Remembers its connections by name, and how they were closed. */
function desk(): Plugin & { readonly conns: Map<string, Connection>; readonly closed: Map<string, Closed> } {
  const conns = new Map<string, Connection>();
  const closed = new Map<string, Closed>();
  return {
    name: "desk",
    conns,
    closed,
    endpoints: [{
      name: "desk",
      path: "/:name",
      open(conn, { params: { name } }) {
        conns.set(name!, conn);
        return { message() {}, close: (why) => void closed.set(name!, why) };
      },
    }],
  };
}

Deno.test("a loop that sends to one connection while its worker is late costs that connection alone", async () => {
  using captured = new CapturedWorkers();
  const plugin = desk();
  await using server = await serve({}, plugin, workers({ count: 1 }));
  const victim = await server.connect("/victim");
  await using other = await server.connect("/other");
  await until("both", () => plugin.conns.size === 2);
  const conn = plugin.conns.get("victim")!;
  let [sent, most] = [0, 0];
  {
    using _hold = CapturedWorkers.hold(captured.all[0]!);
    const text = "x".repeat(60_000);
    for (; conn.open && captured.all.length === 1 && sent < 5_000; sent++) {
      conn.send(text);
      most = Math.max(most, conn.queuedBytes);
      await turn();
    }
    assert.equal(captured.all.length, 1, "the worker was replaced");
    assert.ok(!conn.open, `it is still connected after ${sent} messages`);
    assert.ok(most < 1_300_000, `${most} bytes were held`);
    plugin.conns.get("other")!.send("meanwhile");
  }
  assert.deepEqual(plugin.closed.get("victim"), { ...closeCodes.slow, by: "server" });
  assert.equal((await victim.closed).code, 3008);
  assert.equal(await other.next(), "meanwhile");
  assert.equal(captured.all.length, 1);
});

Deno.test("one message may be longer than the limit while a worker is late, and others may follow", async () => {
  using captured = new CapturedWorkers();
  const plugin = desk();
  const cores = workers({ count: 1 });
  await using server = await serve({}, plugin, cores);
  await using reader = await server.connect("/reader");
  await until("the reader", () => plugin.conns.size === 1);
  const conn = plugin.conns.get("reader")!;
  const snapshot = "s".repeat(5_000_000);
  {
    using _hold = CapturedWorkers.hold(captured.all[0]!);
    conn.send(snapshot);
    // Until they were passed to the worker, although it is late.
    let next = 0;
    await until("a late worker", () => {
      if (next < 100) conn.send(`${next++} ${"x".repeat(1_000)}`);
      return next === 100 && cores.api.workers[0]!.lagMs > 250;
    });
    assert.ok(conn.open);
  }
  assert.equal(await reader.next(), snapshot);
  for (let i = 0; i < 100; i++) assert.equal((await reader.nextText()).split(" ")[0], String(i));
});

Deno.test("many clients that get much at once, each within its limit, keep their worker", async () => {
  using captured = new CapturedWorkers();
  const plugin = desk();
  const cores = workers({ count: 1 });
  await using server = await serve({}, plugin, cores);
  const readers = await Promise.all(Array.from({ length: 100 }, (_, i) => server.connect(`/${i}`)));
  await until("all", () => plugin.conns.size === readers.length);
  using hold = CapturedWorkers.hold(captured.all[0]!);
  for (const [name, conn] of plugin.conns) conn.send(`${name} ${"x".repeat(1_000_000)}`);
  await until("a late worker", () => cores.api.workers[0]!.lagMs > 250);
  hold.release();
  for (const [i, reader] of readers.entries()) {
    assert.equal((await reader.nextText()).split(" ")[0], String(i));
    await reader.close();
  }
  assert.equal(captured.all.length, 1);
});
