import assert from "node:assert/strict";
import fc from "fast-check";
import type { Admission, ConnectionLimits, Message } from "../../../core/mod.ts";
import { AWAITED, DONE, type Progress } from "../../../plugins/workers/messages.ts";
import { Link } from "../../../plugins/workers/link.ts";
import { RemoteTransport } from "../../../plugins/workers/remote_transport.ts";

const LIMITS: ConnectionLimits = {
  maxMessageBytes: 65_536,
  maxQueuedBytes: 1_000,
  maxWaitingBytes: 1_000_000,
};

/** A link whose posts are recorded, and transports on it. */
function linked(count: number, done = 0) {
  const posts: unknown[][] = [];
  const progress: Progress = new Int32Array(new SharedArrayBuffer(8));
  progress[DONE] = done;
  const link = new Link(progress, (batch) => void posts.push(batch));
  const transports = Array.from(
    { length: count },
    (_, i) => new RemoteTransport(i, link, { limits: LIMITS } as Admission),
  );
  const confirm = (count: number) => void (progress[DONE] = count);
  return { posts, link, progress, confirm, transports };
}

/** What the orders of a post send to each connection, in order. */
function sentBy(batch: readonly unknown[], count: number): Message[][] {
  const received: Message[][] = Array.from({ length: count }, () => []);
  for (let i = 0; i < batch.length; i += 3) {
    const [what, to, frames] = batch.slice(i, i + 3) as [string, number | Uint32Array, Message | Message[]];
    if (what !== "send") continue;
    for (const number of typeof to === "number" ? [to] : to) received[number]!.push(...[frames].flat());
  }
  return received;
}

Deno.test("frames of a turn cross once for all connections that get the same ones", async () => {
  const { posts, transports } = linked(1_000);
  const both = ["one", "two"];
  for (const transport of transports) transport.sendAll(both, 6);
  transports[7]!.close(3000, "later");
  await Promise.resolve();
  assert.equal(posts.length, 1);
  const [what, to, frames, ...rest] = posts[0]!;
  assert.deepEqual([what, (to as Uint32Array).length, frames], ["send", 1_000, ["one", "two"]]);
  assert.deepEqual(rest, ["close", 7, { code: 3000, reason: "later" }]);
});

Deno.test("readers of two encodings share two sequences", async () => {
  const { posts, transports } = linked(100);
  const [json, protobuf] = [["json"], ["protobuf"]];
  for (const [i, transport] of transports.entries()) transport.sendAll(i % 2 === 0 ? json : protobuf, 4);
  await Promise.resolve();
  assert.equal(posts[0]!.length, 6);
});

Deno.test("each connection receives what was sent to it, in order", async () => {
  const shared = [["a"], ["b"], ["c", "c"], ["d"]];
  const send = fc.tuple(fc.subarray([0, 1, 2, 3], { minLength: 1 }), fc.constantFrom(...shared));
  await fc.assert(fc.asyncProperty(fc.array(send, { maxLength: 30 }), async (sends) => {
    const { posts, transports } = linked(4);
    const expected: Message[][] = transports.map(() => []);
    for (const [to, frames] of sends) {
      for (const i of to) {
        transports[i]!.sendAll(frames, frames.length);
        expected[i]!.push(...frames);
      }
    }
    await Promise.resolve();
    assert.deepEqual(sentBy(posts[0] ?? [], 4), expected);
  }));
});

Deno.test("connections wait while the worker writes, and leave when it reports, or at the latest when it is late", async () => {
  const { link, posts, progress, confirm, transports: [transport] } = linked(1);
  const flushed: string[] = [];
  const wait = (name: string) =>
    link.add({
      flush: () => {
        flushed.push(name);
        transport!.send(name);
      },
    });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  wait("first");
  await turn();
  assert.deepEqual([flushed, posts.length, progress[AWAITED]], [["first"], 1, 0]);
  wait("second");
  wait("third");
  await turn();
  assert.deepEqual([flushed, posts.length, progress[AWAITED]], [["first"], 1, 1]);
  confirm(1);
  link.proceed();
  await turn();
  assert.deepEqual([flushed, posts.length], [["first", "second", "third"], 2]);
  wait("fourth");
  await turn();
  assert.equal(flushed.length, 3);
  link.release();
  assert.equal(flushed.at(-1), "fourth");
});

Deno.test("bytes that are part of a large buffer cross alone", async () => {
  const { posts, transports: [transport] } = linked(1);
  transport!.send(new Uint8Array(1_000_000).subarray(10, 20));
  await Promise.resolve();
  assert.equal((posts[0]![2] as Uint8Array).buffer.byteLength, 10);
});

Deno.test("what a worker has not confirmed counts as queued, and what it reports", async () => {
  const { confirm, transports: [transport] } = linked(1);
  const post = async (text: string) => {
    transport!.send(text);
    await Promise.resolve();
  };
  await post("12345");
  assert.equal(transport!.buffered, 5);
  await post("123");
  assert.equal(transport!.buffered, 8);
  confirm(1);
  assert.equal(transport!.buffered, 3);
  // Never more than two windows, although there is always an open post.
  for (let i = 2; i < 100; i++) {
    await post("1234567890");
    confirm(i);
    assert.ok(transport!.buffered <= 20, `${transport!.buffered}`);
  }
  confirm(100);
  assert.equal(transport!.buffered, 0);
  transport!.queued = 1_000;
  assert.equal(transport!.buffered, 1_000);
});

Deno.test("a frame may have any length while little waits, and what follows it is limited", async () => {
  const { confirm, transports: [transport] } = linked(1);
  const fits = (length: number) => transport!.sendAll(["x".repeat(length)], length);
  assert.ok(fits(5_000));
  await Promise.resolve();
  assert.ok(fits(300), "it follows a long one");
  assert.ok(!fits(300), "the limit is 1,000, of which 500 are the first one's");
  await Promise.resolve();
  confirm(2);
  assert.ok(fits(900));
  await Promise.resolve();
  assert.ok(!fits(101));
  confirm(4);
  assert.ok(!transport!.sendAll(["x".repeat(600), "x".repeat(600)], 1_200), "two at once, as in a backlog");
});

Deno.test("the number of posts may exceed what the shared memory can count", async () => {
  const start = 2 ** 31 - 3;
  const { link, confirm, transports: [transport] } = linked(1, start);
  for (let i = 1; i <= 6; i++) {
    transport!.send("12345");
    await Promise.resolve();
    assert.equal(transport!.buffered, 5, `post ${i}`);
    assert.ok(link.lag(Infinity) > 0);
    confirm(start + i);
    assert.deepEqual([transport!.buffered, link.lag(Infinity)], [0, 0]);
  }
});
