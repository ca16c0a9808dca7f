/**
 * Frames in Protobuf, byte for byte. Google's encoder for Python wrote them from the protocol's schema: what the SDKs for
 * Swift, Dart and C# send, and what they expect. All implementations encode these messages alike, with fields in the order
 * of their numbers and without zero values.
 */

import assert from "node:assert/strict";
import { Payload } from "../../../plugins/channels.ts";
import { protobufCodec } from "../../../plugins/protocols/centrifuge.ts";
import { type CentrifugeServer, centrifugeServer, fakeAccess, TRANSPORTS } from "../../kit/centrifuge.ts";
import { type Client, Inbox, within } from "../../kit/mod.ts";
import { decodeReplies, encodeEmulation, PROTOBUF } from "../../kit/protobuf_client.ts";

/** The first command of each SDK: `connect{token: "good", name}` with the id 1. */
const CONNECTS = {
  Swift: "110801220d0a04676f6f6422057377696674",
  Dart: "100801220c0a04676f6f64220464617274",
  "C#": "120801220e0a04676f6f642206637368617270",
};

/** Commands after that, what each is, and the fields of its reply. */
const COMMANDS: [what: string, bytes: string, reply: Record<string, unknown>][] = [
  [`subscribe{channel: "news", join_leave, flag: 1}`, "0e08022a0a0a046e65777358017001", {
    id: 2,
    subscribe: { recoverable: true, positioned: true },
  }],
  [
    `subscribe{channel: "log", recover, offset: 1, recoverable, positioned, flag: 1}`,
    "1308032a0f0a036c6f6718013801480150017001",
    { id: 3, subscribe: { recoverable: true, recovered: true, was_recovering: true, offset: 1 } },
  ],
  [
    `publish{channel: "news", data: {"text":"grüße"}}`,
    "1e08043a1a0a046e65777312127b2274657874223a226772c3bcc39f65227d",
    { id: 4, publish: {} },
  ],
  [`presence{channel: "news"}`, "0a080542060a046e657773", { id: 5, presence: {} }],
  [`presence_stats{channel: "news"}`, "0a08064a060a046e657773", {
    id: 6,
    presence_stats: { num_clients: 1, num_users: 1 },
  }],
  [`history{channel: "log", limit: -1}`, "14080752100a036c6f6738ffffffffffffffffff01", {
    id: 7,
    history: { offset: 2 },
  }],
  [`history{channel: "log", limit: 1, since: {offset: 1}}`, "0f0808520b0a036c6f67380142020801", {
    id: 8,
    history: { offset: 2 },
  }],
  [`history{channel: "log", limit: 1, reverse}`, "0d080952090a036c6f6738014801", {
    id: 9,
    history: { offset: 2 },
  }],
  [
    `history{channel: "log", limit: 1, since: {offset: 1, epoch: "lost"}}`,
    "15080f52110a036c6f6738014208080112046c6f7374",
    { id: 15, error: { code: 112 } },
  ],
  [`rpc{method: "echo", data: [1]}`, "0f080a6a0b0a035b315d12046563686f", { id: 10, rpc: {} }],
  [`refresh{token: "good"}`, "0a080b72060a04676f6f64", { id: 11, refresh: { expires: true } }],
  [`sub_refresh{channel: "news", token: "sub"}`, "0f080c7a0b0a046e6577731203737562", {
    id: 12,
    sub_refresh: { expires: true },
  }],
  [`unsubscribe{channel: "news"}`, "0a080d32060a046e657773", { id: 13, unsubscribe: {} }],
  [
    `subscribe{channel: "filtered:a", tf: …}`,
    "43080e2a3f0a0a66696c74657265643a616a310a03616e64321212046c616e671a02696e2a02656e2a02646532160a036e6f74320f120570726963651a02677422023130",
    { id: 14, subscribe: { recoverable: true } },
  ],
];

const PONG = "00";
const SEND = "0f620d0a0b7b2268656c6c6f223a317d";
const TWO_AT_ONCE = "0c08143a080a036c6f671201330c08153a080a036c6f67120134";
/** `connect` with data, a recovery of the server's subscription, a name, a version and headers. */
const RECONNECT =
  "38080122340a04676f6f6412077b2261223a317d1a0f0a07636f6d70616e79120418013801220573776966742a03312e3032060a0178120179";

const received = new Inbox<unknown>();

async function startServer(): Promise<CentrifugeServer> {
  const access = fakeAccess({
    good: { user: "alice", channels: ["company"], expiresInMs: 600_000 },
    sub: { user: "alice", grant: { expiresInMs: 300_000 } },
  });
  const server = await centrifugeServer({
    channels: { namespaces: { filtered: { maxTagFilters: 1 } } },
    centrifuge: { access, onMessage: (data) => received.put(data) },
  });
  server.methods.define("echo", { run: (value) => value });
  for (const n of [1, 2]) await server.bus.publish("log", n);
  return server;
}

