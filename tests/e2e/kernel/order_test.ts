import assert from "node:assert/strict";
import fc from "fast-check";
import { Audience, type Connection, type Framing, type Message, type Plugin } from "../../../core/mod.ts";
import { type Lane, makeLane, Outbox } from "../../../core/connections/outbox.ts";
import { serve, until } from "../../kit/mod.ts";

/** An endpoint at `/work`. Each message says how many turns its handler takes. */
function worker(handled: string[]): Plugin {
  return {
    name: "worker",
    endpoints: [{
      name: "worker",
      path: "/work",
      open: (conn) => ({
        message(text) {
          const [turns] = text.split(" ");
          if (turns === "0") return finish(conn, text);
          return (async () => {
            for (let left = Number(turns); left > 0; left--) {
              await new Promise((resolve) => setImmediate(resolve));
            }
            finish(conn, text);
          })();
        },
      }),
    }],
  };
  function finish(conn: Connection, text: string): void {
    handled.push(text);
    conn.send(text);
  }
}

Deno.test("async handlers never reorder one connection's messages", async () => {
  const handled: string[] = [];
  await using server = await serve({}, worker(handled));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(4), { minLength: 1, maxLength: 30 }), async (turns) => {
      handled.length = 0;
      await using client = await server.connect("/work");
      const sent = turns.map((count, i) => `${count} ${i}`);
      for (const text of sent) client.send(text);
      const answers: string[] = [];
      while (answers.length < sent.length) answers.push(await client.nextText());
      assert.deepEqual(answers, sent);
      assert.deepEqual(handled, sent);
    }),
    { numRuns: 50 },
  );
});

Deno.test("messages that wait for a handler are bounded", async () => {
  const stuck: Plugin = {
    name: "stuck",
    endpoints: [{ name: "stuck", path: "/stuck", open: () => ({ message: () => new Promise(() => {}) }) }],
  };
  await using server = await serve(
    { drainMs: 50, maxWaitingBytes: 1_000, pingIntervalMs: 200, pongTimeoutMs: 100 },
    stuck,
  );
  const client = await server.connect("/stuck");
  for (let i = 0; i < 20; i++) client.send("1 x");
  assert.equal((await client.closed).code, 3013);
});

/** A sender that records its frames. */
class FakeSender {
  readonly frames: Message[] = [];
  batch: Lane["root"] | undefined;
  constructor(readonly lane: Lane, readonly outbox: Outbox) {}
  send(message: string): void {
    if (this.batch === undefined) this.outbox.add(this);
    this.batch = (this.batch ?? this.lane.root).with(message);
  }
  flush(): void {
    this.frames.push(...this.batch!.frames(this.lane).frames);
    this.batch = undefined;
  }
  retry(): boolean {
    return false;
  }
}

for (const separator of ["\n", undefined]) {
  Deno.test(`each connection receives what was sent to it, in order, ${separator ? "joined" : "frame by frame"}`, async () => {
    const send = fc.tuple(fc.subarray([0, 1, 2, 3], { minLength: 1 }), fc.constantFrom("a", "b", "c", "d"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(send, { maxLength: 12 }), { maxLength: 4 }), async (turns) => {
        const outbox = new Outbox();
        const lane = makeLane(separator ? (messages) => messages.join(separator) : undefined);
        const senders = Array.from({ length: 4 }, () => new FakeSender(lane, outbox));
        const expected: string[][] = senders.map(() => []);
        for (const turn of turns) {
          for (const [to, message] of turn) {
            for (const i of to) {
              senders[i]!.send(message);
              expected[i]!.push(message);
            }
          }
          await new Promise((resolve) => setImmediate(resolve));
        }
        for (const [i, { frames }] of senders.entries()) {
          const messages = frames.flatMap((frame) =>
            separator ? (frame as string).split(separator) : [frame]
          );
          assert.deepEqual(messages, expected[i]);
          if (separator) assert.ok(frames.length <= turns.length, "more than one frame in a turn");
        }
      }),
    );
  });
}

Deno.test("an audience encodes once for each format, skips one member, and counts the receivers", async () => {
  const audience = new Audience();
  const framings: Record<string, Framing<"text">> = {
    one: { accepts: "text", format: { toString: () => "one" } },
    other: { accepts: "text", format: { toString: () => "other" } },
  };
  const endpoint = (name: string) => ({
    name,
    path: `/${name}`,
    framing: () => framings[name]!,
    open(conn: Connection) {
      audience.add(conn);
      return { message() {}, close: () => void audience.delete(conn) };
    },
  });
  await using server = await serve({}, { name: "two", endpoints: [endpoint("one"), endpoint("other")] });
  const clients = [];
  for (const path of ["/one", "/other", "/one", "/other", "/one"]) clients.push(await server.connect(path));
  await until("all of them", () => audience.size === 5);
  const encoded: string[] = [];
  const reached = audience.send(({ format }) => {
    encoded.push(String(format));
    return `in ${format}`;
  });
  assert.equal(reached, 5);
  assert.deepEqual(encoded.sort(), ["one", "other"]);
  for (const [i, client] of clients.entries()) {
    assert.equal(await client.next(), i % 2 === 0 ? "in one" : "in other");
  }
  const [first] = audience;
  assert.equal(audience.send("but one", first), 4);
  for (const client of clients.slice(1)) assert.equal(await client.next(), "but one");
  for (const client of clients) await client.close();
});
