import assert from "node:assert/strict";
import fc from "fast-check";
import { Payload } from "../../../plugins/channels.ts";
import { FakeClock } from "../../kit/mod.ts";
import { openBroker } from "./kit.ts";

/** What happens in one turn, or between two of them. */
type Step =
  | { type: "publish"; channel: number; long: boolean; once: boolean }
  | { type: "remove"; channel: number }
  | { type: "move" }
  | { type: "fail"; wrote: boolean }
  | { type: "await" }
  | { type: "wait"; ms: number }
  | { type: "restart" }
  | { type: "resize"; size: number };

const CHANNELS = 4;
const channel = fc.nat({ max: CHANNELS - 1 });
const publish = fc.record({
  type: fc.constant("publish" as const),
  channel,
  long: fc.nat({ max: 9 }).map((n) => n === 0),
  once: fc.nat({ max: 9 }).map((n) => n === 0),
});
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: publish },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("remove" as const), channel }) },
    { weight: 4, arbitrary: fc.constant<Step>({ type: "move" }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("fail" as const), wrote: fc.boolean() }) },
    { weight: 6, arbitrary: fc.constant<Step>({ type: "await" }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("wait" as const), ms: fc.constantFrom(250, 5_000, 60_000) }),
    },
    { weight: 1, arbitrary: fc.constant<Step>({ type: "restart" }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("resize" as const), size: fc.constantFrom(3, 7, 20) }),
    },
  ),
  { maxLength: 150, size: "max" },
);

/** A history as a plain list. */
class Model {
  top = 0;
  stored: { offset: number; time: number; text: string }[] = [];

  publish(text: string, time: number, size: number): number {
    this.stored.push({ offset: ++this.top, time, text });
    // A larger size does not bring back what a smaller one has removed, but may show it as long as it is in the file.
    this.least = Math.max(this.least, this.top - size + 1);
    return this.top;
  }

  /** The first offset that no size has trimmed. */
  least = 1;

  visible(now: number, size: number, ageMs: number) {
    return this.stored.filter(({ offset, time }) => offset > this.top - size && time > now - ageMs);
  }
}

Deno.test("a history in the tail and in its log is a plain list, whatever is moved, undone, removed or restarted", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (todo) => {
      const path = await Deno.makeTempFile();
      const clock = new FakeClock();
      const models = Array.from({ length: CHANNELS }, () => new Model());
      let keep = { size: 7, ageMs: 60_000 };
      let under = await openBroker(path, clock);
      let running: Promise<unknown>[] = [];
      let texts = 0;

      async function settle(): Promise<void> {
        await Promise.all(running);
        running = [];
      }

      async function check(): Promise<void> {
        for (const [i, model] of models.entries()) {
          const { publications, top } = await under.broker.history(`c${i}`, {}, keep);
          assert.equal(top.offset, model.top);
          const found = publications.map(({ offset, time, payload }) => ({
            offset,
            time,
            text: payload.text.slice(1, -1).trim(),
          }));
          const wanted = model.visible(clock.wallTime(), keep.size, keep.ageMs);
          assert.deepEqual(
            found.filter(({ offset }) => offset >= model.least),
            wanted.filter(({ offset }) => offset >= model.least),
          );
          // What is visible beyond a former size has no gap and is right.
          for (const [n, each] of found.entries()) {
            assert.deepEqual(each, model.stored.find(({ offset }) => offset === each.offset));
            if (n > 0) assert.equal(each.offset, found[n - 1]!.offset + 1);
          }
        }
      }

      for (const step of todo) {
        if (step.type === "publish") {
          const text = `${texts++}`;
          const payload = Payload.of(step.long ? text.padEnd(2_000) : text);
          const offset = models[step.channel]!.publish(text, clock.wallTime(), keep.size);
          const repeatable = { key: text, ttlMs: 60_000, owner: "u" };
          const how = step.once ? { keep, repeatable } : { keep };
          running.push(
            Promise.resolve(under.broker.publish(`c${step.channel}`, { payload }, how)).then((
              published,
            ) => assert.equal(published.offset, offset)),
          );
        } else if (step.type === "remove") {
          running.push(Promise.resolve(under.broker.removeHistory(`c${step.channel}`)));
          models[step.channel]!.stored = [];
        } else if (step.type === "move") running.push(under.store.write((tx) => under.ends.step(tx)));
        else if (step.type === "fail") {
          running.push(assert.rejects(under.store.write((tx) => {
            if (step.wrote) tx.run("INSERT INTO plugboard_probe VALUES (x'00')");
            throw new Error("undone");
          })));
        } else {
          await settle();
          if (step.type === "wait") clock.advance(step.ms);
          else if (step.type === "resize") keep = { ...keep, size: step.size };
          else if (step.type === "restart") {
            await under.close();
            under = await openBroker(path, clock);
          }
          await check();
        }
      }
      await settle();
      await check();
      await under.close();
      await Deno.remove(path);
    }),
    { numRuns: 60 },
  );
});
