/** The replies to valid and invalid commands, in each encoding. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Broker, memoryBroker } from "../../../plugins/channels.ts";
import { rateLimits } from "../../../plugins/rate_limits.ts";
import { jsonCodec } from "../../../plugins/protocols/centrifuge.ts";
import { type LineClient, PROTOBUF, protobufClient } from "../../kit/protobuf_client.ts";
import {
  type CentrifugeServer,
  centrifugeServer,
  connectIn,
  type Encoding,
  fakeAccess,
  inEach,
  TRANSPORTS,
} from "../../kit/centrifuge.ts";
import { type Client, FakeClock, turn, until, within } from "../../kit/mod.ts";

/** A client that has signed in. */
async function connected(server: CentrifugeServer, encoding: Encoding): Promise<LineClient> {
  const client = await connectIn(server, encoding);
  client.send(`{"connect":{},"id":1}`);
  await client.nextText();
  return client;
}

/** Sends a frame, if there is one, and returns as many lines as are expected. */
async function answers(client: LineClient, frame: string | undefined, count: number): Promise<unknown[]> {
  if (frame !== undefined) client.send(frame);
  const lines: string[] = [];
  while (lines.length < count) lines.push(...(await client.nextText()).split("\n"));
  return lines.map((line) => JSON.parse(line));
}

const error = (id: number, code: number, temporary = false) => ({
  id,
  error: { code, ...(temporary && { temporary }) },
});

/** Replies without their messages, which are for people. */
function codesOf(replies: unknown[]): unknown[] {
  return replies.map((reply) => {
    const { id, error: { code, temporary } } = reply as {
      id: number;
      error: { code: number; temporary?: boolean };
    };
    return { id, error: { code, ...(temporary && { temporary }) } };
  });
}

inEach("the reply to connect has the client's id and the ping interval", async (encoding) => {
  await using server = await centrifugeServer();
  await using client = await connectIn(server, encoding);
  const [reply] = await answers(client, `{"id":7,"connect":{"name":"js","unknown":[1]},"more":{}}`, 1);
  const [{ id } = assert.fail()] = server.bus.clients.values();
  assert.deepEqual(reply, { id: 7, connect: { client: id, version: "plugboard", ping: 25, pong: true } });
});

Deno.test("a client that offers the JSON subprotocol gets it", async () => {
  await using server = await centrifugeServer();
  await using client = await server.test.connect(TRANSPORTS.websocket, ["centrifuge-json"]);
  assert.equal(client.socket.protocol, "centrifuge-json");
});

Deno.test("the server tells its own ping interval, in whole seconds", async () => {
  for (const [pingIntervalMs, seconds] of [[100, 1], [1_500, 2]] as const) {
    await using server = await centrifugeServer({ server: { pingIntervalMs, pongTimeoutMs: 50 } });
    await using client = await server.test.connect(TRANSPORTS.websocket);
    const [reply] = await answers(client, `{"connect":{},"id":1}`, 1);
    assert.equal((reply as { connect: { ping: number } }).connect.ping, seconds);
  }
});

inEach("a frame with connect and later commands gets its replies in order", async (encoding) => {
  await using server = await centrifugeServer();
  await using client = await connectIn(server, encoding);
  const replies = await answers(
    client,
    `{"connect":{},"id":1}\n{"subscribe":{"channel":"a"},"id":2}\n{"publish":{"channel":"a","data":1},"id":3}\n`,
    4,
  );
  const kinds = replies.map((reply) => Object.keys(reply as object).at(-1));
  assert.deepEqual(kinds, ["connect", "subscribe", "push", "publish"]);
});

