import assert from "node:assert/strict";
import type { Instance } from "../../../plugins/live_queries/instance.ts";
import { Scheduler } from "../../../plugins/live_queries/scheduler.ts";
import { FakeClock, turn, until } from "../../kit/mod.ts";

interface Fake {
  readonly name: string;
  tookMs: number;
  ranAt: number;
}

/** A scheduler whose instances take as long as they say, on a clock that stands still. */
function scheduled({ away }: { away?: Map<string, PromiseWithResolvers<void>> } = {}) {
  const clock = new FakeClock(1_000);
  const ran: string[] = [];
  const scheduler = new Scheduler({
    clock,
    burstMs: 5,
    run(instance) {
      const fake = instance as unknown as Fake;
      ran.push(fake.name);
      fake.ranAt = clock.now();
      return away?.get(fake.name)?.promise;
    },
  });
  const make = (name: string, tookMs = 0): Instance => ({ name, tookMs, ranAt: 0 }) as unknown as Instance;
  return { clock, scheduler, make, ran: () => ran.splice(0) };
}

Deno.test("what is woken often in a burst runs once, at its end", () => {
  const { clock, scheduler, make, ran } = scheduled();
  const [a, b] = [make("a"), make("b")];
  scheduler.wake([a, b]);
  clock.advance(4);
  scheduler.wake([a]);
  assert.deepEqual(ran(), []);
  clock.advance(1);
  assert.deepEqual(ran(), ["a", "b"]);
  clock.advance(1_000);
  assert.deepEqual(ran(), []);
});

Deno.test("an expensive query rests, and the others do not wait for it", () => {
  const { clock, scheduler, make, ran } = scheduled();
  const [cheap, expensive] = [make("cheap"), make("expensive", 50)];
  const counts = { cheap: 0, expensive: 0 };
  for (let i = 0; i < 200; i++) { // two seconds
    scheduler.wake([expensive, cheap]);
    clock.advance(10);
    for (const name of ran()) counts[name as keyof typeof counts]++;
  }
  assert.deepEqual(
    counts,
    { cheap: 200, expensive: 8 },
    "a fifth of the time is 8 times 50 ms in two seconds",
  );
});

Deno.test("a resting query is hurried for a newcomer, and waited for before an answer", async () => {
  const { clock, scheduler, make, ran } = scheduled();
  const expensive = make("expensive", 50);
  scheduler.wake([expensive]);
  clock.advance(5);
  assert.deepEqual(ran(), ["expensive"]);
  scheduler.wake([expensive]);
  let answered = false;
  const answer = scheduler.ran(expensive).then(() => answered = true);
  scheduler.hasten();
  await turn();
  assert.deepEqual([ran(), answered], [[], false]);
  clock.advance(250);
  await answer;
  assert.deepEqual(ran(), ["expensive"]);
  scheduler.wake([expensive]);
  scheduler.settle(expensive);
  assert.deepEqual(ran(), ["expensive"]);
});

Deno.test("what runs elsewhere runs again when it was woken meanwhile, and is waited for", async () => {
  const away = new Map([["a", Promise.withResolvers<void>()]]);
  const { clock, scheduler, make, ran } = scheduled({ away });
  const a = make("a");
  scheduler.wake([a]);
  clock.advance(5);
  scheduler.wake([a]);
  clock.advance(100);
  assert.deepEqual(ran(), ["a"], "not twice at once");
  let answered = false;
  const answer = scheduler.ran(a).then(() => answered = true);
  const first = away.get("a")!;
  away.set("a", Promise.withResolvers<void>());
  first.resolve();
  await turn();
  clock.advance(5);
  assert.deepEqual(ran(), ["a"]);
  assert.equal(answered, false, "the first run had begun before it was woken");
  away.get("a")!.resolve();
  await answer;
});

Deno.test("whoever waits for a query that is forgotten waits no more", async () => {
  const { clock, scheduler, make } = scheduled();
  const a = make("a", 50);
  scheduler.wake([a]);
  const answer = scheduler.ran(a);
  scheduler.forget(a);
  await answer;
  scheduler.wake([a]);
  scheduler.stop();
  clock.advance(10_000);
  assert.equal(clock.pending, 0);
});

Deno.test("a thousand queries give the event loop its turns", async () => {
  const { clock, scheduler, make, ran } = scheduled();
  let turns = 0;
  const slow = Array.from({ length: 20 }, (_, i) => {
    const instance = make(`${i}`);
    Object.defineProperty(instance, "ranAt", {
      set() {
        const end = performance.now() + 5;
        while (performance.now() < end); // it works
      },
    });
    return instance;
  });
  scheduler.wake(slow);
  clock.advance(5);
  let count = ran().length;
  assert.ok(count < 20, "not all at once");
  await until("all to run", () => {
    turns++;
    count += ran().length;
    return count === 20;
  });
  assert.ok(turns > 1);
});
