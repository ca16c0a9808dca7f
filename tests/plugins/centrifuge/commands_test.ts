/** What the protocol answers to each command, proper or not, line by line. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Broker, memoryBroker } from "../../../plugins/channels.ts";
import { type CentrifugeServer, centrifugeServer, fakeAccess, TRANSPORTS } from "../../kit/centrifuge.ts";
import { type Client, FakeClock, RawClient, until, within } from "../../kit/mod.ts";

/** A connected client, and the lines it gets. */
async function connected(server: CentrifugeServer): Promise<Client> {
  const client = await server.test.connect(TRANSPORTS.websocket);
  client.send(`{"connect":{},"id":1}`);
  await client.next();
  return client;
}

/** What comes back for some lines, as many lines as are expected. */
async function answers(client: Client, frame: string | undefined, count: number): Promise<unknown[]> {
  if (frame !== undefined) client.send(frame);
  const lines: string[] = [];
  while (lines.length < count) lines.push(...(await client.nextText()).split("\n"));
  return lines.map((line) => JSON.parse(line));
}

const error = (id: number, code: number) => ({ id, error: { code } });

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

Deno.test("connect is answered with the client's id and how it will be pinged", async () => {
  await using server = await centrifugeServer();
  await using client = await server.test.connect(TRANSPORTS.websocket, ["centrifuge-json"]);
  assert.equal(client.socket.protocol, "centrifuge-json");
  const [reply] = await answers(client, `{"id":7,"connect":{"name":"js","unknown":[1]},"more":{}}`, 1);
  const [{ id } = assert.fail()] = server.bus.clients.values();
  assert.deepEqual(reply, { id: 7, connect: { client: id, version: "plugboard", ping: 25, pong: true } });
});

Deno.test("a frame carries connect and what depends on it, and is answered in its order", async () => {
  await using server = await centrifugeServer();
  await using client = await server.test.connect(TRANSPORTS.websocket);
  const replies = await answers(
    client,
    `{"connect":{},"id":1}\n{"subscribe":{"channel":"a"},"id":2}\n{"publish":{"channel":"a","data":1},"id":3}\n`,
    4,
  );
  const kinds = replies.map((reply) => Object.keys(reply as object).at(-1));
  assert.deepEqual(kinds, ["connect", "subscribe", "push", "publish"]);
});