/** Frames that end the connection, as the `first` one or `then` after connect. */
const fatal: Record<string, { first?: string[]; then?: string[]; code?: number }> = {
  "nothing": { first: [""], then: [""] },
  "only a separator": { first: ["\n"], then: ["\n"] },
  "text that is not JSON": { first: ["hello"], then: ["{", `{"id":1,}`] },
  "JSON that is not an object": { first: ["1", "null", "[]", `"x"`], then: ["[{}]"] },
  "a million open brackets": { then: ["[".repeat(1_000_000)] },
  "a command before connect": {
    first: [`{"subscribe":{"channel":"a"},"id":1}`, `{"send":{"data":1}}`, "{}"],
  },
  "a connect without an id": { first: [`{"connect":{}}`, `{"connect":{},"id":0}`] },
  "an invalid id": {
    first: [
      `{"connect":{},"id":-1}`,
      `{"connect":{},"id":1.5}`,
      `{"connect":{},"id":"1"}`,
      `{"connect":{},"id":4294967296}`,
    ],
  },
  "a connect of another type": {
    first: [`{"connect":[],"id":1}`, `{"connect":{"token":1},"id":1}`, `{"connect":{"subs":1},"id":1}`],
  },
  "a second connect": { then: [`{"connect":{},"id":2}`] },
  "an unknown command": { then: [`{"fly":{},"id":2}`, `{"constructor":{},"id":2}`, `{"id":2}`] },
  "a ping, which only the server sends": { then: [`{"ping":{},"id":2}`] },
  "a pong without a ping": { then: ["{}", `{"id":0}`] },
  "a command without an id": { then: [`{"publish":{"channel":"a","data":1}}`] },
  "no channel": {
    then: ["subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history", "sub_refresh"]
      .map((name) => `{"${name}":{"data":1},"id":2}`),
  },
  "a field of another type": {
    then: [
      `{"publish":{"channel":1,"data":1},"id":2}`,
      `{"subscribe":{"channel":"a","recover":1},"id":2}`,
      `{"subscribe":{"channel":"a","recover":true,"offset":-1},"id":2}`,
      `{"history":{"channel":"a","since":[]},"id":2}`,
      `{"history":{"channel":"a","limit":1.5},"id":2}`,
      `{"rpc":null,"id":2}`,
    ],
  },
  "an unknown kind of delta": { then: [`{"subscribe":{"channel":"a","delta":"xdelta"},"id":2}`] },
  "a refresh on a server without sign-in": { then: [`{"refresh":{"token":"x"},"id":2}`] },
  "a message without a channel": { then: [`{"send":{"data":1}}`], code: 3508 },
};

for (const [what, { first = [], then = [], code = 3501 }] of Object.entries(fatal)) {
  inEach(`a client that sends ${what} is disconnected, and no other client is`, async (encoding) => {
    const maxMessageBytes = 2_000_000;
    await using server = await centrifugeServer({ centrifuge: { maxMessageBytes } });
    await using bystander = await connected(server, encoding);
    for (const frame of first) {
      await using client = await connectIn(server, encoding);
      client.send(frame);
      assert.equal((await within(frame.slice(0, 80), client.closed)).code, code, frame.slice(0, 80));
    }
    for (const frame of then) {
      await using client = await connected(server, encoding);
      client.send(frame);
      assert.equal((await within(frame.slice(0, 80), client.closed)).code, code, frame.slice(0, 80));
    }
    const [reply] = await answers(bystander, `{"publish":{"channel":"a","data":1},"id":2}`, 1);
    assert.deepEqual(reply, { id: 2, publish: {} });
    assert.equal(server.test.log.size, 0);
  });
}

inEach("a command that is refused gets an error, and the client stays connected", async (encoding) => {
  await using server = await centrifugeServer({ channels: { defaults: { historySize: 0 } } });
  await using client = await connected(server, encoding);
  const refused: [command: string, code: number][] = [
    [`"publish":{"channel":"a"}`, 107],
    [`"publish":{"channel":"a","data":1,"type":1,"key":"k"}`, 103],
    [`"subscribe":{"channel":"a","type":1}`, 103],
    [`"subscribe":{"channel":"a","type":4}`, 108],
    [`"subscribe":{"channel":"a","tf":{"key":"k","cmp":"eq","val":"v"}}`, 107],
    [`"subscribe":{"channel":"${"ä".repeat(128)}"}`, 107],
    [`"history":{"channel":"a"}`, 108],
    [`"rpc":{"method":"x"}`, 108],
    [`"sub_refresh":{"channel":"a","token":"t"}`, 103],
  ];
  const frame = refused.map(([command], i) => `{${command},"id":${i + 2}}`).join("\n");
  const replies = await answers(client, frame, refused.length);
  const byId = codesOf(replies).sort((a, b) => (a as { id: number }).id - (b as { id: number }).id);
  assert.deepEqual(byId, refused.map(([, code], i) => error(i + 2, code)));
});

