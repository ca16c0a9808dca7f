/** Subscribers that get the same messages share the work. */

import assert from "node:assert/strict";
import type { Connection, PlugboardError } from "../../../core/mod.ts";
import {
  type ChannelEncoder,
  type Channels,
  channels,
  type Delta,
  type NamespaceOptions,
  Payload,
  type PushForm,
  type Subscribed,
  type SubscribeRequest,
} from "../../../plugins/channels.ts";
import { anonymousIdentity } from "../../../plugins/shared/identity.ts";
import { serve } from "../../kit/mod.ts";

/** A client whose messages are the forms in which it gets publications, or the payload's text. */
interface Recorder {
  readonly got: { readonly text: string; readonly form: PushForm | undefined }[];
  readonly subscribed: Subscribed;
  leave(): void;
}

async function serveBus(defaults: NamespaceOptions) {
  const plugin = channels({ defaults: { subscribe: "anyone", ...defaults } });
  const server = await serve({}, plugin);
  return { bus: plugin.api, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

let count = 0;

/** Connects a client; with a `format` of its own, everything is encoded for it alone. */
async function record(bus: Channels, channel: string, request: SubscribeRequest, format: unknown = "shared") {
  const got: Recorder["got"] = [];
  const encoder = {
    channelIds: true,
    publication: (_, { payload }, form) =>
      JSON.stringify({ text: payload.text, index: forms.push(form) - 1 }),
  } as Partial<ChannelEncoder> as ChannelEncoder;
  const forms: (PushForm | undefined)[] = allForms;
  const conn = {
    id: `recorder ${count++}`,
    format,
    open: true,
    send(message: string) {
      const { text, index } = JSON.parse(message);
      got.push({ text, form: forms[index] });
      return true;
    },
  } as Partial<Connection> as Connection;
  const client = bus.connect(conn, { identity: anonymousIdentity, encoder });
  const { promise, resolve } = Promise.withResolvers<Subscribed>();
  await client.subscribe(channel, request, resolve);
  return { got, subscribed: await promise, leave: () => void client.unsubscribe(channel) } satisfies Recorder;
}

/** The form of each encoding, by its number. */
const allForms: (PushForm | undefined)[] = [];

const encodings = async (work: () => Promise<unknown>) => {
  const before = allForms.length;
  await work();
  return allForms.slice(before);
};

const similar = (n: number) => ({ title: "A document", text: "x".repeat(500), n });

Deno.test("B18 a filter that a thousand subscribers share costs one evaluation per publication", async () => {
  await using server = await serveBus({ maxTagFilters: 2, compaction: true });
  const { bus } = server;
  const shared = { filter: { op: "and", nodes: [{ key: "color", cmp: "eq", val: "red" }] } };
  const other = { filter: { key: "size", cmp: "eq", val: "XL" } };
  const recorders = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => record(bus, "shop", { ...shared, compact: i % 2 === 0 })),
  );
  const large = await record(bus, "shop", other);
  let reads = 0;
  /** Counts how often a filter reads the color; publishing checks the tags first. */
  const tags = (color: string) => ({
    get color() {
      reads++;
      return color;
    },
    size: "XL",
  });
  await bus.publish("shop", 1, { tags: tags("red") });
  const checked = reads - 1;
  reads = 0;
  const forms = await encodings(() => bus.publish("shop", 2, { tags: tags("red") }));
  assert.equal(reads, checked + 1);
  assert.equal(forms.length, 3, "by name, by number, and for the other filter");
  reads = 0;
  await bus.publish("shop", 3, { tags: tags("blue") });
  assert.equal(reads, checked + 1);
  for (const { got } of recorders) assert.deepEqual(got.map(({ text }) => text), ["1", "2"]);
  assert.deepEqual(large.got.map(({ text }) => text), ["1", "2", "3"]);
});

