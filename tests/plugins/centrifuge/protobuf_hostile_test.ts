/** Clients that send what is no Protobuf are disconnected with the protocol's code, and disturb nobody. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type CentrifugeServer, centrifugeServer, connectIn, TRANSPORTS } from "../../kit/centrifuge.ts";
import { type Client, within } from "../../kit/mod.ts";
import {
  decodeReplies,
  encodeEmulation,
  encodeLines,
  encodeMessage,
  PROTOBUF,
} from "../../kit/protobuf_client.ts";

const CONNECT = encodeLines(`{"connect":{},"id":1}`);
const RPC = encodeLines(`{"rpc":{},"id":2}`);

async function connected({ test }: CentrifugeServer): Promise<Client> {
  const client = await test.connect(TRANSPORTS.websocket, [PROTOBUF]);
  client.send(CONNECT);
  await client.next();
  return client;
}

/** A command that subscribes with a filter of nodes within nodes. */
function nestedFilter(depth: number): Uint8Array<ArrayBuffer> {
  let tf: Record<string, unknown> = { key: "k", cmp: "ex" };
  for (let i = 0; i < depth; i++) tf = { op: "not", nodes: [tf] };
  return encodeMessage("Command", { id: 2, subscribe: { channel: "a", tf } });
}

const joined = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));

const hostile: Record<string, Uint8Array<ArrayBuffer>> = {
  "nothing": new Uint8Array(),
  "a truncated command": CONNECT.slice(0, -1),
  "a command and a truncated one": joined(RPC, RPC.slice(0, -1)),
  "a length of 2^63": Uint8Array.of(128, 128, 128, 128, 128, 128, 128, 128, 128, 1),
  "a length without end": new Uint8Array(60_000).fill(255),
  "an id as a text": Uint8Array.of(3, 10, 1, 65),
  "a command as a number": Uint8Array.of(2, 5 << 3, 1),
  "a group": Uint8Array.of(2, 20 << 3 | 3, 0xa4),
  "a channel that is not UTF-8": Uint8Array.of(7, 8, 2, 42, 3, 10, 1, 255),
  "an offset beyond 2^53": joined(
    Uint8Array.of(17, 8, 2, 42, 13, 10, 1, 97, 56),
    new Uint8Array(8).fill(255),
    Uint8Array.of(127),
  ),
  "a filter that is nested too deeply": nestedFilter(1_000),
  "JSON": new TextEncoder().encode(`{"connect":{},"id":1}`),
  "60,000 pongs": new Uint8Array(60_000),
};

for (const [what, frame] of Object.entries(hostile)) {
  Deno.test(`B17 a client that sends ${what} is disconnected with 3501, before and after it has signed in`, async () => {
    await using server = await centrifugeServer();
    await using bystander = await connected(server);
    await using first = await server.test.connect(TRANSPORTS.websocket, [PROTOBUF]);
    await using later = await connected(server);
    for (const client of [first, later]) {
      client.send(frame);
      assert.equal((await within("the close", client.closed)).code, 3501);
    }
    bystander.send(RPC);
    assert.equal(decodeReplies(await bystander.next() as Uint8Array)[0]!.id, 2);
    assert.equal(server.test.log.size, 0);
  });
}

Deno.test("B17 what comes before a malformed command is answered", async () => {
  await using server = await centrifugeServer();
  await using client = await connected(server);
  client.send(joined(encodeLines(`{"unsubscribe":{"channel":"a"},"id":2}`), RPC.slice(0, -1)));
  assert.equal(decodeReplies(await client.next() as Uint8Array)[0]!.id, 2);
  assert.equal((await client.closed).code, 3501);
});

Deno.test("B17 a frame of 10 MB ends the connection with 1009, and its parts are not decoded", async () => {
  await using server = await centrifugeServer();
  await using client = await connected(server);
  client.send(new Uint8Array(10_000_000).fill(1));
  assert.equal((await within("the close", client.closed)).code, 1009);
  assert.equal(server.test.log.size, 0);
});

Deno.test("B17 no bytes make the server fail", async () => {
  await using server = await centrifugeServer();
  await using bystander = await connectIn(server, "json");
  bystander.send(`{"connect":{},"id":1}`);
  await bystander.nextText();
  const change = fc.tuple(fc.nat(60), fc.nat(255));
  const frames = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
      const frame = joined(nestedFilter(3), RPC);
      for (const [at, byte] of changes) frame[at % frame.length] = byte;
      return frame;
    }),
  );
  await fc.assert(
    fc.asyncProperty(frames, async (frame) => {
      await using client = await connected(server);
      client.send(new Uint8Array(frame));
      client.send(encodeLines(`{"rpc":{},"id":4242}`));
      for (;;) {
        const answer = await client.next().catch(() => undefined);
        if (answer === undefined) break;
        if (decodeReplies(answer as Uint8Array).some(({ id }) => id === 4242)) return;
      }
      const { code } = await client.closed;
      assert.ok([3501, 3508].includes(code), `closed with ${code}`);
    }),
    { numRuns: 200 },
  );
  bystander.send(`{"publish":{"channel":"quiet","data":1},"id":2}`);
  assert.deepEqual(await bystander.nextJson(), { id: 2, publish: {} });
  assert.deepEqual(server.test.log.take(), []);
});

Deno.test("B17 malformed bodies end a stream with 3501, and are refused by the emulation endpoint", async () => {
  await using server = await centrifugeServer();
  const post = (path: string, body: Uint8Array<ArrayBuffer>) =>
    server.test.fetch(path, {
      method: "POST",
      body,
      headers: { "content-type": "application/octet-stream" },
    });
  for (const body of [new Uint8Array(), CONNECT.slice(0, -1), Uint8Array.of(2, 8, 1, 255)]) {
    const response = await post(TRANSPORTS.http_stream, body);
    const [{ push } = assert.fail()] = decodeReplies(await response.bytes());
    assert.deepEqual(push, { disconnect: { code: 3501, reason: "bad request" } });
  }
  const emulated: [body: Uint8Array<ArrayBuffer>, status: number][] = [
    [Uint8Array.of(10, 5, 1), 400],
    [Uint8Array.of(8, 1), 400],
    [new Uint8Array(), 404],
    [encodeEmulation("s", "unknown", RPC), 404],
  ];
  for (const [body, status] of emulated) {
    const response = await post("/emulation", body);
    await response.body?.cancel();
    assert.equal(response.status, status);
  }
  assert.equal(server.test.log.size, 0);
});
