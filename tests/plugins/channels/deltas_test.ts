/** Subscribers with deltas, filters and numbers get the same data as those without. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Broker,
  channels,
  type NamespaceOptions,
  Payload,
  type PublishOptions,
  type SubscribeRequest,
} from "../../../plugins/channels.ts";
import { type Codec, jsonCodec, protobufCodec } from "../../../plugins/protocols/centrifuge.ts";
import { serve, until } from "../../kit/mod.ts";
import { everywhere, lateDelivery } from "../../kit/remote.ts";
import { Subscriber } from "../../kit/subscriber.ts";

const EVERYTHING = {
  delta: "fossil",
  maxTagFilters: 10,
  compaction: true,
  payloads: "binary",
  recoveryLimit: 1_000,
} as const;

async function serveBus(broker: Broker, defaults: NamespaceOptions = {}) {
  let interrupted = (_channel: string) => {};
  const tapped: Broker = {
    ...broker,
    start(events, host) {
      interrupted = (channel) => events.interrupted(channel);
      return broker.start?.(events, host);
    },
  };
  const plugin = channels({
    broker: tapped,
    defaults: { ...EVERYTHING, historySize: 1_000, ...defaults },
  });
  const server = await serve({}, plugin);
  return {
    bus: plugin.api,
    interrupt: (channel: string) => interrupted(channel),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** What the subscribers of the property ask for, and in which encoding. */
const PARTIES: readonly { request: SubscribeRequest; codec: Codec }[] = [
  ...[
    {},
    { delta: "fossil" },
    { delta: "fossil", compact: true },
    { compact: true },
    { filter: { key: "even", cmp: "eq", val: "yes" } },
    { delta: "fossil", filter: { key: "even", cmp: "neq", val: "yes" }, compact: true },
  ] as const,
].flatMap((request) => [{ request, codec: jsonCodec }, { request, codec: protobufCodec }]);

/** Whether a subscriber with this request gets the n-th publication. */
const wants = ({ filter }: SubscribeRequest, n: number) =>
  filter === undefined || (n % 2 === 0) === (filter.cmp === "eq");

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

interface Step {
  readonly do: "publish" | "ephemeral" | "except" | "interrupt" | "cut" | "return" | "turn";
  readonly kind: number;
  readonly who: number;
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom(
    ...["publish", "publish", "publish", "publish", "ephemeral", "except", "interrupt"] as const,
    ...["cut", "cut", "return", "return", "turn", "turn"] as const,
  ),
  kind: fc.nat(9),
  who: fc.nat(2 * PARTIES.length - 1),
});

/** A document that changes a little each time, or something else. */
function document(n: number, kind: number): unknown {
  if (kind === 0) return new TextEncoder().encode(`{\n"as": "bytes", "n": ${n % 3}}`.padEnd(100));
  if (kind === 1) return n;
  if (kind === 2) return "é".repeat(n % 5) + "è€😀".repeat(20);
  if (kind === 3) return { other: "x".repeat(n % 300), n };
  return { title: "Ein Döküment", body: "text ".repeat(20), n: kind === 4 ? 0 : n, end: ["ü", "😀"] };
}

everywhere(
  "B18 with deltas, filters and numbers a client sees what others see, through cuts and recoveries",
  async ({ broker, remote }) => {
    await using server = await serveBus(broker());
    const { bus } = server;
    let round = 0;
    let deltas = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 60, size: "max" }), async (steps) => {
        const channel = `doc${round++}`;
        const subscribers = [...PARTIES, ...PARTIES].map(({ request, codec }) =>
          new Subscriber(bus, channel, request, codec)
        );
        /** What is stored, by its offset, and what is not. */
        const stored: string[] = [];
        const passing = new Set<string>();
        const pending: Promise<unknown>[] = [];
        const publish = (kind: number, options: PublishOptions = {}) => {
          const payload = Payload.of(document(pending.length, kind));
          const text = JSON.stringify(JSON.parse(payload.json!));
          if (options.ephemeral) passing.add(text);
          else stored.push(text);
          const tags = { even: stored.length % 2 === 0 ? "yes" : "no" };
          pending.push(bus.publish(channel, payload, { tags, ...options }));
        };
        for (const subscriber of subscribers.slice(0, PARTIES.length)) await subscriber.subscribe();
        for (const { do: what, kind, who } of steps) {
          const subscriber = subscribers[who]!;
          if (what === "publish") publish(kind);
          else if (what === "ephemeral") publish(kind, { ephemeral: true });
          else if (what === "except") publish(kind, { ephemeral: true, except: subscriber.id });
          else if (what === "interrupt") server.interrupt(channel);
          else if (what === "cut") subscriber.cut();
          else if (what === "return") pending.push(subscriber.subscribe());
          else await nextTurn();
        }
        await Promise.all(pending);
        await until("all subscribers", async () => {
          // An interruption may be reported late.
          for (const subscriber of subscribers) await subscriber.subscribe();
          return subscribers.every(({ subscribed }) => subscribed);
        });
        publish(5);
        publish(5);
        await Promise.all(pending);
        for (const [i, subscriber] of subscribers.entries()) {
          const { request, codec } = PARTIES[i % PARTIES.length]!;
          const last = stored.findLastIndex((_, index) => wants(request, index + 1)) + 1;
          await until("the last publication", () => subscriber.position!.offset >= last);
          const { seen, reply } = subscriber;
          assert.equal(reply.delta === true, request.delta === "fossil" && request.filter === undefined);
          assert.equal(reply.id !== undefined, request.compact === true && codec === jsonCodec);
          const kept = seen.filter(({ offset }) => offset > 0);
          for (const { offset, text } of kept) assert.equal(text, stored[offset - 1]);
          for (const { offset, text } of seen) assert.ok(offset > 0 || passing.has(text));
          const from = subscriber.start!.offset;
          const all = stored.map((_, index) => index + 1).filter((n) => n > from && wants(request, n));
          assert.deepEqual(kept.map(({ offset }) => offset), all);
          deltas += subscriber.deltas;
          subscriber.cut();
        }
      }),
      { numRuns: remote ? 30 : 100 },
    );
    assert.ok(deltas > 100, `${deltas} deltas`);
  },
  [lateDelivery],
);
