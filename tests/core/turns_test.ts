import assert from "node:assert/strict";
import type { Plugin } from "../../core/mod.ts";
import { type Client, FakeTransport, serve, until } from "../kit/mod.ts";
import { Turns } from "../../core/connections/turns.ts";

/** `/big`: every message is answered with as many characters as it says, at once or by a promise. */
function answers(): Plugin<{ readonly handled: number }> {
  let handled = 0;
  return {
    name: "answers",
    api: {
      get handled() {
        return handled;
      },
    },
    endpoints: [{
      name: "answers",
      path: ["/big", "/big/later"],
      open: (conn, { url }) => ({
        message(data) {
          handled++;
          const answer = () => void conn.send("x".repeat(Number(data)));
          return url.endsWith("later") ? Promise.resolve().then(answer) : answer();
        },
      }),
    }],
  };
}

async function received(client: Client, count: number): Promise<void> {
  while (count-- > 0) await client.next();
}

for (const path of ["/big", "/big/later"]) {
  Deno.test(`others are served between large answers to one client (${path})`, async () => {
    const plugin = answers();
    await using server = await serve({}, plugin);
    await using greedy = await server.connect(path);
    await using other = await server.connect(path);
    for (let i = 0; i < 200; i++) greedy.send("200000");
    await greedy.next();
    other.send("1");
    await other.next();
    assert.ok(
      plugin.api!.handled < 100,
      `${plugin.api!.handled} requests were handled before another client's`,
    );
    await received(greedy, 199);
  });
}

Deno.test("requests of a client that does not read its answers wait", async () => {
  const plugin = answers();
  await using server = await serve({}, plugin);
  using greedy = await server.raw("/big");
  for (let i = 0; i < 300; i++) await greedy.frame(1, "200000");
  await using other = await server.connect("/big");
  for (let i = 0; i < 20; i++) {
    other.send("1");
    await other.next();
  }
  const { handled } = plugin.api!;
  assert.ok(handled < 100, `${handled} requests were handled, as far as the sockets take their answers`);
  other.send("1");
  await other.next();
});

Deno.test("ten thousand small requests at once are all answered", async () => {
  await using server = await serve({}, answers());
  await using client = await server.connect("/big");
  for (let i = 0; i < 10_000; i++) client.send("50");
  await received(client, 10_000);
});

Deno.test("a wait ends with the connection, and a slow reader does not delay the others", async () => {
  const turns = new Turns();
  const [slow, ready] = [new FakeTransport(), new FakeTransport()].map((transport) => ({
    open: true,
    transport,
    get queuedBytes() {
      return transport.buffered;
    },
  }));
  slow!.transport.buffered = 1_000_000;
  let ended = false;
  const waiting = turns.wait(slow!).then(() => ended = true);
  await turns.wait(ready!);
  assert.equal(ended, false);
  turns.end(slow!);
  await waiting;
});

Deno.test("a turn of the event loop becomes overdue, and the next one begins anew", async () => {
  const turns = new Turns();
  assert.equal(turns.overdue, false);
  const end = performance.now() + 15;
  while (performance.now() < end);
  assert.equal(turns.overdue, true);
  await until("the next turn of the event loop", () => !turns.overdue);
});