inEach(
  "a channel is subscribed once, and unsubscribing without a subscription succeeds",
  async (encoding) => {
    await using server = await centrifugeServer();
    await using client = await connected(server, encoding);
    const subscribe = `{"subscribe":{"channel":"a"},"id":2}`;
    const [first, second, left, gone] = await answers(
      client,
      `${subscribe}\n${subscribe}\n{"unsubscribe":{"channel":"a"},"id":4}\n{"unsubscribe":{"channel":"a"},"id":5}`,
      4,
    );
    assert.equal((first as { subscribe: { recoverable: boolean } }).subscribe.recoverable, true);
    assert.deepEqual(codesOf([second]), [error(2, 105)]);
    assert.deepEqual([left, gone], [{ id: 4, unsubscribe: {} }, { id: 5, unsubscribe: {} }]);
  },
);

inEach("an id that is used twice gets two replies", async (encoding) => {
  await using server = await centrifugeServer();
  await using client = await connected(server, encoding);
  const publish = `{"publish":{"channel":"a","data":1},"id":2}`;
  const reply = { id: 2, publish: {} };
  assert.deepEqual(await answers(client, `${publish}\n${publish}`, 2), [reply, reply]);
});

inEach("a delta is not granted, and full publications arrive", async (encoding) => {
  await using server = await centrifugeServer();
  await using client = await connected(server, encoding);
  const [reply] = await answers(client, `{"subscribe":{"channel":"a","delta":"fossil"},"id":2}`, 1);
  assert.equal((reply as { subscribe: { delta?: boolean } }).subscribe.delta, undefined);
  await server.bus.publish("a", { n: 1 });
  assert.deepEqual((await client.nextJson()).push.pub.data, { n: 1 });
});

inEach("payloads of any form arrive as they were sent, in each encoding", async (encoding) => {
  await using server = await centrifugeServer();
  await using writer = await connected(server, encoding);
  await using same = await connected(server, encoding);
  await using json = await connected(server, "json");
  await using protobuf = await connected(server, "protobuf");
  const readers = [same, json, protobuf];
  for (const reader of readers) await answers(reader, `{"subscribe":{"channel":"a"},"id":2}`, 1);
  const payloads = [
    "12345678901234567890",
    "1e400",
    "1.0",
    "-0",
    `{"a":1,"a":2,"n":0.1000}`,
    `{"__proto__":{"admin":true},"constructor":1}`,
    `"\\ud800"`,
    `"line\\nbreak"`,
    `{"push":{"disconnect":{"code":3500}}}`,
    "null",
    `""`,
    "[[[[[[1]]]]]]",
    "[".repeat(30_000) + "]".repeat(30_000),
  ];
  for (const data of payloads) {
    writer.send(`{"publish":{"channel":"a","data":${data}},"id":3}`);
    for (const reader of readers) {
      const line = await reader.nextText();
      assert.ok(line.startsWith(`{"push":{"channel":"a","pub":{"data":${data},`), line.slice(0, 100));
      assert.ok(!line.includes("\n"));
    }
  }
  assert.equal(({} as { admin?: boolean }).admin, undefined);
});

Deno.test("10,000 commands in a frame get replies, and other clients have a turn in between", async () => {
  let counted = 0;
  let countedBefore: number | undefined;
  const presence = {
    list: () => [],
    count() {
      for (const end = performance.now() + 0.02; performance.now() < end;); // in all, 200 ms of work
      return { clients: ++counted, users: 0 };
    },
  };
  await using server = await centrifugeServer({ centrifuge: { maxMessageBytes: 2_000_000, presence } });
  server.bus.extend({ name: "observer", beforePublish: () => void (countedBefore = counted) });
  await using busy = await connected(server, "json");
  await using other = await connected(server, "json");
  const lines = Array.from({ length: 10_000 }, (_, i) => `{"presence_stats":{"channel":"a"},"id":${i + 2}}`);
  busy.send(lines.join("\n"));
  await until("the frame being handled", () => counted > 0);
  other.send(`{"publish":{"channel":"b","data":1},"id":2}`);
  const replies = await answers(busy, undefined, lines.length);
  assert.deepEqual(replies.map((reply) => (reply as { id: number }).id), lines.map((_, i) => i + 2));
  assert.deepEqual(await other.nextJson(), { id: 2, publish: {} });
  assert.ok(countedBefore! < lines.length, "the other client had to wait for all of them");
});

