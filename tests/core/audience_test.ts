import assert from "node:assert/strict";
import fc from "fast-check";
import {
  Audience,
  closeCodes,
  type Connection,
  type Endpoint,
  type Framing,
  type Message,
} from "../../core/mod.ts";
import { type FakeTransport, offline, turn } from "../kit/mod.ts";

const SEPARATOR = "\n";

/** Joins lines of text, and concatenates bytes. */
function join(messages: readonly Message[]): Message {
  if (messages.every((message) => typeof message === "string")) return messages.join(SEPARATOR);
  return Uint8Array.from(messages.flatMap((message) => {
    assert(typeof message !== "string", "joined messages are of one kind");
    return [...message];
  }));
}

const lines: Framing = { accepts: "any", format: { toString: () => "lines" }, join };
const frames: Framing = { accepts: "any", format: { toString: () => "frames" } };

/** Endpoints with and without joined messages, two of them with the same format. */
const endpoints: Endpoint[] = [
  { name: "joined", path: "/a", framing: () => lines, open: () => ({ message() {} }) },
  { name: "single", path: "/b", framing: () => frames, open: () => ({ message() {} }) },
  { name: "joined too", path: "/c", framing: () => lines, open: () => ({ message() {} }) },
];

interface Client {
  readonly conn: Connection;
  readonly transport: FakeTransport;
  /** What it should receive. */
  readonly expected: string[];
}

/** The messages that a client received. */
function received({ transport }: Client): string[] {
  return transport.frames.flatMap((frame) =>
    typeof frame === "string" ? frame.split(SEPARATOR) : [...frame].map((byte) => `<${byte}>`)
  );
}

const payload = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", "c", "", "longer one") },
  { weight: 1, arbitrary: fc.nat(255).map((byte) => Uint8Array.of(byte)) },
);
const clientIndex = fc.nat(5);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("publish" as const), payload, except: fc.option(clientIndex) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("send" as const), payload, to: clientIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("turn" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), who: clientIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), who: clientIndex }) },
);

Deno.test("each connection receives its own messages, all of them, once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      await using server = await offline({});
      const audience = new Audience();
      const clients: Client[] = [];
      for (let i = 0; i < 6; i++) {
        const client = await server.connect(endpoints[i % 3]!);
        audience.add(client.conn);
        clients.push({ ...client, expected: [] });
      }
      const expect = (client: Client, message: Message, format: boolean) => {
        if (typeof message !== "string") client.expected.push(`<${message}>`);
        else client.expected.push(format ? `${client.conn.format} ${message}` : message);
      };
      for (const each of steps) {
        if (each.do === "turn") await turn();
        else if (each.do === "leave") audience.delete(clients[each.who]!.conn);
        else if (each.do === "close") clients[each.who]!.conn.close(closeCodes.normal);
        else if (each.do === "send") {
          const client = clients[each.to]!;
          const open = client.conn.open;
          assert.equal(client.conn.send(each.payload), open);
          if (open) expect(client, each.payload, false);
        } else {
          const except = each.except === null ? undefined : clients[each.except]!.conn;
          const reached = clients.filter(({ conn }) => conn.open && audience.has(conn) && conn !== except);
          const formats: unknown[] = [];
          const members = [...audience].filter((conn) => conn !== except);
          const count = audience.send((conn) => {
            formats.push(conn.format);
            return typeof each.payload === "string" ? `${conn.format} ${each.payload}` : each.payload;
          }, except);
          assert.equal(count, reached.length);
          assert.equal(new Set(formats).size, formats.length, "encoded once for each format");
          assert.deepEqual(new Set(formats), new Set(members.map(({ format }) => format)));
          for (const client of reached) expect(client, each.payload, true);
        }
      }
      await turn();
      for (const client of clients) assert.deepEqual(received(client), client.expected);
      for (const { transport, conn } of clients) {
        if (conn.format !== lines.format) continue;
        // Neighbors of one kind in one turn share a frame.
        const turns = 2 + steps.filter((each) => each.do === "turn").length;
        const bytes = transport.frames.filter((frame) => typeof frame !== "string").length;
        assert.ok(transport.frames.length <= turns + 2 * bytes);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("an audience holds each member once, in order, until it is deleted", async () => {
  await using server = await offline({});
  const audience = new Audience();
  const conns: Connection[] = [];
  for (let i = 0; i < 3; i++) conns.push((await server.connect(endpoints[0]!)).conn);
  assert.deepEqual(conns.map((conn) => audience.add(conn)), [true, true, true]);
  assert.equal(audience.add(conns[1]!), false);
  assert.deepEqual([audience.size, [...audience]], [3, conns]);
  assert.deepEqual([audience.delete(conns[1]!), audience.delete(conns[1]!)], [true, false]);
  assert.deepEqual([audience.has(conns[1]!), audience.size], [false, 2]);
  assert.equal(new Audience().send("to nobody"), 0);
});

Deno.test("joined frames have at most 64 KiB, and a larger message is a frame of its own", async () => {
  await using server = await offline({ maxQueuedBytes: 10_000_000 });
  const { conn, transport } = await server.connect(endpoints[0]!);
  const messages = [..."abcde"].map((letter) => letter.repeat(30_000));
  messages.splice(2, 0, "x".repeat(100_000));
  for (const message of messages) conn.send(message);
  await turn();
  assert.deepEqual(transport.frames.map((frame) => frame.length), [60_001, 100_000, 60_001, 30_000]);
  assert.deepEqual(transport.frames.flatMap((frame) => (frame as string).split(SEPARATOR)), messages);
});

Deno.test("bytes are joined like text, up to the same limit, and never with text", async () => {
  await using server = await offline({ maxQueuedBytes: 10_000_000 });
  const { conn, transport } = await server.connect(endpoints[0]!);
  const messages = ["a", "b", [1], [2], [3], "c", new Array(30_000).fill(4), new Array(40_000).fill(5)];
  for (const message of messages) conn.send(typeof message === "string" ? message : Uint8Array.from(message));
  await turn();
  assert.deepEqual(transport.frames.slice(0, 3), ["a\nb", Uint8Array.of(1, 2, 3), "c"]);
  assert.deepEqual(transport.frames.slice(3).map((frame) => [frame.length, frame[0]]), [[30_000, 4], [
    40_000,
    5,
  ]]);
});

Deno.test("messages of one turn share a frame, and none waits longer", async () => {
  await using server = await offline({});
  const { conn, transport } = await server.connect(endpoints[0]!);
  conn.send("one");
  assert.deepEqual(transport.frames, []);
  await Promise.resolve();
  conn.send("two");
  await turn();
  assert.deepEqual(transport.frames, ["one\ntwo"]);
});
