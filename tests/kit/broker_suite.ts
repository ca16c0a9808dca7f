import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Broker,
  type HistoryQuery,
  Payload,
  type Publication,
  type Retention,
} from "../../plugins/channels.ts";
import { FakeClock } from "./clock.ts";

/** A started broker, and what it has delivered. */
export interface BrokerUnderTest extends AsyncDisposable {
  readonly broker: Broker;
  readonly clock: FakeClock;
  readonly delivered: { channel: string; publication: Publication; epoch: string }[];
  readonly presence: { channel: string; kind: string; client: string }[];
}

/** Starts a broker with its own clock and collects what it delivers. */
export async function underTest(
  broker: Broker,
  end: () => unknown = () => {},
  clock: FakeClock = new FakeClock(),
): Promise<BrokerUnderTest> {
  const delivered: BrokerUnderTest["delivered"] = [];
  const presence: BrokerUnderTest["presence"] = [];
  await broker.start?.({
    publication: (channel, publication, epoch) => delivered.push({ channel, publication, epoch }) && 1,
    presence: (channel, { kind, info: { client } }) => void presence.push({ channel, kind, client }),
    interrupted() {},
  }, { clock, log: { debug() {}, info() {}, warn() {}, error() {} } });
  return {
    broker,
    clock,
    delivered,
    presence,
    async [Symbol.asyncDispose]() {
      await broker.stop?.();
      await end();
    },
  };
}

const keep: Retention = { size: 5, ageMs: 60_000 };
const draft = (n: number) => ({ payload: Payload.of(n) });
const numbers = (publications: readonly Publication[]) =>
  publications.map(({ payload }) => Number(payload.text));

