/** The transport under HTTP streams, by itself. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  streamFormat,
  type StreamTransport,
  streamTransport,
} from "../../../plugins/protocols/centrifuge/stream_transport.ts";
import { FakeClock, until } from "../../kit/mod.ts";

const lines = streamFormat("", "", "\n");

/** A transport, and who was told that it has gone. */
function transportWith(
  clock = new FakeClock(),
): { transport: StreamTransport; clock: FakeClock; gone: boolean[] } {
  const gone: boolean[] = [];
  return { transport: streamTransport(lines, clock, (byClient) => gone.push(byClient)), clock, gone };
}

const decoded = (bytes: Uint8Array | undefined) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

Deno.test("whatever is sent and however it is read, whole frames arrive in their order", async () => {
  const frames = fc.array(
    fc.oneof(fc.string({ unit: "grapheme", minLength: 1 }), fc.constant("x".repeat(50_000))),
  );
  await fc.assert(fc.asyncProperty(fc.array(frames, { maxLength: 6 }), async (turns) => {
    const { transport } = transportWith();
    const reader = transport.body.getReader();
    let text = "";
    for (const turn of turns) {
      for (const frame of turn) transport.send(frame);
      if (turn.length > 0) {
        const chunk = decoded((await reader.read()).value);
        assert.ok(chunk.endsWith("\n"));
        text += chunk;
      }
    }
    transport.close(3000, "end");
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += decoded(part.value);
    const farewell = `{"push":{"disconnect":{"code":3000,"reason":"end"}}}`;
    assert.equal(text, [...turns.flat(), farewell].map((frame) => frame + "\n").join(""));
  }));
});

Deno.test("what is not read yet is counted in bytes", async () => {
  const { transport } = transportWith();
  const reader = transport.body.getReader();
  transport.send("ü");
  transport.send("abc");
  assert.equal(transport.buffered, 3 + 4);
  const { value } = await reader.read();
  assert.equal(decoded(value), "ü\nabc\n");
  assert.equal(transport.buffered, 7, "the reader may still be busy with it");
  const waiting = reader.read();
  await until("asking for more", () => transport.buffered === 0);
  transport.send("d");
  assert.equal(decoded((await waiting).value), "d\n");
});

Deno.test("a reader that has left is told of, and what it has not read is gone", async () => {
  const { transport, gone, clock } = transportWith();
  transport.send("x".repeat(1_000));
  await transport.body.cancel();
  assert.deepEqual([transport.buffered, gone], [0, [true]]);
  transport.send("more");
  transport.close(3000, "end");
  assert.deepEqual([transport.buffered, gone, clock.pending], [0, [true], 0]);
});

Deno.test("after the end a reader has some time to fetch the rest, then that is gone", async () => {
  const { transport, gone, clock } = transportWith();
  const reader = transport.body.getReader();
  transport.send("x".repeat(200_000));
  transport.close(3008, "slow");
  assert.ok(transport.buffered > 200_000);
  assert.deepEqual(gone, []);
  clock.advance(5_000);
  assert.deepEqual([transport.buffered, gone, clock.pending], [0, [false], 0]);
  assert.equal((await reader.read()).done, true);
});

Deno.test("readers of the same frames share their bytes", async () => {
  const [first, second] = [transportWith().transport, transportWith().transport];
  for (const { send } of [first, second]) send("the same");
  const chunks = [first, second].map(async ({ body }) => (await body.getReader().read()).value);
  assert.equal(await chunks[0], await chunks[1]);
});
