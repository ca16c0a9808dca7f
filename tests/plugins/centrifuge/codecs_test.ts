/** Two encodings at once: which one a client gets, and what clients of both receive. */

import assert from "node:assert/strict";
import { Payload } from "../../../plugins/channels.ts";
import { jsonCodec, protobufCodec } from "../../../plugins/protocols/centrifuge.ts";
import {
  decodeLines,
  decodeReplies,
  encodeEmulation,
  encodeLines,
  encodeMessage,
  type LineClient,
  PROTOBUF,
} from "../../kit/protobuf_client.ts";
import {
  type CentrifugeServer,
  centrifugeServer,
  connectIn,
  type Encoding,
  TRANSPORTS,
} from "../../kit/centrifuge.ts";
import { type Client, turn, until } from "../../kit/mod.ts";

const CONNECT = `{"connect":{},"id":1}`;

/** A client that is subscribed to the channel `a`. */
async function subscriber(server: CentrifugeServer, encoding: Encoding): Promise<LineClient> {
  const client = await connectIn(server, encoding);
  client.send(`${CONNECT}\n{"subscribe":{"channel":"a"},"id":2}`);
  for (let lines = 0; lines < 2;) lines += (await client.nextText()).split("\n").length;
  return client;
}

/** The response of a stream in Protobuf. */
function protobufStream(
  { test }: CentrifugeServer,
  path: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<Response> {
  return test.fetch(path, { method: "POST", body, headers: { "content-type": "application/octet-stream" } });
}

Deno.test("a publication is encoded once per encoding, and shares frames in each", async () => {
  const encoded: string[] = [];
  const counted = (codec: typeof jsonCodec, name: Encoding): typeof jsonCodec => ({
    ...codec,
    publication(channel, publication) {
      encoded.push(`${name} ${publication.offset}`);
      return codec.publication(channel, publication);
    },
  });
  const codecs = [counted(jsonCodec, "json"), counted(protobufCodec, "protobuf")] as const;
  await using server = await centrifugeServer({ centrifuge: { codecs } });
  await using first = await subscriber(server, "json");
  await using second = await subscriber(server, "protobuf");
  await using third = await subscriber(server, "json");
  await using fourth = await subscriber(server, "protobuf");
  await turn();
  await Promise.all([1, 2, 3].map((n) => server.bus.publish("a", { n })));
  const lines = [1, 2, 3].map((n) => `{"push":{"channel":"a","pub":{"data":{"n":${n}},"offset":${n}}}}`);
  for (const client of [first, second, third, fourth]) {
    assert.equal(await client.nextText(), lines.join("\n"));
  }
  assert.deepEqual(encoded.sort(), ["json 1", "json 2", "json 3", "protobuf 1", "protobuf 2", "protobuf 3"]);
});

const BYTES = Uint8Array.of(0, 255, 10);
const binaryNamespace = { channels: { namespaces: { raw: { payloads: "binary" } } } } as const;

/** The messages that a client gets, until one has a field. */
async function untilReply(client: Client, field: string): Promise<Record<string, Record<string, unknown>>> {
  for (;;) {
    for (const reply of decodeReplies(await client.next() as Uint8Array)) {
      if (Object.hasOwn(reply, field)) return reply as Record<string, Record<string, unknown>>;
    }
  }
}

Deno.test("B17 in a binary namespace any bytes arrive as they were published", async () => {
  await using server = await centrifugeServer(binaryNamespace);
  await using client = await server.test.connect(TRANSPORTS.websocket, [PROTOBUF]);
  client.send(encodeLines(`${CONNECT}\n{"subscribe":{"channel":"raw:a"},"id":2}`));
  const published = [BYTES, new Uint8Array(), new TextEncoder().encode("[1,\n2]")];
  for (const data of published) {
    client.send(encodeMessage("Command", { id: 3, publish: { channel: "raw:a", data } }));
    const { push } = await untilReply(client, "push");
    assert.deepEqual((push!.pub as { data?: Uint8Array }).data ?? new Uint8Array(), data);
  }
  await server.bus.publish("raw:a", BYTES);
  assert.deepEqual(((await untilReply(client, "push")).push!.pub as { data: Uint8Array }).data, BYTES);
  client.send(encodeLines(`{"history":{"channel":"raw:a","limit":10},"id":4}`));
  const { history } = await untilReply(client, "history");
  const kept = (history!.publications as { data?: Uint8Array }[]).map(({ data }) => data ?? new Uint8Array());
  assert.deepEqual(kept, [...published, BYTES]);
});

/** What a JSON client does that would get bytes. */
const receptions: Record<string, (server: CentrifugeServer, client: LineClient) => void> = {
  "a publication": ({ bus }) => void bus.publish("raw:a", BYTES),
  "a history": (_, client) => client.send(`{"history":{"channel":"raw:kept","limit":1},"id":3}`),
  "a recovery": (_, client) =>
    client.send(`{"subscribe":{"channel":"raw:kept","recover":true,"offset":0,"epoch":""},"id":3}`),
  "a result": (_, client) => client.send(`{"rpc":{"method":"bytes"},"id":3}`),
};

for (const [what, receive] of Object.entries(receptions)) {
  Deno.test(`B17 a JSON client that would get bytes with ${what} is disconnected, and others are not`, async () => {
    await using server = await centrifugeServer(binaryNamespace);
    server.methods.define("bytes", { run: () => BYTES });
    await server.bus.publish("raw:kept", BYTES);
    await using json = await connectIn(server, "json");
    await using protobuf = await connectIn(server, "protobuf");
    for (const client of [json, protobuf]) {
      client.send(`${CONNECT}\n{"subscribe":{"channel":"raw:a"},"id":2}`);
      for (let lines = 0; lines < 2;) lines += (await client.nextText()).split("\n").length;
      receive(server, client);
    }
    const { code, reason } = await json.closed;
    assert.deepEqual([code, reason], [3506, "inappropriate protocol"]);
    assert.match(await protobuf.nextText(), /"AP8K"/);
    assert.equal(server.test.log.size, 0);
  });
}

Deno.test("B17 a JSON client of a binary namespace gets what is JSON", async () => {
  await using server = await centrifugeServer(binaryNamespace);
  await using json = await connectIn(server, "json");
  json.send(`${CONNECT}\n{"subscribe":{"channel":"raw:a"},"id":2}`);
  for (let lines = 0; lines < 2;) lines += (await json.nextText()).split("\n").length;
  await server.bus.publish("raw:a", new TextEncoder().encode("[1,\n2.0]"));
  assert.equal(await json.nextText(), `{"push":{"channel":"raw:a","pub":{"data":[1,2.0],"offset":1}}}`);
});

Deno.test("B17 without a binary namespace, a publication that is no JSON is refused", async () => {
  await using server = await centrifugeServer();
  await using client = await server.test.connect(TRANSPORTS.websocket, [PROTOBUF]);
  client.send(encodeLines(CONNECT));
  for (const data of [BYTES, new Uint8Array(), new TextEncoder().encode("{"), Uint8Array.of(34, 255, 34)]) {
    client.send(encodeMessage("Command", { id: 3, publish: { channel: "a", data } }));
    assert.equal((await untilReply(client, "error")).error!.code, 107);
    await assert.rejects(server.bus.publish("a", data), { code: "bad_request" });
  }
  assert.equal((await server.bus.history("a")).top.offset, 0);
});

Deno.test("B17 a method gets JSON as a value, and other bytes as bytes", async () => {
  await using server = await centrifugeServer();
  server.methods.define("same", { run: (value) => value });
  await using client = await server.test.connect(TRANSPORTS.websocket, [PROTOBUF]);
  client.send(encodeLines(CONNECT));
  for (const [sent, got] of [["[1.0]", "[1]"], ["not JSON", "not JSON"]] as const) {
    const data = new TextEncoder().encode(sent);
    client.send(encodeMessage("Command", { id: 3, rpc: { method: "same", data } }));
    const { rpc } = await untilReply(client, "rpc");
    assert.equal(new TextDecoder().decode(rpc!.data as Uint8Array), got);
  }
});

Deno.test("line breaks in a payload do not break a frame, wherever it comes from", async () => {
  await using server = await centrifugeServer();
  await using json = await subscriber(server, "json");
  await using protobuf = await subscriber(server, "protobuf");
  const events = await server.test.fetch(`${TRANSPORTS.sse}?cf_connect=${encodeURIComponent(CONNECT)}`);
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  const nextEvent = async () => {
    let text = "";
    while (!text.endsWith("\n\n")) text += (await reader.read()).value;
    return text;
  };
  const { connect: { session, node } } = JSON.parse((await nextEvent()).split("data: ")[1]!);
  const data = `{"subscribe":{"channel":"a"},"id":2}`;
  const emulated = await server.test.fetch("/emulation", {
    method: "POST",
    body: JSON.stringify({ session, node, data }),
  });
  await emulated.body?.cancel();
  await nextEvent();
  await using writer = await server.test.connect(TRANSPORTS.websocket, [PROTOBUF]);
  writer.send(encodeLines(CONNECT));
  await writer.next();
  const forged = `[1,\r\n\r\n{"push":{"disconnect":{"code":3500}}}\n]`;
  const entrances = [
    () => server.bus.publish("a", Payload.fromJson(forged)),
    () => json.send(`{"publish":{"channel":"a","data":${forged.replaceAll("\n", "\r")}},"id":3}`),
    () =>
      writer.send(encodeMessage("Command", {
        id: 3,
        publish: { channel: "a", data: new TextEncoder().encode(forged) },
      })),
  ];
  for (const enter of entrances) {
    await enter();
    const line = `{"push":{"channel":"a","pub":{"data":[1,{"push":{"disconnect":{"code":3500}}}]`;
    for (const client of [json, protobuf]) {
      const [push = "", ...more] = (await client.nextText()).split("\n");
      assert.ok(push.startsWith(line), push);
      assert.ok(more.every((each) => each.startsWith(`{"id":`)));
    }
    const event = await nextEvent();
    assert.ok(event.startsWith(`data: ${line}`), event);
    assert.match(event, /^[^\r\n]+\n\n$/);
  }
  await reader.cancel();
});

Deno.test("an HTTP stream uses the encoding of its request", async () => {
  await using server = await centrifugeServer();
  const response = await protobufStream(server, TRANSPORTS.http_stream, encodeLines(CONNECT));
  assert.equal(response.headers.get("content-type"), "application/octet-stream");
  const reader = response.body!.getReader();
  const next = async () => decodeLines((await reader.read()).value!);
  const { connect: { session, node } } = JSON.parse(await next());
  const commands = `{"subscribe":{"channel":"a"},"id":2}\n{"publish":{"channel":"a","data":1.0},"id":3}`;
  const request = encodeEmulation(session, node, encodeLines(commands));
  const emulated = await protobufStream(server, "/emulation", request);
  assert.equal(emulated.status, 204);
  const lines = (await next()).split("\n");
  assert.deepEqual(lines.map((line) => Object.keys(JSON.parse(line)).at(-1)), [
    "subscribe",
    "push",
    "publish",
  ]);
  assert.ok(lines[1]!.includes(`"data":1.0,`));
  const malformed = await protobufStream(server, "/emulation", Uint8Array.of(1));
  assert.equal(malformed.status, 400);
  await malformed.body?.cancel();
  const conns = [...server.test.server.connections];
  conns[0]!.close({ code: 3001, reason: "shutdown" });
  assert.equal(await next(), `{"push":{"disconnect":{"code":3001,"reason":"shutdown"}}}`);
  assert.equal((await reader.read()).done, true);
});

Deno.test("server-sent events refuse an encoding that does not support them", async () => {
  await using server = await centrifugeServer();
  const response = await protobufStream(server, TRANSPORTS.sse, encodeLines(CONNECT));
  assert.deepEqual([response.status, (await response.json()).error.code], [400, "not_available"]);
});

Deno.test("a client that asks for no encoding gets the first codec", async () => {
  await using server = await centrifugeServer({ centrifuge: { codecs: [protobufCodec, jsonCodec] } });
  await using protobuf = await server.test.connect(TRANSPORTS.websocket);
  protobuf.send(encodeLines(CONNECT));
  assert.ok(await protobuf.next() instanceof Uint8Array);
  await using json = await server.test.connect(TRANSPORTS.websocket, [jsonCodec.subprotocol]);
  json.send(CONNECT);
  assert.equal(typeof await json.next(), "string");
});

Deno.test("a message without a channel is sent in the client's encoding", async () => {
  await using server = await centrifugeServer();
  for (const encoding of ["json", "protobuf"] as const) {
    await using client = await connectIn(server, encoding);
    client.send(CONNECT);
    await client.nextText();
    const [conn] = server.test.server.connections;
    assert.equal(server.protocol.send(conn!, { n: 1 }), true);
    assert.equal(await client.nextText(), `{"push":{"message":{"data":{"n":1}}}}`);
    await client.close();
    await until("the end", () => server.test.server.connections.size === 0);
    assert.equal(server.protocol.send(conn!, 1), false);
  }
});
