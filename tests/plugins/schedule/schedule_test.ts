import assert from "node:assert/strict";
import { memoryBroker, Payload } from "../../../plugins/channels.ts";
import type { Scheduled } from "../../../plugins/schedule.ts";
import { PlugboardError } from "../../../core/mod.ts";
import { FakeClock, until } from "../../kit/mod.ts";
import { folder } from "../persistence/kit.ts";
import { scheduling } from "./kit.ts";

const HOUR = 3_600_000;

Deno.test("B11 a publication is published at its moment or after its delay, once and not earlier", async () => {
  await using test = await scheduling();
  const { later, clock, published, bus } = test;
  const begun = clock.wallTime();
  const at = await later.publish("a", { n: 1 }, { at: begun + 5_000, id: "one", tags: { t: "x" } });
  const delayed = await later.publish("a", { n: 2 }, { delay: 6_000 });
  const past = await later.publish("a", { n: 0 }, { at: 1 });
  assert.deepEqual(at, { channel: "a", id: "one", seq: 1, at: begun + 5_000 });
  assert.equal(delayed.at, begun + 6_000);
  assert.equal(past.at, 1);
  await test.pass(100);
  assert.deepEqual(published, [{ n: 0 }]);
  clock.advance(4_800);
  await test.pass(0);
  assert.deepEqual(published, [{ n: 0 }]);
  await test.pass(2_000);
  const { publications } = await bus.history("a");
  assert.deepEqual(publications.map(({ tags }) => tags), [undefined, { t: "x" }, undefined]);
  await test.pass(HOUR);
  assert.deepEqual(published, [{ n: 0 }, { n: 1 }, { n: 2 }]);
  assert.deepEqual(await later.list(), []);
});

Deno.test("what is due together is published in the order in which it falls due, then of the calls", async () => {
  await using test = await scheduling();
  const at = test.clock.wallTime() + 1_000;
  const all = Array.from({ length: 350 }, (_, n) => n);
  await Promise.all(
    all.map((n) => test.later.publish("a", n, n % 2 === 0 ? { at: at + (n % 3) } : { delay: 1_000 + n % 3 })),
  );
  await test.pass(2_000);
  assert.deepEqual(test.published, all.toSorted((a, b) => a % 3 - b % 3 || a - b));
});

Deno.test("a recurring publication follows its pattern in its time zone", async () => {
  const clock = new FakeClock(Date.parse("2026-03-28T12:00:00Z"));
  await using test = await scheduling({ clock });
  const first = await test.later.publish("a", "daily", {
    every: "30 8 * * *",
    timezone: "Europe/Berlin",
    id: "d",
  });
  const seen = [first.at];
  for (let day = 0; day < 3; day++) {
    await test.pass(seen.at(-1)! - clock.wallTime() + 200);
    const [entry] = await test.later.list();
    seen.push(entry!.at);
  }
  // Daylight saving time begins on 29 March.
  assert.deepEqual(seen.map((ms) => new Date(ms).toISOString().slice(5, 16)), [
    "03-29T06:30",
    "03-30T06:30",
    "03-31T06:30",
    "04-01T06:30",
  ]);
  assert.deepEqual(test.published, ["daily", "daily", "daily"]);
  assert.equal(await test.later.cancel("a", "d"), true);
  await test.pass(3 * 24 * HOUR);
  assert.equal(test.published.length, 3);
});

Deno.test("a publication is listed, replaced by its id, and cancelled, by its owner only", async () => {
  await using test = await scheduling();
  const { later } = test;
  for (const [id, owner] of [["x", "ann"], ["y", "bob"], ["z", undefined]] as const) {
    await later.publish(id === "z" ? "b" : "a", id, { delay: 1_000, id, ...(owner && { owner }) });
  }
  const ids = async (query = {}) => (await later.list(query)).map(({ id }) => id);
  const [first] = await later.list({ limit: 1 });
  assert.deepEqual(await ids(), ["x", "y", "z"]);
  assert.deepEqual(await ids({ limit: 2 }), ["x", "y"]);
  assert.deepEqual(await ids({ after: first!.seq }), ["y", "z"]);
  assert.deepEqual(await ids({ channel: "a", owner: "bob" }), ["y"]);
  for (const query of [{ limit: 0 }, { channel: "a\0" }, { owner: "\ud800" }]) {
    await assert.rejects(later.list(query), { code: "bad_request" });
  }
  for (const [channel, id] of [["a\0", "x"], ["a", "\ud800"]] as const) {
    await assert.rejects(later.cancel(channel, id), { code: "bad_request" });
  }

  await assert.rejects(later.publish("a", 1, { delay: 1, id: "x", owner: "bob" }), { code: "conflict" });
  await later.publish("a", "replaced", { delay: 5_000, id: "x", owner: "ann" });
  await later.publish("c", "other channel", { delay: 5_000, id: "x", owner: "bob" });
  assert.equal(await later.cancel("a", "y", { owner: "ann" }), false);
  assert.equal(await later.cancel("c", "y"), false);
  assert.equal(await later.cancel("a", "y", { owner: "bob" }), true);
  assert.equal(await later.cancel("a", "y"), false);
  assert.equal(await later.cancel("b", "z"), true);
  await test.pass(10_000);
  assert.deepEqual(test.published.splice(1), ["other channel"]);
  assert.deepEqual(test.published, ["replaced"]);
  await later.publish("a", "again", { delay: 1_000, id: "x" });
  await test.pass(2_000);
  assert.deepEqual(test.published, ["replaced", "again"], "the id is free again");
});