Deno.test("the replies of a client that does not read them do not pile up", async () => {
  const memory = memoryBroker();
  let read = 0;
  const broker: Broker = {
    ...memory,
    history(...query) {
      read++;
      return memory.history(...query);
    },
  };
  await using server = await centrifugeServer({
    server: { maxQueuedBytes: 100_000 },
    channels: { broker },
    centrifuge: { maxMessageBytes: 2_000_000 },
  });
  await server.bus.publish("a", "x".repeat(60_000));
  using client = await server.test.raw(TRANSPORTS.websocket);
  const lines = Array.from(
    { length: 10_000 },
    (_, i) => `{"history":{"channel":"a","limit":1},"id":${i + 2}}`,
  );
  await client.frame(1, `{"connect":{},"id":1}`);
  await client.frame(1, lines.join("\n"));
  assert.equal(await client.closeCode(), 3008);
  assert.ok(read < 1_000, `it was closed only after ${read} of them`);
});

Deno.test("JSON may be in binary frames, over several lines, or without a line break between commands", async () => {
  await using server = await centrifugeServer();
  const frames = [
    `{"rpc":{},"id":2}{"rpc":{},"id":3}`,
    ` {"rpc":{},"id":2}\t{"rpc":{},"id":3}\r\n`,
    `{"rpc":{},"id":2}\n\n{"rpc":{},"id":3}\n`,
    `{"rpc":{},"id":2}\n{\n  "rpc": { "data": "}{" },\n  "id": 3\n}`,
  ];
  for (const frame of frames) {
    for (const sent of [frame, new TextEncoder().encode(frame)]) {
      await using client = await connected(server, "json");
      (client as unknown as Client).send(sent);
      const replies = await answers(client, undefined, 2);
      assert.deepEqual(codesOf(replies), [error(2, 108), error(3, 108)], frame);
    }
  }
  await using client = await connected(server, "json");
  client.send(
    `{"publish":{"channel":"a","data":{"x":"é"}},"id":2}{"unsubscribe":{"channel":"b"},"id":3}{"rpc":`,
  );
  const replies = await answers(client, undefined, 2);
  assert.deepEqual(replies, [{ id: 2, publish: {} }, { id: 3, unsubscribe: {} }]);
  assert.equal((await within("the close", client.closed)).code, 3501);
  const { publications: [kept] } = await server.bus.history("a");
  assert.equal(kept!.payload.text, `{"x":"é"}`);
});

Deno.test("frames of the wrong kind end the connection", async () => {
  await using server = await centrifugeServer();
  await using json = await server.test.connect(TRANSPORTS.websocket);
  json.send(Uint8Array.of(0xff));
  assert.equal((await within("the close", json.closed)).code, 3501);
  await using protobuf = await server.test.connect(TRANSPORTS.websocket, [PROTOBUF]);
  protobuf.send(`{"connect":{},"id":1}`);
  assert.equal((await within("the close", protobuf.closed)).code, 3501);
});

inEach("frames above the limit end the connection", async (encoding) => {
  await using server = await centrifugeServer();
  await using large = await connected(server, encoding);
  large.send(`{"publish":{"channel":"a","data":"${"x".repeat(65_536)}"},"id":2}`);
  assert.equal((await within("the close", large.closed)).code, 1009);
});

/** How a client asks for Protobuf: parameters of the URL, and subprotocols. */
const protobufRequests: [query: string, protocols: string[]][] = [
  ["?format=protobuf", []],
  ["?cf_protocol=protobuf", []],
  ["", [PROTOBUF]],
];

for (const [query, protocols] of protobufRequests) {
  Deno.test(`B17 a client gets Protobuf by "${query || protocols}"`, async () => {
    await using server = await centrifugeServer();
    await using client = await server.test.connect(TRANSPORTS.websocket + query, protocols);
    assert.equal(client.socket.protocol, protocols[0] ?? "");
    // The first frame of npm `centrifuge` without options.
    client.send(Uint8Array.fromHex("080801220422026a73"));
    assert.ok((await protobufClient(client).nextJson()).connect);
  });

  Deno.test(`without Protobuf, a client that asks by "${query || protocols}" gets a code that it understands`, async () => {
    await using server = await centrifugeServer({ centrifuge: { codecs: [jsonCodec] } });
    await using client = await server.test.connect(TRANSPORTS.websocket + query, protocols);
    assert.equal(client.socket.protocol, protocols[0] ?? "");
    const { code, reason } = await within("the close", client.closed);
    assert.deepEqual([code, reason], [3506, "Protobuf is not supported, use JSON"]);
    assert.equal(client.waiting, 0);
  });
}

