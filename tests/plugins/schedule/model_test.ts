import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../../kit/mod.ts";
import { folder } from "../persistence/kit.ts";
import { type Scheduling, scheduling } from "./kit.ts";

/** How precise the moment of a publication is. */
const LOOK_MS = 100;

type Step =
  | { readonly add: "at" | "delay"; readonly seconds: number; readonly id: number }
  | { readonly cancel: number }
  | { readonly pass: number }
  | { readonly leap: number }
  | { readonly restart: number };

const seconds = fc.integer({ min: 0, max: 20 });
const id = fc.integer({ min: 0, max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ add: fc.constantFrom("at" as const, "delay" as const), seconds, id }) },
  { weight: 3, arbitrary: fc.record({ cancel: id }) },
  { weight: 6, arbitrary: fc.record({ pass: seconds }) },
  { weight: 2, arbitrary: fc.record({ leap: fc.integer({ min: -30, max: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ restart: seconds }) },
);

Deno.test("B11 any sequence of requests, cancellations, set clocks and restarts publishes what a model does, once", async () => {
  using dir = folder();
  let files = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const path = dir.file(`${files++}.db`);
      const clock = new FakeClock();
      let test: Scheduling = await scheduling({ path, clock });
      /** What is waiting: by id, its number, and when it is due by the wall or the monotonic clock. */
      const waiting = new Map<number, { n: number; by: "at" | "delay"; due: number }>();
      const published: unknown[] = [];
      const time = (by: "at" | "delay") => by === "at" ? clock.wallTime() : clock.monotonicTime();

      /** Compares what was published with what was due. In the last moment, both are right. */
      async function compare(): Promise<void> {
        await test.pass(LOOK_MS);
        const due = [...waiting].filter(([, { by, due }]) => due <= time(by));
        const got = new Set(test.published.splice(0));
        published.push(...got);
        for (const [id, { n, by, due: when }] of due) {
          if (got.delete(n)) waiting.delete(id);
          else assert.ok(when > time(by) - LOOK_MS - 1, `${n} is late by ${time(by) - when} ms`);
        }
        assert.deepEqual([...got], [], "published too early, twice, or although it was cancelled");
      }

      try {
        for (const [n, each] of steps.entries()) {
          if ("add" in each) {
            const { add, id } = each;
            const ms = each.seconds * 1_000;
            await test.later.publish("a", n, {
              id: `${id}`,
              ...(add === "at" ? { at: clock.wallTime() + ms } : { delay: ms }),
            });
            waiting.set(id, { n, by: add, due: time(add) + ms });
          } else if ("cancel" in each) {
            assert.equal(await test.later.cancel("a", `${each.cancel}`), waiting.delete(each.cancel));
          } else if ("pass" in each) {
            clock.advance(each.pass * 1_000);
          } else if ("leap" in each) {
            clock.set(each.leap * 1_000);
          } else {
            await test.stop();
            clock.advance(each.restart * 1_000);
            const { published } = test;
            test = await scheduling({ path, clock });
            test.published.push(...published);
          }
          await compare();
        }
        clock.advance(100_000);
        await compare();
        assert.equal(waiting.size, 0);
        assert.equal(new Set(published).size, published.length, "each once");
        assert.deepEqual(await test.later.list(), []);
      } finally {
        await test.stop();
      }
    }),
    { numRuns: 15 },
  );
});
