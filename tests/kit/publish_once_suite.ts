import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type BrokerPublishOptions,
  Payload,
  type Published,
  type Retention,
} from "../../plugins/channels.ts";
import type { BrokerUnderTest } from "./broker_suite.ts";

const TTL_MS = 10_000;
const keep: Retention = { size: 50, ageMs: 3_600_000 };

/** A publish, or time that passes. */
type Step = { readonly ms: number } | {
  readonly channel: string;
  readonly key: string | undefined;
  readonly version: { readonly number: number; readonly epoch: string } | undefined;
  readonly kept: boolean;
};

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ ms: fc.constantFrom(1, TTL_MS / 2, TTL_MS) }) },
  {
    weight: 9,
    arbitrary: fc.record({
      channel: fc.constantFrom("a", "b"),
      key: fc.constantFrom(undefined, "k1", "k2"),
      version: fc.option(
        fc.record({ number: fc.integer({ min: 1, max: 4 }), epoch: fc.constantFrom("", "e") }),
        { nil: undefined, freq: 1 },
      ),
      kept: fc.boolean(),
    }),
  },
);

/** Tests what every broker promises about idempotency keys and versions. */
export function publishOnceSuite(name: string, make: () => Promise<BrokerUnderTest>): void {
  Deno.test(`B11 ${name} broker: any publishes with keys and versions, many at once, have the effects of a model`, async () => {
    await using under = await make();
    const { broker, clock, delivered } = under;
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const prefix = `${run++}`;
        for (const channel of ["a", "b"]) await broker.subscribe(prefix + channel);
        const model = new Model();
        const results: Promise<Published>[] = [];
        const expected: Omit<Published, "epoch" | "receivers">[] = [];
        for (const [n, each] of steps.entries()) {
          if ("ms" in each) {
            await Promise.all(results);
            clock.advance(each.ms);
            model.now += each.ms;
            continue;
          }
          const { channel, key, kept } = each;
          const version = kept ? each.version : undefined;
          const options: BrokerPublishOptions = {
            keep: kept ? keep : undefined,
            ...(version && { version }),
            ...(key && { repeatable: { key: `${prefix}${channel}${key}`, owner: "o", ttlMs: TTL_MS } }),
          };
          results.push(
            Promise.resolve(broker.publish(prefix + channel, { payload: Payload.of(n) }, options)),
          );
          expected.push(model.publish(n, channel, key, version, kept));
        }
        const got = await Promise.all(results);
        const plain = ({ offset, suppressed }: Omit<Published, "epoch" | "receivers">) => ({
          offset,
          suppressed,
        });
        assert.deepEqual(got.map(plain), expected.map(plain));
        for (const { suppressed, receivers } of got) {
          assert.equal(receivers, suppressed === undefined ? 1 : 0);
        }
        for (const channel of ["a", "b"]) {
          const numbers = delivered.filter((each) => each.channel === prefix + channel)
            .map(({ publication }) => Number(publication.payload.text));
          assert.deepEqual(numbers.sort((a, b) => a - b), model.effects(channel));
        }
      }),
      { numRuns: 60 },
    );
  });

  Deno.test(`B11 ${name} broker: a repeated publish gets the first position, an older version that of the history`, async () => {
    await using under = await make();
    const { broker, delivered } = under;
    await broker.subscribe("a");
    const publish = (n: number, options: Partial<BrokerPublishOptions>) =>
      broker.publish("a", { payload: Payload.of(n) }, { keep, ...options });
    const repeatable = { key: "k", owner: "o", ttlMs: TTL_MS };
    const [first, second] = await Promise.all([publish(1, { repeatable }), publish(1, { repeatable })]);
    await publish(2, { version: { number: 5, epoch: "" } });
    const older = await publish(3, { version: { number: 5, epoch: "" } });
    const third = await publish(1, { repeatable });
    const { offset, epoch } = first;
    assert.deepEqual([offset, first.suppressed], [1, undefined]);
    for (const each of [second, third]) {
      assert.deepEqual(each, { offset, epoch, receivers: 0, suppressed: "idempotency" });
    }
    assert.deepEqual(older, { offset: 2, epoch, receivers: 0, suppressed: "version" });
    await broker.removeHistory("a");
    assert.equal((await publish(4, { version: { number: 4, epoch: "" } })).suppressed, "version");
    assert.deepEqual(delivered.map(({ publication }) => publication.payload.text), ["1", "2"]);
  });
}

/** What should happen. */
class Model {
  now = 0;
  readonly #keys = new Map<string, { offset: number; expiresAt: number }>();
  readonly #channels = new Map<string, { top: number; version?: { number: number; epoch: string } }>();
  readonly #effects: { n: number; channel: string }[] = [];

  publish(
    n: number,
    channel: string,
    key: string | undefined,
    version: { number: number; epoch: string } | undefined,
    kept: boolean,
  ): Omit<Published, "epoch" | "receivers"> {
    const id = key && `${channel} ${key}`;
    const first = id === undefined ? undefined : this.#keys.get(id);
    if (first !== undefined && first.expiresAt > this.now) {
      return { offset: first.offset, suppressed: "idempotency" };
    }
    const state = this.#channels.get(channel) ?? { top: 0 };
    this.#channels.set(channel, state);
    const latest = state.version;
    const dropped = version !== undefined && latest?.epoch === version.epoch &&
      latest.number >= version.number;
    if (!dropped) {
      if (kept) state.top++;
      if (version !== undefined) state.version = version;
      this.#effects.push({ n, channel });
    }
    const offset = kept ? state.top : 0;
    if (id !== undefined) this.#keys.set(id, { offset, expiresAt: this.now + TTL_MS });
    return dropped ? { offset, suppressed: "version" } : { offset };
  }

  effects(channel: string): number[] {
    return this.#effects.filter((each) => each.channel === channel).map(({ n }) => n);
  }
}