/** The reply with an id. Pushes in between are dropped. */
async function reply(client: Client, id: number): Promise<Record<string, unknown>> {
  for (;;) {
    for (const each of decodeReplies(await client.next() as Uint8Array)) if (each.id === id) return each;
  }
}

for (const [sdk, connect] of Object.entries(CONNECTS)) {
  Deno.test(`B17 the frames of the SDK for ${sdk} are answered as it expects`, async () => {
    await using server = await startServer();
    await using client = await server.test.connect(TRANSPORTS.websocket, [PROTOBUF]);
    const send = (hex: string) => client.send(Uint8Array.fromHex(hex));
    send(connect);
    const connected = (await reply(client, 1)).connect;
    assert.partialDeepStrictEqual(connected, { version: "plugboard", expires: true, ping: 25, pong: true });
    for (const [what, bytes, expected] of COMMANDS) {
      send(bytes);
      const answer = await within(what, reply(client, expected.id as number));
      assert.partialDeepStrictEqual(answer, expected, what);
    }
    send(SEND);
    assert.deepEqual(await received.next(), { hello: 1 });
    send(TWO_AT_ONCE);
    await reply(client, 21);
    assert.equal((await server.bus.history("log")).top.offset, 4);
    send(PONG);
    assert.equal((await client.closed).code, 3501, "there was no ping");
  });
}

Deno.test("B17 a client that reconnects recovers the server's subscriptions from a frame with all fields", async () => {
  await using server = await startServer();
  for (const n of [1, 2]) await server.bus.publish("company", n);
  await using client = await server.test.connect(TRANSPORTS.websocket, [PROTOBUF]);
  client.send(Uint8Array.fromHex(RECONNECT));
  const { connect } = await reply(client, 1);
  assert.partialDeepStrictEqual(connect, {
    subs: {
      company: { recovered: true, publications: [{ offset: 2, data: new TextEncoder().encode("2") }] },
    },
  });
});

const info = { user: "alice", client: "CLIENT", connInfo: `{"name":"alice"}` };

/** What the server sends, as Google's encoder writes it. */
const MESSAGES: [what: string, message: ReturnType<typeof protobufCodec.message>, bytes: string][] = [
  ["a ping", protobufCodec.ping, "00"],
  ["the reply to a publish", protobufCodec.reply(4, { name: "publish" }), "0408044200"],
  ["the reply to an unsubscribe", protobufCodec.reply(13, { name: "unsubscribe" }), "04080d3a00"],
  [
    "an empty subscription",
    protobufCodec.reply(2, {
      name: "subscribe",
      ttl: undefined,
      subscribed: {
        recoverable: false,
        positioned: false,
        wasRecovering: false,
        recovered: false,
        publications: [],
      },
    }),
    "0408023200",
  ],
  [
    "the result of a call",
    protobufCodec.reply(10, { name: "rpc", data: Payload.of([1]) }),
    "09080a6a050a035b315d",
  ],
  [
    "the statistics of presence",
    protobufCodec.reply(6, { name: "presence_stats", clients: 1, users: 1 }),
    "080806520408011001",
  ],
  [
    "a history",
    protobufCodec.reply(9, {
      name: "history",
      publications: [{ payload: Payload.of({ n: 3 }), offset: 3, time: 0, tags: { a: "b" } }],
      top: { offset: 3, epoch: "EPOC" },
    }),
    "2108095a1d0a1322077b226e223a337d30033a060a0161120162120445504f431803",
  ],
  [
    "an error",
    protobufCodec.error(2, { code: 100, message: "internal server error", temporary: true }),
    "1f0802121b08641215696e7465726e616c20736572766572206572726f721801",
  ],
  [
    "a publication",
    protobufCodec.publication("news", { payload: Payload.of({ text: "grüße" }), info, offset: 1, time: 0 }),
    "43224112046e657773223922127b2274657874223a226772c3bcc39f65227d2a210a05616c6963651206434c49454e541a107b226e616d65" +
    "223a22616c696365227d3001",
  ],
  ["a disconnect", protobufCodec.disconnect(3001, "shutdown"), "11220f5a0d08b917120873687574646f776e"],
  [
    "a refresh",
    protobufCodec.reply(11, { name: "refresh", client: "c1", ttl: 300 }),
    "18080b72140a0263311209706c7567626f617264180120ac02",
  ],
];

for (const [what, message, bytes] of MESSAGES) {
  Deno.test(`B17 ${what} has the bytes that every decoder expects`, () => {
    assert.equal((message as Uint8Array).toHex(), bytes);
  });
}

Deno.test("B17 an emulation request has the bytes that every encoder writes", () => {
  const subscribe = Uint8Array.fromHex(COMMANDS[0]![1]);
  const bytes = "0a016e1201731a0f0e08022a0a0a046e65777358017001";
  const { session, node, frame } = protobufCodec.decodeEmulation(Uint8Array.fromHex(bytes));
  assert.deepEqual([session, node, frame], ["s", "n", subscribe]);
  assert.deepEqual([...encodeEmulation("s", "n", subscribe)].sort(), [...Uint8Array.fromHex(bytes)].sort());
});
