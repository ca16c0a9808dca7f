import assert from "node:assert/strict";
import fc from "fast-check";
import { channels } from "../../../plugins/channels.ts";
import { liveQueries } from "../../../plugins/live_queries.ts";
import { messageChecks } from "../../../plugins/message_checks.ts";
import { sqlEvents } from "../../../plugins/sql_events.ts";
import { type Client, within } from "../../kit/mod.ts";
import { ask, serveJson } from "./kit.ts";

/** All types except `refresh`, which may end the connection. */
const types = fc.constantFrom(
  ...["subscribe", "unsubscribe", "publish", "presence", "history", "query:subscribe", "query:unsubscribe"],
  ...["rpc", "user:cursor", "query:complete", "table:dropped", "user:joined", "connection:ack"],
  ...["message", "error", "heartbeat", "subscribed", "toString", "__proto__", ""],
);
const names = fc.constantFrom(
  "own",
  "own:1",
  "live:",
  "live:q?a=1",
  "$own",
  "own#ann",
  "../own",
  "\u0000",
  "own?",
);
const anything = fc.jsonValue({ maxDepth: 3 });
const fields = fc.record(
  {
    since: fc.oneof(fc.integer(), anything, fc.record({ offset: anything, epoch: anything })),
    limit: fc.oneof(fc.integer(), anything),
    reverse: anything,
    joinLeave: anything,
    query: fc.oneof(fc.string(), anything),
    params: fc.oneof(anything, fc.constant({ a: { toString: 1 } })),
    method: fc.oneof(fc.string(), anything),
    token: fc.oneof(fc.string(), anything),
  },
  { requiredKeys: [] },
);
const messages = fc.oneof(
  fc.record(
    {
      type: fc.oneof({ weight: 5, arbitrary: types }, anything),
      channel: fc.oneof({ weight: 5, arbitrary: names }, anything),
      data: fc.oneof(fields, anything),
      id: fc.oneof(fc.string(), anything),
      timestamp: anything,
      tags: fc.constant({ type: "query:complete" }),
    },
    { requiredKeys: [] },
  ).map((message) => JSON.stringify(message)),
  anything.map((value) => JSON.stringify(value)),
  fc.string(),
  fc.uint8Array({ maxLength: 20 }),
);

/** The messages up to the next pong. */
// deno-lint-ignore no-explicit-any -- tests look into what they expect
async function answers(client: Client): Promise<any[]> {
  client.sendJson({ type: "ping", id: "the test's own" });
  for (const all = [];;) {
    const message = await client.nextJson();
    if (message.type === "pong" && message.id === "the test's own") return all;
    all.push(message);
  }
}

Deno.test("Q09 whatever a client sends, only this client gets replies, and it stays connected", async () => {
  const bus = channels();
  const plugins = [
    bus,
    liveQueries({ channels: bus.api }),
    messageChecks({ channels: bus.api }),
    sqlEvents({ channels: bus.api }),
  ];
  await using server = await serveJson({ channels: bus.api, cursorMs: 1 }, {}, ...plugins);
  const { client: victim } = await server.join("victim");
  for (const channel of ["queries", "tables", "notifications", "collaboration"]) {
    await ask(victim, { type: "subscribe", channel });
  }
  await victim.nextJson(); // its own join
  const { client } = await server.join("mallory");
  await fc.assert(
    fc.asyncProperty(fc.array(messages, { size: "max", maxLength: 50 }), async (burst) => {
      for (const message of burst) client.send(message as string | Uint8Array<ArrayBuffer>);
      for (const { type, data } of await within("the answers", answers(client))) {
        assert.notEqual(data?.code, "INTERNAL");
        assert.ok(!["query:complete", "table:dropped"].includes(type));
      }
      assert.equal(client.socket.readyState, WebSocket.OPEN);
    }),
    { numRuns: 200 },
  );
  await bus.api.publish("queries", "end");
  assert.equal((await victim.nextJson()).data, "end", "nothing arrived before");
  assert.equal(server.log.size, 0, "nothing failed in the server");
  for (const each of [client, victim]) await each.close();
});

Deno.test("parameters of queries that have no text are refused", async () => {
  const bus = channels();
  await using server = await serveJson({ channels: bus.api }, {}, bus, liveQueries({ channels: bus.api }));
  const { client } = await server.join();
  for (const params of [{ a: { toString: null } }, { a: {} }, { a: [1] }]) {
    for (const type of ["query:subscribe", "query:unsubscribe"]) {
      const { data } = await ask(client, { type, data: { query: "q", params } });
      assert.deepEqual([data.code, data.message], [
        "INVALID_MESSAGE",
        '"data.params" must hold texts, numbers and booleans',
      ]);
    }
  }
  const { data } = await ask(client, {
    type: "query:subscribe",
    data: { query: "q", params: { a: null, b: 1 } },
  });
  assert.equal(data.code, "UNKNOWN_CHANNEL", "there is no such query");
  assert.equal(server.log.size, 0);
  await client.close();
});