Deno.test("B11 a request that is repeated with its key schedules once, also after the publication", async () => {
  await using test = await scheduling({ maxPublications: 2 });
  const add = (n: number, owner?: string) =>
    test.later.publish("a", n, { delay: n * 1_000, idempotencyKey: "k", ...(owner && { owner }) });
  const [first, second] = await Promise.all([add(1), add(2)]);
  assert.deepEqual(second, first);
  await add(3, "ann");
  await test.pass(1_100);
  assert.deepEqual(await add(1), first);
  await test.pass(5_000);
  assert.deepEqual(test.published, [1, 3]);
  await test.pass(300_000);
  await Promise.all([add(4), add(5, "ann")]);
  await test.pass(10_000);
  assert.deepEqual(test.published, [1, 3, 4, 5], "the room of repeated requests is free");
});

Deno.test("B11 what fell due while the server was down is published in order, unless it is too old", async () => {
  using dir = folder();
  const clock = new FakeClock();
  const path = dir.file("a.db");
  {
    await using test = await scheduling({ path, clock });
    for (const n of [3, 1, 2, 0]) await test.later.publish("a", n, { delay: n * 1_000_000 + 1_000_000 });
    await test.later.publish("a", "hourly", { every: "0 * * * *", id: "h" });
    await test.later.publish("a", "every minute", { every: "* * * * *", id: "m" });
    await test.later.publish("a", "future", { delay: 10 * HOUR });
    const [{ at }] = await test.later.list() as [Scheduled];
    assert.ok(at > clock.wallTime());
  }
  clock.advance(5_000_000);
  await using test = await scheduling({ path, clock, maxLateMs: 3_500_000 });
  await test.pass(100);
  assert.deepEqual(test.published.filter((each) => typeof each === "number"), [1, 2, 3]);
  assert.equal(
    test.published.filter((each) => each === "every minute").length,
    1,
    "once for all missed times",
  );
  assert.match(test.log.map(({ message }) => message).join(), /Dropped 1 scheduled publications/);
  const rest = await test.later.list();
  assert.equal(rest.length, 3);
  for (const { at } of rest) assert.ok(at > clock.wallTime() - 100);
});

Deno.test("a recurring publication that is declared at each start keeps its time", async () => {
  using dir = folder();
  const clock = new FakeClock(Date.parse("2026-01-01T00:00:00Z"));
  const path = dir.file("a.db");
  const declare = (test: Awaited<ReturnType<typeof scheduling>>, every = "0 * * * *") =>
    test.later.publish("a", "hourly", { every, id: "h" });
  {
    await using test = await scheduling({ path, clock });
    await declare(test);
  }
  clock.advance(HOUR + 60_000);
  await using test = await scheduling({ path, clock });
  await declare(test);
  await test.pass(100);
  assert.deepEqual(test.published, ["hourly"], "the one that was missed");
  const { at } = await declare(test, "30 * * * *");
  assert.equal(new Date(at).toISOString(), "2026-01-01T01:30:00.000Z");
  assert.equal((await test.later.list()).length, 1);
});