Deno.test("B18 a delta is encoded once, and shared by all who have the publication before", async () => {
  await using server = await serveBus({ delta: "fossil" });
  const { bus } = server;
  // Each has a format of its own, so that each message is encoded for one of them.
  const early = await Promise.all(
    [1, 2, 3].map((i) => record(bus, "doc", { delta: "fossil" }, `early ${i}`)),
  );
  await bus.publish("doc", similar(1));
  const late = await record(bus, "doc", { delta: "fossil" }, "late");
  const plain = await record(bus, "doc", {}, "plain");
  for (const n of [2, 3]) await bus.publish("doc", similar(n));
  const deltas = early.map(({ got }) => got.map(({ form }) => form!.delta));
  for (const [first, second, third] of deltas) {
    assert.equal(first, undefined);
    assert.ok(second!.bytes.length < 40 && third!.bytes.length < 40);
    assert.equal(second, deltas[0]![1]);
    assert.equal(third, deltas[0]![2]);
  }
  assert.deepEqual(late.got.map(({ form }) => form!.delta), [undefined, deltas[0]![2]]);
  assert.deepEqual(plain.got.map(({ form }) => form), [undefined, undefined]);
});

Deno.test("B18 clients that reconnect together share the deltas of what they missed", async () => {
  await using server = await serveBus({ delta: "fossil", recovery: "always" });
  const { bus } = server;
  const { epoch } = await bus.publish("doc", similar(0));
  for (const n of [1, 2, 3]) await bus.publish("doc", similar(n));
  const request = { delta: "fossil", recover: { offset: 1, epoch } } as const;
  const [one, other] = await Promise.all([record(bus, "doc", request, 1), record(bus, "doc", request, 2)]);
  const { deltas } = one.subscribed;
  assert.equal(deltas, other.subscribed.deltas);
  assert.deepEqual(deltas!.map((delta) => delta !== undefined), [false, true, true]);
  await bus.publish("doc", similar(4));
  assert.ok(one.got[0]!.form!.delta!.bytes.length < 40, "the last recovered is the base");
  assert.equal(one.got[0]!.form!.delta, other.got[0]!.form!.delta);
});

Deno.test("B18 a publication that is not similar, small or very large is sent as it is", async () => {
  await using server = await serveBus({ delta: "fossil" });
  const { bus } = server;
  const { got } = await record(bus, "doc", { delta: "fossil" });
  const large = "x".repeat(150_000);
  const payloads = [similar(1), crypto.randomUUID().repeat(10), 1, 2, large, large, similar(2), similar(2)];
  for (const payload of payloads) await bus.publish("doc", payload);
  const sentAs = got.map(({ form }) => form!.delta === undefined ? "payload" : "delta");
  assert.deepEqual(sentAs, [...new Array<string>(7).fill("payload"), "delta"]);
});

Deno.test("B18 deltas need a namespace that has them, a history, and a subscription without a filter", async () => {
  const filter = { key: "a", cmp: "ex" };
  const granted = async (options: NamespaceOptions, request: SubscribeRequest = {}) => {
    await using server = await serveBus({ maxTagFilters: 1, ...options });
    const { subscribed } = await record(server.bus, "doc", { delta: "fossil", ...request });
    return subscribed.deltas !== undefined;
  };
  assert.equal(await granted({ delta: "fossil" }), true);
  assert.equal(await granted({ delta: "fossil", recovery: "off" }), true);
  assert.equal(await granted({}), false);
  assert.equal(await granted({ delta: "fossil", historySize: 0 }), false);
  assert.equal(await granted({ delta: "fossil" }, { filter }), false);
});

