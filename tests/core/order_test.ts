import assert from "node:assert/strict";
import fc from "fast-check";
import type { Endpoint, Session } from "../../core/mod.ts";
import { FakeClock, offline, serve, turn, until } from "../kit/mod.ts";

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

Deno.test("messages that wait for a handler are bounded by bytes, and those that arrived are answered first", async () => {
  const blocked = Promise.withResolvers<void>();
  const endpoint: Endpoint = {
    name: "test",
    path: "/test",
    open: (conn) => ({ message: (data) => blocked.promise.then(() => void conn.send(data)) }),
  };
  // A message counts 64 bytes more than its length.
  await using server = await offline({ maxWaitingBytes: 1_640 }, { name: "test", endpoints: [endpoint] });
  const { conn, transport } = await server.connect(endpoint);
  const messages = Array.from({ length: 11 }, (_, i) => `${i}`.padEnd(100));
  // One is being handled, ten wait.
  for (const message of messages) conn.receive(message);
  assert.equal(conn.open, true);
  for (const late of ["too", "much"]) conn.receive(late);
  await turn();
  assert.equal(conn.open, true);
  blocked.resolve();
  await until("the close", () => transport.closed !== undefined);
  assert.deepEqual([transport.closed?.code, transport.frames], [3013, messages]);
});

Deno.test("a connection with too many messages is closed although its handler hangs", async () => {
  const clock = new FakeClock();
  const endpoint = handledBy(() => new Promise(() => {}));
  const options = { clock, maxWaitingBytes: 1_000, pingIntervalMs: 25_000 };
  await using server = await offline(options, { name: "test", endpoints: [endpoint] });
  const { conn, transport } = await server.connect(endpoint);
  for (let i = 0; i < 20; i++) conn.receive("x");
  for (let i = 0; i < 200 && conn.open; i++) {
    clock.advance(500);
    conn.heard();
    await turn();
  }
  assert.equal(transport.closed?.code, 3013);
});

Deno.test("a connection that leaves waits for answers that come after their messages were handled", async () => {
  const work = Promise.withResolvers<void>();
  const endpoint: Endpoint = {
    name: "test",
    path: "/test",
    open: (conn) => ({
      message: (data) => void work.promise.then(() => conn.send(`done ${data}`)),
      answered: () => work.promise,
    }),
  };
  const server = await offline({}, { name: "test", endpoints: [endpoint] });
  const { conn, transport } = await server.connect(endpoint);
  conn.receive("one");
  const stopping = server.server.stop();
  await turn();
  assert.equal(conn.open, true);
  work.resolve();
  await stopping;
  assert.deepEqual(transport.frames, ["done one"]);
});

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
  await using server = await offline({ maxWaitingBytes: 3 * 65 }, { name: "test", endpoints: [endpoint] });
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
  const count = 20_000;
  await using server = await serve({}, { name: "test", endpoints: [endpoint] });
  await using client = await server.connect("/test");
  for (let i = 0; i < count; i++) client.send(String(i));
  await until("all messages", () => received.length === count);
  assert.deepEqual(received, Array.from({ length: count }, (_, i) => i));
});