Deno.test("a clock that is set forward makes moments due, and neither shortens nor lengthens a delay", async () => {
  using dir = folder();
  const clock = new FakeClock();
  const path = dir.file("a.db");
  for (const leap of [2 * HOUR, -2 * HOUR]) {
    {
      await using test = await scheduling({ path, clock });
      await test.later.publish("a", "moment", { at: clock.wallTime() + HOUR });
      await test.later.publish("a", "delay", { delay: HOUR });
      clock.set(leap);
      await test.pass(HOUR - 1_000);
      assert.deepEqual(test.published, leap > 0 ? ["moment"] : []);
    }
    await using test = await scheduling({ path, clock });
    const [{ at }] = (await test.later.list()).toSorted((a, b) => a.at - b.at) as [Scheduled];
    assert.ok(Math.abs(at - clock.wallTime() - 1_000) <= 200, "told by the new time");
    await test.pass(1_100);
    assert.deepEqual(test.published, ["delay"], "also after a restart");
    await test.pass(2 * HOUR);
    assert.deepEqual(test.published, leap > 0 ? ["delay"] : ["delay", "moment"]);
  }
});

Deno.test("a recurring publication goes on when the clock is set back", async () => {
  await using test = await scheduling();
  for (let n = 0; n < 150; n++) {
    await test.later.publish("a", n, { every: n < 149 ? "0 0 1 1 *" : "* * * * *", id: `${n}` });
  }
  await test.pass(120_000);
  const before = test.published.length;
  assert.ok(before >= 1);
  test.clock.set(-7 * 24 * HOUR);
  test.clock.advance(1_000);
  await until("the new times", async () => {
    const [last] = await test.later.list({ after: 149 });
    return last!.at < test.clock.wallTime() + 61_000;
  });
  await test.pass(61_000);
  assert.ok(test.published.length > before);
  assert.ok(test.published.every((each) => each === 149));
});

Deno.test("the number and the size of scheduled publications are limited, in total and for each user", async () => {
  using dir = folder();
  const options = { path: dir.file("a.db"), maxPublications: 6, maxPerUser: 2, maxBytes: 100_000 };
  const refused = { code: "limit_exceeded" };
  {
    await using test = await scheduling(options);
    const add = (n: number, owner?: string, data: unknown = n) =>
      test.later.publish("a", data, { delay: HOUR, id: `${n}`, ...(owner && { owner }) });
    await add(1, "ann");
    await assert.rejects(add(2, "ann", "x".repeat(10_000)), refused);
    await assert.rejects(add(2, undefined, "x".repeat(100_000)), refused);
    const settled = await Promise.allSettled([2, 3, 4].map((n) => add(n, "ann")));
    assert.deepEqual(settled.map(({ status }) => status), ["fulfilled", "rejected", "rejected"]);
    await assert.rejects(add(9, "ann"), refused);
    for (const n of [5, 6, 7]) await add(n);
  }
  await using test = await scheduling(options);
  const add = (id: string, owner?: string) =>
    test.later.publish("a", 1, { delay: 100, id, ...(owner && { owner }) });
  await assert.rejects(add("10", "ann"), refused, "they count after a restart");
  await add("8");
  await assert.rejects(add("10"), refused);
  await test.later.cancel("a", "1");
  await add("10", "ann");
  await assert.rejects(add("11"), refused);
  await test.pass(1_000);
  await add("11");
  await add("12", "ann");
});

Deno.test("requests with wrong values are refused", async () => {
  await using test = await scheduling({
    channelOptions: { onlyKnown: true, namespaces: { brief: { historySize: 0 } } },
  });
  const wrong: [unknown, string?][] = [
    [{}],
    [{ at: 1, delay: 1 }],
    ...[-1, 1.5, NaN, Infinity, "1", null, 8.64e15].map((ms): [unknown] => [{ delay: ms }]),
    ...[-1, 1.5, "2030-01-01", new Date(), 8.64e15 + 1].map((at): [unknown] => [{ at }]),
    ...[
      "",
      "x",
      "* * * *",
      "61 * * * *",
      "* * * * * * * *",
      "0 0 30 2 *",
      "2030-01-01T00:00:00",
      5,
      null,
      "@daily",
    ]
      .map((every): [unknown] => [{ every }]),
    ...["Nowhere/City", "", 5, null].map((timezone): [unknown] => [{ every: "* * * * *", timezone }]),
    ...["", "x".repeat(201), 5, null, "a\0"].map((id): [unknown] => [{ delay: 1, id }]),
    [{ delay: 1, owner: "" }],
    [{ delay: 1, idempotencyKey: "" }],
    [{ delay: 1, idempotencyMs: 5 }],
    [{ delay: 1, except: "c" }],
    ...[{ tags: { x: 1 } }, { tags: ["x"] }, { tags: null }, { ephemeral: 1 }, { version: 0 }, {
      version: "1",
    }, { version: 1, versionEpoch: 5 }].map((options): [unknown] => [{ delay: 1, ...options }]),
    [{ delay: 1 }, ""],
    [{ delay: 1, tags: { x: "y".repeat(1_100_000) } }],
  ];
  for (const [request, channel = "a"] of wrong) {
    await assert.rejects(
      test.later.publish(channel, 1, request as never),
      { code: "bad_request" },
      JSON.stringify(request).slice(0, 100),
    );
  }
  await assert.rejects(test.later.publish("other:x", 1, { delay: 1 }), { code: "unknown_channel" });
  await assert.rejects(test.later.publish("a", 1n, { delay: 1 }), { code: "bad_request" });
  const version = { delay: 1, version: 1 };
  for (const [channel, ephemeral] of [["a", true], ["brief:a", false]] as const) {
    await assert.rejects(test.later.publish(channel, 1, { ...version, ephemeral }), {
      code: "not_available",
    });
  }
  // Bytes that are no JSON, for a namespace of JSON.
  const bytes = Payload.fromBytes(new Uint8Array([0xff, 0x00]));
  await assert.rejects(test.later.publish("a", bytes, { delay: 1 }), { code: "bad_request" });
  assert.deepEqual(await test.later.list(), []);
});

