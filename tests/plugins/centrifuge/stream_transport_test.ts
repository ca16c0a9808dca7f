/** The transport of HTTP streams. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { jsonCodec } from "../../../plugins/protocols/centrifuge/json_codec.ts";
import {
  type StreamTransport,
  streamTransport,
} from "../../../plugins/protocols/centrifuge/stream_transport.ts";
import { FakeClock, until } from "../../kit/mod.ts";

/** A transport, and its calls of `ended`. */
function transportWith(
  clock = new FakeClock(),
): { transport: StreamTransport; clock: FakeClock; ends: boolean[] } {
  const ends: boolean[] = [];
  const { httpStream: framing, disconnect } = jsonCodec;
  const transport = streamTransport({ framing, clock, disconnect, ended: (byClient) => ends.push(byClient) });
  return { transport, clock, ends };
}

const decoded = (bytes: Uint8Array | undefined) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

Deno.test("frames arrive whole and in order, whatever is sent and however it is read", async () => {
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
    const last = `{"push":{"disconnect":{"code":3000,"reason":"end"}}}`;
    assert.equal(text, [...turns.flat(), last].map((frame) => frame + "\n").join(""));
  }));
});

Deno.test("unread bytes are counted", async () => {
  const { transport } = transportWith();
  const reader = transport.body.getReader();
  transport.send("ü");
  transport.send("abc");
  assert.equal(transport.buffered, 3 + 4);
  const { value } = await reader.read();
  assert.equal(decoded(value), "ü\nabc\n");
  assert.equal(transport.buffered, 7, "the reader may still be working on them");
  const waiting = reader.read();
  await until("asking for more", () => transport.buffered === 0);
  transport.send("d");
  assert.equal(decoded((await waiting).value), "d\n");
});

Deno.test("a reader that leaves is reported, and unread frames are dropped", async () => {
  const { transport, ends, clock } = transportWith();
  transport.send("x".repeat(1_000));
  await transport.body.cancel();
  assert.deepEqual([transport.buffered, ends], [0, [true]]);
  transport.send("more");
  transport.close(3000, "end");
  assert.deepEqual([transport.buffered, ends, clock.pending], [0, [true], 0]);
});

Deno.test("after the end a reader has some time to fetch the rest", async () => {
  const { transport, ends, clock } = transportWith();
  const reader = transport.body.getReader();
  transport.send("x".repeat(200_000));
  transport.close(3008, "slow");
  assert.ok(transport.buffered > 200_000);
  assert.deepEqual(ends, []);
  clock.advance(5_000);
  assert.deepEqual([transport.buffered, ends, clock.pending], [0, [false], 0]);
  assert.equal((await reader.read()).done, true);
});

Deno.test("streams with the same frames share the bytes", async () => {
  const [first, second] = [transportWith().transport, transportWith().transport];
  for (const { send } of [first, second]) send("the same");
  const chunks = [first, second].map(async ({ body }) => (await body.getReader().read()).value);
  assert.equal(await chunks[0], await chunks[1]);
});