Deno.test("a client that offers both encodings gets JSON", async () => {
  await using server = await centrifugeServer();
  for (const protocols of [[PROTOBUF, "centrifuge-json"], ["centrifuge-json", PROTOBUF]]) {
    await using client = await server.test.connect(TRANSPORTS.websocket, protocols);
    assert.equal(client.socket.protocol, "centrifuge-json");
    client.send(`{"connect":{},"id":1}`);
    assert.ok((await client.nextJson()).connect);
  }
});

inEach("what a client sends after its sign-in was refused is ignored", async (encoding) => {
  const clock = new FakeClock();
  const access = fakeAccess({ good: { user: "alice" } });
  await using server = await centrifugeServer({ server: { clock }, centrifuge: { access } });
  for (const [token, code] of [["", 101], ["expired", 109]] as const) {
    await using client = await connectIn(server, encoding);
    client.send(`{"connect":{"token":"${token}"},"id":1}\n{"subscribe":{"channel":"a"},"id":2}`);
    client.send(`{"subscribe":{"channel":"b"},"id":3}`);
    client.send(`{"connect":{"token":"good"},"id":4}`);
    assert.deepEqual(codesOf(await answers(client, "{}", 1)), [error(1, code)]);
    clock.advance(11_000);
    assert.equal((await within("the close", client.closed)).code, 3502);
    assert.equal(client.waiting, 0);
  }
  assert.equal(server.bus.clients.size, 0);
});

inEach("commands beyond a rate limit get an error, and the SDK may retry", async (encoding) => {
  const clock = new FakeClock();
  const limits = rateLimits({ limits: { messages: "2/1m" } });
  await using server = await centrifugeServer({
    server: { clock, pingIntervalMs: 1_000_000 },
    centrifuge: { limits: limits.api },
    plugins: [limits],
  });
  await using client = await connected(server, encoding);
  assert.deepEqual(codesOf(await answers(client, `{"rpc":{},"id":2}`, 1)), [error(2, 108)]);
  const beyond = `{"rpc":{},"id":3}\n{"send":{}}\n{"publish":{"channel":"a","data":1},"id":4}`;
  assert.deepEqual(codesOf(await answers(client, beyond, 2)), [error(3, 111, true), error(4, 111, true)]);
  clock.advance(60_000);
  assert.deepEqual(codesOf(await answers(client, `{"rpc":{},"id":5}`, 1)), [error(5, 108)]);
});

Deno.test("a client that wants WebSocket pings gets no others, and is disconnected if it does not answer", async () => {
  await using server = await centrifugeServer({ server: { pingIntervalMs: 300, pongTimeoutMs: 150 } });
  using raw = await server.test.raw(`${TRANSPORTS.websocket}?cf_ws_frame_ping_pong=true`);
  await raw.frame(1, `{"connect":{},"id":1}`);
  const { connect } = JSON.parse(new TextDecoder().decode(await raw.nextFrame(1)));
  assert.deepEqual(Object.keys(connect), ["client", "version"]);
  for (let pings = 0; pings < 2; pings++) {
    await raw.nextFrame(9);
    await raw.frame(10);
  }
  assert.equal(await raw.closeCode(), 3012);
});

inEach("a client that does not sign in within ten seconds is disconnected", async (encoding) => {
  const clock = new FakeClock();
  await using server = await centrifugeServer({ server: { clock } });
  await using silent = await connectIn(server, encoding);
  await using good = await connected(server, encoding);
  clock.advance(9_000);
  await until("both to be connected", () => server.test.server.connections.size === 2);
  clock.advance(2_000);
  assert.equal((await within("the close", silent.closed)).code, 3502);
  await answers(good, `{"publish":{"channel":"a","data":1},"id":2}`, 1);
});

inEach(
  "a client that has not signed in gets no ping, and is not closed for a missing answer",
  async (encoding) => {
    const clock = new FakeClock();
    await using server = await centrifugeServer({
      server: { clock, pingIntervalMs: 2_000, pongTimeoutMs: 500 },
    });
    await using silent = await connectIn(server, encoding);
    await until("the connection", () => server.test.server.connections.size === 1);
    for (let passed = 0; passed < 9_000; passed += 100) {
      clock.advance(100);
      await turn();
    }
    assert.deepEqual([server.test.server.connections.size, silent.waiting], [1, 0]);
    clock.advance(2_000);
    assert.equal((await within("the close", silent.closed)).code, 3502);
  },
);