Deno.test("a failed publication is tried again, and others do not wait for it; what cannot succeed is given up", async () => {
  const memory = memoryBroker();
  let down = true;
  const tries: number[] = [];
  const clock = new FakeClock();
  const broker = {
    ...memory,
    publish(...args: Parameters<typeof memory.publish>) {
      if (args[0] === "c") throw new PlugboardError("not_available", "The broker never takes this");
      if (args[0] === "b") {
        tries.push(clock.monotonicTime());
        if (down) throw new PlugboardError("unavailable", "The broker is down");
      }
      return memory.publish(...args);
    },
  };
  await using test = await scheduling({ clock, channelOptions: { broker }, maxLateMs: 100_000 });
  await test.later.publish("b", "b", { delay: 1_000 });
  await test.later.publish("a", "a", { delay: 1_000 });
  await test.later.publish("c", "never", { delay: 1_000 });
  await test.pass(1_100);
  assert.deepEqual(test.published, ["a"]);
  for (let n = 0; n < 10; n++) await test.pass(1_000);
  const gaps = tries.slice(1).map((time, i) => Math.round((time - tries[i]!) / 1_000));
  assert.deepEqual(gaps, [1, 2, 4]);
  down = false;
  await test.pass(10_000);
  assert.deepEqual(test.published, ["a", "b"]);
  down = true;
  await test.later.publish("b", "lost", { delay: 0 });
  for (let n = 0; n < 30; n++) await test.pass(10_000);
  assert.deepEqual(await test.later.list(), []);
  const messages = test.log.map(({ message }) => message);
  assert.equal(messages.filter((each) => /was given up/.test(each)).length, 2);
  assert.equal(messages.filter((each) => /is tried again/.test(each)).length, 2, "told once for each");
});

Deno.test("only the process that leads publishes", async () => {
  let leads = false;
  await using test = await scheduling({ leads: () => leads });
  await test.later.publish("a", 1, { delay: 100 });
  test.clock.advance(5_000);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(test.published, []);
  leads = true;
  await test.pass(100);
  assert.deepEqual(test.published, [1]);
});

Deno.test("payloads stay as they are, and bytes are bytes", async () => {
  await using test = await scheduling({ channelOptions: { namespaces: { bytes: { payloads: "binary" } } } });
  await test.later.publish("a", Payload.fromJson('{"n":1.10,"big":12345678901234567890}'), { delay: 0 });
  await test.later.publish("bytes:a", Payload.fromBytes(new Uint8Array([0, 255])), { delay: 0 });
  await test.pass(200);
  const [bytes] = (await test.bus.history("bytes:a")).publications;
  assert.deepEqual(bytes!.payload.content, new Uint8Array([0, 255]));
  const { publications } = await test.bus.history("a");
  assert.deepEqual(publications.map(({ payload }) => payload.text), [
    '{"n":1.10,"big":12345678901234567890}',
  ]);
});

Deno.test("a publication that is being cancelled while it is published is published or cancelled, not both", async () => {
  await using test = await scheduling();
  for (let n = 0; n < 50; n++) {
    await test.later.publish("durable:a", n, { delay: 100, id: `${n}` });
    const before = (await test.bus.history("durable:a", { limit: 0 })).top.offset;
    test.clock.advance(100);
    for (let turns = n % 5; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    const cancelled = await test.later.cancel("durable:a", `${n}`);
    await test.pass(100);
    const { offset } = (await test.bus.history("durable:a", { limit: 0 })).top;
    assert.equal(offset - before, cancelled ? 0 : 1);
  }
});