/** Frames that end the connection, after connect or instead of it. */
const fatal: Record<string, { first?: string[]; then?: string[]; code?: number }> = {
  "nothing": { first: [""], then: [""] },
  "only a separator": { first: ["\n"], then: ["\n"] },
  "an empty line between commands": { then: [`{"rpc":{},"id":2}\n\n{"rpc":{},"id":3}`] },
  "no JSON": { first: ["hello"], then: ["{", `{"id":1,}`] },
  "JSON that is no object": { first: ["1", "null", "[]", `"x"`], then: ["[{}]"] },
  "a million open brackets": { then: ["[".repeat(1_000_000)] },
  "a command before connect": {
    first: [`{"subscribe":{"channel":"a"},"id":1}`, `{"send":{"data":1}}`, "{}"],
  },
  "a connect without a number": { first: [`{"connect":{}}`, `{"connect":{},"id":0}`] },
  "a number that is none": {
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
  "a ping, which is the server's to send": { then: [`{"ping":{},"id":2}`] },
  "a pong that nobody asked for": { then: ["{}", `{"id":0}`] },
  "a command without a number": { then: [`{"publish":{"channel":"a","data":1}}`] },
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
  "a refresh where nobody signs in": { then: [`{"refresh":{"token":"x"},"id":2}`] },
  "a message that nobody takes": { then: [`{"send":{"data":1}}`], code: 3508 },
};

for (const [what, { first = [], then = [], code = 3501 }] of Object.entries(fatal)) {
  Deno.test(`a client that sends ${what} is disconnected, and nobody else is`, async () => {
    const maxMessageBytes = 2_000_000;
    await using server = await centrifugeServer({ centrifuge: { maxMessageBytes } });
    await using bystander = await connected(server);
    for (const frame of first) {
      await using client = await server.test.connect(TRANSPORTS.websocket);
      client.send(frame);
      assert.equal((await within(frame.slice(0, 80), client.closed)).code, code, frame.slice(0, 80));
    }
    for (const frame of then) {
      await using client = await connected(server);
      client.send(frame);
      assert.equal((await within(frame.slice(0, 80), client.closed)).code, code, frame.slice(0, 80));
    }
    const [reply] = await answers(bystander, `{"publish":{"channel":"a","data":1},"id":2}`, 1);
    assert.deepEqual(reply, { id: 2, publish: {} });
    assert.equal(server.test.log.size, 0);
  });
}

Deno.test("a client that means something which does not work is told why, and stays", async () => {
  await using server = await centrifugeServer({ channels: { defaults: { historySize: 0 } } });
  await using client = await connected(server);
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

Deno.test("a channel is subscribed once, and unsubscribing one that is not is no error", async () => {
  await using server = await centrifugeServer();
  await using client = await connected(server);
  const subscribe = `{"subscribe":{"channel":"a"},"id":2}`;
  const [first, second, left, gone] = await answers(
    client,
    `${subscribe}\n${subscribe}\n{"unsubscribe":{"channel":"a"},"id":4}\n{"unsubscribe":{"channel":"a"},"id":5}`,
    4,
  );
  assert.equal((first as { subscribe: { recoverable: boolean } }).subscribe.recoverable, true);
  assert.deepEqual(codesOf([second]), [error(2, 105)]);
  assert.deepEqual([left, gone], [{ id: 4, unsubscribe: {} }, { id: 5, unsubscribe: {} }]);
});

Deno.test("a number used twice is answered twice", async () => {
  await using server = await centrifugeServer();
  await using client = await connected(server);
  const publish = `{"publish":{"channel":"a","data":1},"id":2}`;
  const reply = { id: 2, publish: {} };
  assert.deepEqual(await answers(client, `${publish}\n${publish}`, 2), [reply, reply]);
});

Deno.test("a delta that is not spoken is not granted, and full publications come", async () => {
  await using server = await centrifugeServer();
  await using client = await connected(server);
  const [reply] = await answers(client, `{"subscribe":{"channel":"a","delta":"fossil"},"id":2}`, 1);
  assert.equal((reply as { subscribe: { delta?: boolean } }).subscribe.delta, undefined);
  await server.bus.publish("a", { n: 1 });
  assert.deepEqual((await client.nextJson()).push.pub.data, { n: 1 });
});

Deno.test("payloads of any shape arrive as they were sent", async () => {
  await using server = await centrifugeServer();
  await using reader = await connected(server);
  await using writer = await connected(server);
  await answers(reader, `{"subscribe":{"channel":"a"},"id":2}`, 1);
  const payloads = [
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
    const line = await reader.nextText();
    assert.ok(line.startsWith(`{"push":{"channel":"a","pub":{"data":${data},`), line.slice(0, 100));
    assert.ok(!line.includes("\n"));
  }
  assert.equal(({} as { admin?: boolean }).admin, undefined);
});

Deno.test("10,000 commands in a frame are all answered, and others have their turn in between", async () => {
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
  await using busy = await connected(server);
  await using other = await connected(server);
  const lines = Array.from({ length: 10_000 }, (_, i) => `{"presence_stats":{"channel":"a"},"id":${i + 2}}`);
  busy.send(lines.join("\n"));
  await until("the frame being handled", () => counted > 0);
  other.send(`{"publish":{"channel":"b","data":1},"id":2}`);
  const replies = await answers(busy, undefined, lines.length);
  assert.deepEqual(replies.map((reply) => (reply as { id: number }).id), lines.map((_, i) => i + 2));
  assert.deepEqual(await other.nextJson(), { id: 2, publish: {} });
  assert.ok(countedBefore! < lines.length, "the other one had to wait to the end");
});

Deno.test("the answers of one client do not pile up while it does not read them", async () => {
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

Deno.test("binary frames and frames beyond the limit end the connection", async () => {
  await using server = await centrifugeServer();
  await using binary = await connected(server);
  binary.send(Uint8Array.of(0));
  assert.equal((await within("the close", binary.closed)).code, 1003);
  await using large = await connected(server);
  large.send(`{"publish":{"channel":"a","data":"${"x".repeat(65_536)}"},"id":2}`);
  assert.equal((await within("the close", large.closed)).code, 1009);
});

Deno.test("the binary encoding is refused before anything is sent", async () => {
  await using server = await centrifugeServer();
  const asking = async (query: string, headers: Record<string, string> = {}) => {
    using client = await RawClient.connect(server.test.port);
    return (await client.request(TRANSPORTS.websocket + query, headers)).split("\r\n")[0];
  };
  const refused = "HTTP/1.1 400 Bad Request";
  assert.equal(await asking("?format=protobuf"), refused);
  assert.equal(await asking("?cf_protocol=protobuf"), refused);
  assert.equal(await asking("", { "sec-websocket-protocol": "centrifuge-protobuf" }), refused);
  assert.match(await asking("?format=json") ?? "", /101/);
});

Deno.test("a client that was turned away may say nothing more", async () => {
  await using server = await centrifugeServer({ centrifuge: { access: fakeAccess({}) } });
  await using client = await server.test.connect(TRANSPORTS.websocket);
  const replies = await answers(client, `{"connect":{},"id":1}\n{"subscribe":{"channel":"a"},"id":2}`, 1);
  assert.deepEqual(codesOf(replies), [error(1, 101)]);
  assert.equal(server.test.server.connections.size, 1);
  client.send(`{"connect":{},"id":3}`);
  assert.equal((await within("the close", client.closed)).code, 3501);
  assert.equal(client.waiting, 0);
});

Deno.test("who does not sign in within ten seconds is disconnected", async () => {
  const clock = new FakeClock();
  await using server = await centrifugeServer({ server: { clock } });
  await using silent = await server.test.connect(TRANSPORTS.websocket);
  await using good = await connected(server);
  clock.advance(9_000);
  await until("both being there", () => server.test.server.connections.size === 2);
  clock.advance(2_000);
  assert.equal((await within("the close", silent.closed)).code, 3502);
  await answers(good, `{"publish":{"channel":"a","data":1},"id":2}`, 1);
});

Deno.test("a ping is answered once, and not answering it ends the connection", async () => {
  const clock = new FakeClock();
  await using server = await centrifugeServer({ server: { clock } });
  await using lively = await connected(server);
  await using dead = await connected(server);
  /** Lets time pass, and everything that happens in it be sent; gives what `lively` got beside its answer. */
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
  assert.equal(await dead.next(), "{}");
  assert.equal((await within("the close", dead.closed)).code, 3012);
  lively.send("{}");
  assert.equal((await within("the close", lively.closed)).code, 3501);
});

Deno.test("whatever a client sends, the server fails at nothing and others go on", async () => {
  await using server = await centrifugeServer();
  await using bystander = await connected(server);
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
      await using client = await connected(server);
      client.send(lines.join("\n"));
      // Either it is closed for what it said, or it can still be talked to.
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