/** Tests what every broker promises. `make` creates a new one for each test. */
export function brokerSuite(name: string, make: () => Promise<BrokerUnderTest>): void {
  const test = (promise: string, run: (under: BrokerUnderTest) => Promise<void>) =>
    Deno.test(`${name} broker ${promise}`, async () => {
      await using under = await make();
      await run(under);
    });

  test("numbers the publications of a channel from 1, and delivers them in this order", async ({ broker, delivered }) => {
    await broker.subscribe("a");
    const results = await Promise.all([1, 2, 3].map((n) => broker.publish("a", draft(n), { keep })));
    assert.deepEqual(results.map(({ offset }) => offset), [1, 2, 3]);
    assert.deepEqual(delivered.map(({ publication }) => publication.offset), [1, 2, 3]);
    assert.ok(results[0]!.epoch !== "");
    assert.equal(new Set(results.map(({ epoch }) => epoch)).size, 1);
    assert.equal(new Set(delivered.map(({ epoch }) => epoch)).size, 1);
    assert.deepEqual(results.map(({ receivers }) => receivers), [1, 1, 1]);
  });

  test("separates channels", async ({ broker }) => {
    await broker.publish("a", draft(1), { keep });
    await broker.publish("b", draft(2), { keep });
    const a = await broker.history("a", {}, keep);
    const b = await broker.history("b", {}, keep);
    assert.deepEqual([numbers(a.publications), numbers(b.publications)], [[1], [2]]);
    assert.deepEqual([a.top.offset, b.top.offset], [1, 1]);
  });

  test("gives an empty channel an epoch that stays when it fills", async ({ broker }) => {
    const empty = await broker.history("a", {}, keep);
    assert.deepEqual(empty.publications, []);
    assert.equal(empty.top.offset, 0);
    assert.ok(empty.top.epoch !== "");
    const { epoch } = await broker.publish("a", draft(1), { keep });
    assert.equal(epoch, empty.top.epoch);
  });

  test("delivers without storing where no history is kept", async ({ broker, delivered }) => {
    await broker.subscribe("a");
    const { offset } = await broker.publish("a", draft(1), { keep: undefined });
    assert.equal(offset, 0);
    assert.equal(delivered[0]!.publication.offset, 0);
    assert.deepEqual((await broker.history("a", {}, keep)).publications, []);
  });

  test("keeps who published, when, and the tags", async ({ broker, clock }) => {
    const info = { user: "u", client: "c", connInfo: '{"x":1}' };
    await broker.publish("a", { payload: Payload.of({ y: [2] }), info, tags: { z: "3" } }, { keep });
    const { publications } = await broker.history("a", {}, keep);
    assert.deepEqual(publications, [{
      offset: 1,
      payload: Payload.of({ y: [2] }),
      time: clock.wallTime(),
      info,
      tags: { z: "3" },
    }]);
  });

  test("keeps payloads as they are: numbers, and bytes", async ({ broker, delivered }) => {
    await broker.subscribe("a");
    const payloads = [
      Payload.fromJson('{"n":12345678901234567890,"x":[1.0, 1e400],"__proto__":1}'),
      Payload.fromJson('"\u2028"'),
      Payload.fromBytes(new Uint8Array([0, 10, 255])),
      Payload.fromBytes(new Uint8Array()),
    ];
    for (const payload of payloads) await broker.publish("a", { payload }, { keep });
    const { publications } = await broker.history("a", {}, keep);
    for (const list of [publications, delivered.map(({ publication }) => publication)]) {
      assert.deepEqual(list.map(({ payload }) => payload.content), payloads.map(({ content }) => content));
    }
  });

  test("drops publications beyond the size and the age, and continues the offsets", async ({ broker, clock }) => {
    for (let n = 1; n <= 7; n++) await broker.publish("a", draft(n), { keep });
    assert.deepEqual(numbers((await broker.history("a", {}, keep)).publications), [3, 4, 5, 6, 7]);
    clock.advance(keep.ageMs - 1);
    await broker.publish("a", draft(8), { keep });
    clock.advance(1);
    assert.deepEqual(numbers((await broker.history("a", {}, keep)).publications), [8]);
    assert.equal((await broker.publish("a", draft(9), { keep })).offset, 9);
  });

  test("empties a history on request, and continues the offsets", async ({ broker }) => {
    const first = await broker.publish("a", draft(1), { keep });
    await broker.removeHistory("a");
    const { publications, top } = await broker.history("a", {}, keep);
    assert.deepEqual(publications, []);
    assert.deepEqual(top, { offset: 1, epoch: first.epoch });
    assert.equal((await broker.publish("a", draft(2), { keep })).offset, 2);
  });

  test("announces joins and leaves", async ({ broker, presence }) => {
    await broker.subscribe("a");
    await broker.announce("a", { kind: "join", info: { user: "u", client: "c" } });
    await broker.announce("a", { kind: "leave", info: { user: "u", client: "c" } });
    assert.deepEqual(presence.map(({ kind }) => kind), ["join", "leave"]);
  });

  test("answers every history query as a plain list would", async ({ broker }) => {
    let channel = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 9 }),
        fc.record({
          limit: fc.option(fc.integer({ min: 0, max: 7 }), { nil: undefined }),
          offset: fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined }),
          epoch: fc.constantFrom("same", "empty", "other"),
          reverse: fc.boolean(),
        }),
        async (count, { limit, offset, epoch, reverse }) => {
          const name = `h${channel++}`;
          for (let n = 1; n <= count; n++) await broker.publish(name, draft(n), { keep });
          const { top } = await broker.history(name, { limit: 0 }, keep);
          const since = offset === undefined
            ? undefined
            : { offset, epoch: { same: top.epoch, empty: "", other: "zzz" }[epoch] };
          const query: HistoryQuery = {
            ...(limit !== undefined && { limit }),
            ...(since && { since }),
            reverse,
          };
          const page = await broker.history(name, query, keep);
          assert.deepEqual(numbers(page.publications), expected(count, query, epoch === "other"));
          assert.equal(page.top.offset, count);
        },
      ),
      { numRuns: 100 },
    );
  });
}

/** Answers a query from the list of the numbers 1 to `count`, with the last five kept. */
function expected(
  count: number,
  { limit = Infinity, since, reverse }: HistoryQuery,
  otherEpoch: boolean,
): number[] {
  if (since !== undefined && otherEpoch) return [];
  let list = Array.from({ length: count }, (_, i) => i + 1).slice(-keep.size);
  if (reverse) list.reverse();
  if (since !== undefined) list = list.filter((n) => reverse ? n < since.offset : n > since.offset);
  return list.slice(0, limit);
}