Deno.test("B18 a channel has a bounded number of different filters, and forgets those without subscribers", async () => {
  await using server = await serveBus({ maxTagFilters: 3 });
  const { bus } = server;
  const by = (val: string) => ({ filter: { key: "a", cmp: "eq", val } });
  const refused = (error: PlugboardError) => error.code === "limit_exceeded";
  const [first] = [
    await record(bus, "news", by("1")),
    await record(bus, "news", by("2")),
    await record(bus, "news", by("3")),
  ];
  await assert.rejects(record(bus, "news", by("4")), refused);
  await record(bus, "other", by("4"));
  const twin = await record(bus, "news", by("1"));
  assert.equal(bus.localStats("news")[0]!.subscribers, 4);
  twin.leave();
  await assert.rejects(record(bus, "news", by("4")), refused);
  first!.leave();
  const fourth = await record(bus, "news", by("4"));
  await bus.publish("news", "for the fourth", { tags: { a: "4" } });
  assert.equal(fourth.got.length, 1);
  assert.equal(twin.got.length, 0);
  assert.equal(bus.localStats("news")[0]!.subscribers, 3);
  // Many at once do not pass it together.
  const results = await Promise.allSettled(
    Array.from({ length: 50 }, (_, i) => record(bus, "crowd", by(`${i}`))),
  );
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 3);
});

Deno.test("B18 a filter is refused where none is allowed, and if it is invalid", async () => {
  await using server = await serveBus({});
  const refused = (error: PlugboardError) => error.code === "bad_request";
  await assert.rejects(record(server.bus, "news", { filter: { key: "a", cmp: "ex" } }), refused);
  await server.bus.addNamespace("tagged", { maxTagFilters: 1 });
  await assert.rejects(record(server.bus, "tagged:news", { filter: {} }), refused);
  assert.equal(server.bus.localStats("tagged:news").length, 0, "and leaves nothing");
});

Deno.test("B18 the number of a channel is granted where it is allowed, and is never used again for another", async () => {
  await using server = await serveBus({ compaction: true });
  const { bus } = server;
  await bus.addNamespace("long", { compaction: false });
  const a = await record(bus, "a", { compact: true });
  const b = await record(bus, "b", { compact: true });
  const unasked = await record(bus, "a", {});
  const refused = await record(bus, "long:a", { compact: true });
  assert.notEqual(a.subscribed.channelId, b.subscribed.channelId);
  assert.deepEqual([unasked.subscribed.channelId, refused.subscribed.channelId], [undefined, undefined]);
  await bus.publish("a", 1);
  assert.equal(a.got[0]!.form!.channelId, a.subscribed.channelId);
  assert.equal(unasked.got[0]!.form, undefined);
  for (const each of [a, unasked]) each.leave();
  const again = await record(bus, "a", { compact: true });
  assert.ok(![a, b].some(({ subscribed }) => subscribed.channelId === again.subscribed.channelId));
});

Deno.test("B18 a recovery with a filter gives what matches, and moves the position beyond the rest", async () => {
  await using server = await serveBus({ maxTagFilters: 5, recovery: "always" });
  const { bus } = server;
  const { epoch } = await bus.publish("news", 0);
  for (const n of [2, 3, 4]) await bus.publish("news", n, { tags: { even: `${n % 2 === 0}` } });
  const recover = async (val: string) => {
    const filter = { key: "even", cmp: "eq", val };
    const { subscribed } = await record(bus, "news", { filter, recover: { offset: 1, epoch } });
    const { recovered, publications, position } = subscribed;
    return [recovered, publications.map(({ offset }) => offset), position!.offset];
  };
  assert.deepEqual(await recover("true"), [true, [2, 4], 1]);
  assert.deepEqual(await recover("false"), [true, [3], 1]);
  assert.deepEqual(await recover("none"), [true, [], 4]);
});

Deno.test("B18 a payload is encoded for deltas as text or as bytes, never from one to the other", async () => {
  await using server = await serveBus({ delta: "fossil", payloads: "binary" });
  const { bus } = server;
  const { got } = await record(bus, "doc", { delta: "fossil" });
  const bytes = new TextEncoder().encode(JSON.stringify(similar(1)));
  for (const data of [similar(1), bytes, bytes.slice(), Payload.fromJson(JSON.stringify(similar(1)))]) {
    await bus.publish("doc", data);
  }
  const deltas: (Delta | undefined)[] = got.map(({ form }) => form!.delta);
  assert.deepEqual(deltas.map((delta) => delta !== undefined), [false, false, true, false]);
});
