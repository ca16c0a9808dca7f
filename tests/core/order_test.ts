import assert from "node:assert/strict";
import fc from "fast-check";
import type { Endpoint, Session } from "../../core/mod.ts";
import { offline, serve, turn, until } from "../kit/mod.ts";

/** An endpoint whose messages are handled by `message`. */
function handledBy(message: Session["message"]): Endpoint {
  return { name: "test", path: "/test", open: () => ({ message }) };
}

Deno.test("messages are handled one at a time and in order, whatever time each takes", async () => {
  // A handler is synchronous, or takes some turns of the event loop.
  const handlers = fc.array(fc.oneof(fc.constant("sync" as const), fc.integer({ min: 0, max: 3 })), {
    minLength: 1,
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(handlers, fc.array(fc.boolean()), async (durations, pauses) => {
      const log: string[] = [];
      const endpoint = handledBy((data) => {
        const duration = durations[Number(data)]!;
        log.push(`begin ${data}`);
        if (duration === "sync") return void log.push(`end ${data}`);
        return (async () => {
          for (let i = 0; i < duration; i++) await turn();
          log.push(`end ${data}`);
        })();
      });
      await using server = await offline({}, { name: "test", endpoints: [endpoint] });
      const { conn } = await server.connect(endpoint);
      for (const i of durations.keys()) {
        conn.receive(String(i));
        if (pauses[i]) await turn();
      }
      await until("the last end", () => log.length === 2 * durations.length);
      assert.deepEqual(log, durations.flatMap((_, i) => [`begin ${i}`, `end ${i}`]));
    }),
    { numRuns: 100 },
  );
});

Deno.test("a slow handler delays only its own connection", async () => {
  const blocked = Promise.withResolvers<void>();
  const handled: string[] = [];
  const endpoint = handledBy((data) => {
    if (data === "wait") return blocked.promise;
    handled.push(data);
  });
  await using server = await offline({}, { name: "test", endpoints: [endpoint] });
  const [slow, other] = [await server.connect(endpoint), await server.connect(endpoint)];
  slow.conn.receive("wait");
  slow.conn.receive("behind it");
  other.conn.receive("of another");
  assert.deepEqual(handled, ["of another"]);
  blocked.resolve();
  await until("the message behind it", () => handled.length === 2);
});

for (
  const [bound, options, message, fits] of [
    ["number", { maxWaitingMessages: 10 }, "x", 10],
    ["bytes", { maxWaitingBytes: 1_000 }, "x".repeat(100), 10],
  ] as const
) {
  Deno.test(`messages that wait for a handler are bounded by ${bound}`, async () => {
    const blocked = Promise.withResolvers<void>();
    let handled = 0;
    const endpoint = handledBy(() => {
      handled++;
      return blocked.promise;
    });
    await using server = await offline(options, { name: "test", endpoints: [endpoint] });
    const { conn, transport } = await server.connect(endpoint);
    for (let i = 0; i < 1 + fits; i++) conn.receive(message);
    assert.equal(conn.open, true);
    conn.receive(message);
    assert.equal(transport.closed?.code, 3013);
    blocked.resolve();
    await turn();
    assert.equal(handled, 1, "waiting messages are dropped");
  });
}

Deno.test("the bound counts waiting messages, not handled ones", async () => {
  let handled = 0;
  const endpoint: Endpoint = {
    name: "test",
    path: "/test",
    open: () => ({
      async message() {
        await turn();
        // Something always waits.
        if (++handled < 50) conn.receive("x");
      },
    }),
  };
  const options = { maxWaitingMessages: 3, maxWaitingBytes: 3 };
  await using server = await offline(options, { name: "test", endpoints: [endpoint] });
  const { conn } = await server.connect(endpoint);
  for (let i = 0; i < 3; i++) conn.receive("x");
  await until("all", () => handled === 52);
  assert.equal(conn.open, true);
});

Deno.test("a rejection closes the connection, and drops the waiting messages", async () => {
  const handled: string[] = [];
  const endpoint = handledBy((data) => {
    handled.push(data);
    return data === "bad" ? Promise.reject(new Error("boom")) : Promise.resolve();
  });
  await using server = await offline({}, { name: "test", endpoints: [endpoint] });
  const { conn, transport } = await server.connect(endpoint);
  for (const data of ["good", "bad", "late"]) conn.receive(data);
  await until("the close", () => transport.closed !== undefined);
  assert.deepEqual([transport.closed?.code, handled], [3004, ["good", "bad"]]);
  assert.equal((await server.log.next()).fields.hook, "message");
});

Deno.test("message hooks run before the handler, and drop a message with true", async () => {
  const seen: unknown[] = [];
  const order: string[] = [];
  const endpoint = handledBy((data) => void order.push(data));
  const filter = {
    name: "filter",
    message: (_: unknown, data: unknown) => data === "bad" ? true as const : undefined,
  };
  const witness = { name: "witness", message: (_: unknown, data: unknown) => void seen.push(data) };
  await using server = await offline({}, filter, witness, { name: "test", endpoints: [endpoint] });
  const { conn } = await server.connect(endpoint);
  for (const data of ["good", "bad", "fine"]) conn.receive(data);
  assert.deepEqual([order, seen], [["good", "fine"], ["good", "fine"]]);
  assert.equal(conn.open, true);
});

Deno.test("thousands of small messages over a socket arrive in order", async () => {
  const received: number[] = [];
  const endpoint = handledBy(async (data) => {
    if (received.length % 100 === 0) await turn();
    received.push(Number(data));
  });
  const count = 5_000;
  await using server = await serve({ maxWaitingMessages: count }, { name: "test", endpoints: [endpoint] });
  await using client = await server.connect("/test");
  for (let i = 0; i < count; i++) client.send(String(i));
  await until("all messages", () => received.length === count);
  assert.deepEqual(received, Array.from({ length: count }, (_, i) => i));
});
