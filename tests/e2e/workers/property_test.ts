/** Whatever clients and the server do, a server with workers behaves as one without. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type AnyPlugin, closeCode, type Connection, type Framing, type Message } from "../../../core/mod.ts";
import { workers } from "../../../plugins/workers.ts";
import { Client, serve, until } from "../../kit/mod.ts";

const CLIENTS = 5;
const ROUNDS = 10;
const KICKED = closeCode(4_501, "kicked");
const ANY: Framing = { accepts: "any", format: Symbol("any") };

const client = fc.nat(CLIENTS - 1);
const message = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 50 }));
const messages = fc.array(message, { minLength: 1, maxLength: 20 });
const readers = fc.subarray([...Array(CLIENTS).keys()], { minLength: 1 });
const step = fc.oneof(
  fc.record({ do: fc.constant("send" as const), client, messages }),
  fc.record({ do: fc.constant("publish" as const), readers, messages }),
  // More than a socket takes at once, so it waits in the backlogs.
  fc.record({ do: fc.constant("stall" as const), readers, frames: fc.nat(20) }),
  fc.record({ do: fc.constant("leave" as const), client }),
  // Closed while much waits, which is sent first.
  fc.record({ do: fc.constant("kick" as const), client, frames: fc.nat(20) }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** What the server and the clients have seen, in order of connections. */
interface Seen {
  readonly server: (readonly string[])[];
  readonly clients: (readonly string[])[];
}

/** A connection as both sides see it. */
interface Pair {
  readonly client: Client;
  readonly conn: Connection;
  readonly atServer: string[];
  readonly atClient: string[];
}

const shown = (data: Message) => typeof data === "string" ? data.slice(0, 20) : `bytes ${data}`;

/** Makes a server whose connections report to the latest pair of their client. */
async function theater(count: number) {
  const opened = new Map<string, { conn: Connection; log: string[] }>();
  const plugin: AnyPlugin = {
    name: "theater",
    endpoints: [{
      name: "theater",
      path: "/:number",
      framing: () => ANY,
      maxQueuedBytes: 33_554_432,
      open(conn, { params: { number } }) {
        const log: string[] = [];
        opened.set(number!, { conn, log });
        return {
          message(data: Message) {
            log.push(shown(data));
            conn.send(data);
          },
          close: ({ code, by }) => void log.push(`closed ${code} by ${by}`),
        };
      },
    }],
  };
  const server = await serve({}, plugin, ...count > 0 ? [workers({ count })] : []);
  let last = 0;
  return {
    async pair(): Promise<Pair> {
      const number = String(++last);
      const client = await server.connect(`/${number}`);
      await until("the connection", () => opened.has(number));
      const { conn, log } = opened.get(number)!;
      return { client, conn, atServer: log, atClient: [] };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Performs the steps, each until both sides have seen it. */
async function perform(steps: readonly Step[], stage: Awaited<ReturnType<typeof theater>>): Promise<Seen> {
  const all: Pair[] = [];
  const current: Pair[] = [];
  const enter = async (i: number) => void all.push(current[i] = await stage.pair());
  const receive = async ({ client, atClient }: Pair, count: number) => {
    for (let i = 0; i < count; i++) atClient.push(shown(await client.next()));
  };
  const end = async ({ client, atClient, atServer }: Pair) => {
    const { code, reason } = await client.closed;
    atClient.push(`closed ${code} ${reason}`);
    await until("the end", () => atServer.at(-1)?.startsWith("closed") ?? false);
  };
  for (let i = 0; i < CLIENTS; i++) await enter(i);
  for (const step of steps) {
    if (step.do === "send") {
      const pair = current[step.client]!;
      for (const each of step.messages) pair.client.send(each as string);
      await receive(pair, step.messages.length);
    } else if (step.do === "publish" || step.do === "stall") {
      const texts = step.do === "publish"
        ? step.messages
        : Array.from({ length: step.frames }, (_, i) => `${i} ${"x".repeat(60_000)}`);
      for (const each of texts) for (const i of step.readers) current[i]!.conn.send(each);
      await Promise.all(step.readers.map((i) => receive(current[i]!, texts.length)));
    } else {
      const pair = current[step.client]!;
      const frames = step.do === "kick" ? step.frames : 0;
      for (let i = 0; i < frames; i++) pair.conn.send(`${i} ${"x".repeat(60_000)}`);
      pair.conn.send("last"); // No message is lost at the close.
      if (step.do === "kick") pair.conn.close(KICKED);
      await receive(pair, frames + 1);
      if (step.do === "leave") void pair.client.close(4_000);
      await end(pair);
      await enter(step.client);
    }
  }
  for (const pair of current) {
    pair.client.send("bye");
    await receive(pair, 1);
    await pair.client.close();
    await end(pair);
  }
  return { server: all.map(({ atServer }) => atServer), clients: all.map(({ atClient }) => atClient) };
}

Deno.test("connects, sends, audiences, stalls and closes have the same effects with and without workers", async () => {
  await using without = await theater(0);
  await using within = await theater(2);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
      assert.deepEqual(await perform(steps, within), await perform(steps, without));
    }),
    { numRuns: ROUNDS },
  );
});