inEach("the time to sign in does not change with the clock", async (encoding) => {
  for (const ms of [-3_600_000, 3_600_000]) {
    const clock = new FakeClock();
    await using server = await centrifugeServer({ server: { clock } });
    await using silent = await connectIn(server, encoding);
    await until("the connection", () => server.test.server.connections.size === 1);
    clock.set(ms);
    clock.advance(9_000);
    await turn();
    assert.equal(server.test.server.connections.size, 1);
    clock.advance(2_000);
    assert.equal((await within("the close", silent.closed)).code, 3502);
  }
});

inEach("each ping needs one pong, and a client without a pong is disconnected", async (encoding) => {
  const clock = new FakeClock();
  await using server = await centrifugeServer({ server: { clock } });
  await using lively = await connected(server, encoding);
  await using dead = await connected(server, encoding);
  /** Lets time pass and everything be sent; returns what `lively` got except its reply. */
  const pass = async (): Promise<unknown[]> => {
    clock.advance(500);
    const all: unknown[] = [];
    lively.send(`{"publish":{"channel":"a","data":1},"id":2}`);
    while (all.length === 0 || !Object.hasOwn(all.at(-1) as object, "id")) {
      all.push(...await answers(lively, undefined, 1));
    }
    return all.slice(0, -1);
  };
  let pings = 0;
  for (let passed = 0; passed < 60_000; passed += 500) {
    for (const ping of await pass()) {
      assert.deepEqual(ping, {});
      lively.send("{}");
      pings++;
    }
  }
  assert.deepEqual([pings, dead.waiting], [2, 1]);
  assert.equal(await dead.nextText(), "{}");
  assert.equal((await within("the close", dead.closed)).code, 3012);
  lively.send("{}");
  assert.equal((await within("the close", lively.closed)).code, 3501);
});

inEach("no frame of a client makes the server fail or disturbs other clients", async (encoding) => {
  await using server = await centrifugeServer();
  await using bystander = await connected(server, encoding);
  const names = fc.constantFrom(
    "connect",
    "subscribe",
    "unsubscribe",
    "publish",
    "presence",
    "presence_stats",
    "history",
    "rpc",
    "send",
    "refresh",
    "sub_refresh",
    "push",
    "__proto__",
  );
  const values = fc.oneof(fc.constantFrom("a", "a", "b", "", 0, 1, -1, true, null, {}), fc.jsonValue());
  const fields = fc.constantFrom(
    "channel",
    "data",
    "token",
    "recover",
    "offset",
    "epoch",
    "limit",
    "since",
    "reverse",
    "flag",
    "type",
    "method",
    "subs",
    "tf",
    "delta",
  );
  const params = fc.oneof({ weight: 5, arbitrary: fc.dictionary(fields, values, { maxKeys: 4 }) }, {
    weight: 1,
    arbitrary: fc.jsonValue(),
  });
  const command = fc.tuple(names, params, fc.oneof(fc.nat(9), values)).map(([name, param, id]) =>
    `{${JSON.stringify(name)}:${JSON.stringify(param)},"id":${JSON.stringify(id)}}`
  );
  const line = fc.oneof({ weight: 8, arbitrary: command }, { weight: 1, arbitrary: fc.string() }, {
    weight: 1,
    arbitrary: fc.json(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 8 }), async (lines) => {
      await using client = await connected(server, encoding);
      client.send(lines.join("\n"));
      // The connection is closed for a malformed command, or it still works.
      client.send(`{"rpc":{},"id":4242}`);
      let answered = false;
      while (!answered) {
        const text = await client.nextText().catch(() => undefined);
        if (text === undefined) break;
        for (const each of text.split("\n")) answered ||= JSON.parse(each).id === 4242;
      }
      if (answered) return;
      const { code } = await within("the close", client.closed);
      assert.ok([3501, 3508].includes(code), `closed with ${code}`);
    }),
    { numRuns: 300, interruptAfterTimeLimit: 20_000 },
  );
  await answers(bystander, `{"publish":{"channel":"quiet","data":1},"id":2}`, 1);
  assert.deepEqual(server.test.log.take(), []);
});
