import assert from "node:assert/strict";
import fc from "fast-check";
import { channels } from "../../plugins/channels.ts";
import { messageChecks, type MessageChecksOptions, stripScript } from "../../plugins/message_checks.ts";
import { channelProtocol } from "../kit/channel_protocol.ts";
import { type Client, cpuMs, serve, slowdown, type TestServer } from "../kit/mod.ts";

function serveChecked(options: MessageChecksOptions): Promise<TestServer> {
  const bus = channels();
  return serve({}, bus, messageChecks({ channels: bus.api, ...options }), channelProtocol(bus.api));
}

async function publish(client: Client, channel: string, data: unknown): Promise<string> {
  client.sendJson({ do: "publish", channel, data });
  for (;;) {
    const answer = await client.nextJson();
    if ("published" in answer) return "published";
    if ("error" in answer) return answer.error;
  }
}

/** Makes nested arrays. */
function nested(depth: number): unknown {
  let value: unknown = "in the middle";
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

const CHAT = {
  type: "object",
  required: ["text"],
  additionalProperties: false,
  properties: { text: { type: "string", maxLength: 20 }, to: { type: "array", items: { type: "string" } } },
};

Deno.test("S11 publications are checked for size, depth and shape, and relayed unchanged", async () => {
  await using server = await serveChecked({ maxBytes: 1_000, maxDepth: 5, schemas: { chat: CHAT } });
  await using client = await server.connect("/t");
  client.sendJson({ do: "subscribe", channel: "chat:lobby" });
  await client.next();
  const table: [channel: string, data: unknown, answer: string][] = [
    ["any", "x".repeat(998), "published"],
    ["any", "x".repeat(999), "bad_request"],
    ["any", "é".repeat(499), "published"],
    ["any", "é".repeat(500), "bad_request"],
    ["any", nested(5), "published"],
    ["any", nested(6), "bad_request"],
    ["any", { deep: { a: [{ b: 1 }] } }, "published"],
    ["any", { text: "[[[[[[[[[[[[[[[[[[" }, "published"],
    ["any", { text: 'a quote: " and [[[[[[[[[[[[ and \\' }, "published"],
    ["chat:lobby", { text: "hello" }, "published"],
    ["$chat:lobby", { text: 1 }, "bad_request"],
    ["chat:lobby", { text: "x".repeat(21) }, "bad_request"],
    ["chat:lobby", { text: "hello", more: 1 }, "bad_request"],
    ["chat:lobby", "hello", "bad_request"],
    ["chat:lobby", { text: "hello", to: [1] }, "bad_request"],
    ["chatter:lobby", { text: 1 }, "published"],
    ["chat", { text: 1 }, "published"],
    ["../x", { text: 1 }, "bad_request"],
  ];
  for (const [channel, data, answer] of table) {
    assert.equal(
      await publish(client, channel, data),
      answer,
      `${channel} ${JSON.stringify(data).slice(0, 80)}`,
    );
  }
  const script = "<script>alert(1)</script>";
  assert.equal(await publish(client, "any", { text: script }), "published");
  client.sendJson({ do: "history", channel: "any" });
  const { history } = await client.nextJson();
  assert.equal(history.publications.at(-1).json, JSON.stringify({ text: script }), "unchanged");
});

Deno.test("S11 an option refuses script in strings", async () => {
  await using server = await serveChecked({ script: "refuse" });
  await using client = await server.connect("/t");
  for (const text of SCRIPTS) {
    assert.equal(await publish(client, "a", { deep: [{ text }] }), "bad_request", text);
    assert.equal(await publish(client, "a", { [text]: 1 }), "bad_request", text);
  }
  for (const text of HARMLESS) assert.equal(await publish(client, "a", { text }), "published", text);
});

const SCRIPTS = [
  "<script>alert(1)</script>",
  "<SCRIPT SRC=//evil.com/x.js>",
  "hello <img src=x onerror=alert(1)>",
  "<svg/onload=alert(1)>",
  "<a href='javascript:alert(1)'>",
  "JaVaScRiPt:alert(1)",
  "<iframe src=evil>",
  "data:text/html,<b>",
];

const HARMLESS = [
  "1 < 2 and 3 > 2",
  "I love <3 you",
  "read the description: it is online=true",
  "Javanese scripts",
  "a <b>bold</b> move",
  "the button's onclick = handler",
];

Deno.test("validateMessage returns a boolean, check throws the reason", () => {
  const { api } = messageChecks({ maxBytes: 100, maxDepth: 3, schemas: { chat: CHAT }, script: "refuse" });
  assert.equal(api.validateMessage({ text: "hi" }), true);
  assert.equal(api.validateMessage({ text: "<script>" }), false);
  assert.equal(api.validateMessage({ text: 1 }, "chat:a"), false);
  assert.equal(api.validateMessage(undefined), false);
  assert.equal(api.validateMessage(10n), false);
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  assert.equal(api.validateMessage(cyclic), false);
  const reasons: [unknown, string | undefined, RegExp][] = [
    ["x".repeat(200), undefined, /^Invalid message: more than 100 bytes$/],
    [[[[[]]]], undefined, /^Invalid message: nested deeper than 3 levels$/],
    [{ text: 1 }, "chat:a", /^Invalid message: \/text must be string$/],
    [{}, "chat:a", /^Invalid message: it must have required property 'text'$/],
    [{ text: "javascript:" }, undefined, /^Invalid message: it contains script$/],
  ];
  for (const [message, channel, reason] of reasons) {
    assert.throws(() => api.check(message, channel), { code: "bad_request", message: reason });
  }
});

Deno.test("brackets within strings do not count as depth", () => {
  const depthOf = (value: unknown): number =>
    typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
  const tricky = fc.constantFrom('"', "\\", '\\"', "[", "]", "{", "}", '[{"', "\u2028");
  const leaf = fc.oneof(
    fc.integer(),
    fc.array(tricky, { minLength: 0 }).map((all) => all.join("")),
    fc.constant(null),
  );
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: "large", maxDepth: 12 },
      leaf,
      fc.array(tie("node"), { maxLength: 2 }),
      fc.dictionary(fc.string({ maxLength: 3 }), tie("node"), { maxKeys: 2 }),
    ),
  })).node;
  fc.assert(
    fc.property(value, fc.integer({ min: 1, max: 12 }), (message, maxDepth) => {
      assert.equal(messageChecks({ maxDepth }).api.validateMessage(message), depthOf(message) <= maxDepth);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("stripScript removes nested script and nothing else", () => {
  for (const text of SCRIPTS) {
    const stripped = JSON.stringify(stripScript({ [text]: [text] }));
    assert.equal(
      messageChecks({ script: "refuse" }).api.validateMessage(JSON.parse(stripped)),
      true,
      stripped,
    );
  }
  for (const text of HARMLESS) assert.equal(stripScript(text), text);
  assert.equal(stripScript("<scr<script>ipt>alert(1)</script>"), "alert(1)");
  const deep = "<scr".repeat(50) + "<script>" + "ipt>".repeat(50);
  assert.ok(!/<script/i.test(stripScript(deep) as string));
  const value = { a: [1, null, true, { b: "text" }] };
  assert.deepEqual(stripScript(value), value);
});

Deno.test("hostile texts take little time", () => {
  const { api } = messageChecks({ script: "refuse", maxBytes: 1_000_000 });
  const hostile = [
    "<a ".repeat(20_000),
    "<a" + " on".repeat(20_000),
    "<a on" + "x".repeat(60_000),
    "<".repeat(60_000),
    "[".repeat(60_000),
  ];
  for (const text of hostile) {
    const ms = cpuMs(() => {
      api.validateMessage(text);
      stripScript(text);
    });
    assert.ok(ms < 200 * slowdown(), `${ms} ms for ${text.slice(0, 20)}`);
  }
});

Deno.test("publications of the server are not checked", async () => {
  const bus = channels();
  await using _server = await serve({}, bus, messageChecks({ channels: bus.api, schemas: { chat: CHAT } }));
  assert.equal((await bus.api.publish("chat:a", { anything: true })).offset, 1);
});

Deno.test("invalid schemas and options throw", () => {
  assert.throws(
    () => messageChecks({ schemas: { chat: { type: "objekt" } } }),
    /the schema of "chat" is invalid/,
  );
  assert.throws(
    () => messageChecks({ schemas: { chat: { requird: ["a"] } } }),
    /the schema of "chat" is invalid/,
  );
  assert.throws(() => messageChecks({ maxDepth: 0 }), /"maxDepth"/);
});
