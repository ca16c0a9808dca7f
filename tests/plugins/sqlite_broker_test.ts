import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Server } from "../../core/mod.ts";
import { channels, Payload } from "../../plugins/channels.ts";
import { persistence, type Store } from "../../plugins/persistence.ts";
import { sqliteBroker, type SqliteBrokerOptions } from "../../plugins/sqlite_broker.ts";
import { brokerSuite, underTest } from "../kit/broker_suite.ts";
import { logEndsOf } from "../../plugins/sqlite_broker/log_ends.ts";
import type { MoveSizes } from "../../plugins/sqlite_broker/moves.ts";
import { FakeClock, until } from "../kit/mod.ts";
import { publishOnceSuite } from "../kit/publish_once_suite.ts";

async function sqlite(path = ":memory:", options: Partial<SqliteBrokerOptions> = {}, sizes?: MoveSizes) {
  const clock = new FakeClock();
  const server = new Server({ port: false, clock });
  const store = server.use(persistence({ path }));
  logEndsOf(store, sizes);
  await server.start();
  const under = await underTest(sqliteBroker({ store, ...options }), () => server.stop(), clock);
  return Object.assign(under, { store });
}

/** The tail is always being moved. */
const MOVING = { rows: 0, every: 1, moved: 1, deleted: 2 };

brokerSuite("SQLite", () => sqlite());
brokerSuite("moving SQLite", () => sqlite(":memory:", {}, MOVING));
publishOnceSuite("SQLite", () => sqlite());
publishOnceSuite("moving SQLite", () => sqlite(":memory:", {}, MOVING));

/** The number of publications in the file. */
function rowsIn(store: Pick<Store, "get">): number {
  const sql = "SELECT (SELECT count(*) FROM channel_publications) + (SELECT count(*) FROM channel_tail) AS n";
  return store.get<{ n: number }>(sql)!.n;
}

const keep = { size: 5, ageMs: 60_000 };

Deno.test("the SQLite broker continues its histories after a restart", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/log.db`;
  const first = await (async () => {
    await using under = await sqlite(path);
    await under.broker.publish("a", { payload: Payload.of(1), tags: { t: "x" } }, { keep });
    return await under.broker.publish("a", { payload: Payload.of(2) }, { keep });
  })();
  await using under = await sqlite(path);
  const { publications, top } = await under.broker.history("a", {}, keep);
  assert.deepEqual(publications.map(({ payload }) => payload.text), ["1", "2"]);
  assert.deepEqual(top, { offset: first.offset, epoch: first.epoch });
  assert.equal((await under.broker.publish("a", { payload: Payload.of(3) }, { keep })).offset, 3);
  assert.equal((await under.broker.history("empty", {}, keep)).top.epoch, first.epoch);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the SQLite broker removes in the background what readers cannot see", async () => {
  await using under = await sqlite();
  const { broker, clock, store } = under;
  const rows = () => rowsIn(store);
  for (let channel = 0; channel < 20; channel++) {
    for (let n = 0; n < 20; n++) await broker.publish(`c${channel}`, { payload: Payload.of(1) }, { keep });
  }
  await until("the surplus to be removed", () => {
    clock.advance(250);
    return rows() === 20 * keep.size;
  });
  await until("the removal", () => {
    clock.advance(keep.ageMs);
    return rows() === 0;
  });
  assert.equal((await broker.publish("c1", { payload: Payload.of(1) }, { keep })).offset, 21);
});

Deno.test("the SQLite broker's database stops growing while publishing goes on", async () => {
  await using under = await sqlite(":memory:", {}, { rows: 500, every: 64, moved: 128, deleted: 500 });
  const { broker, store } = under;
  const pages = () => store.get<{ page_count: number }>("PRAGMA page_count")!.page_count;
  const sizes: number[] = [];
  for (let round = 0; round < 20; round++) {
    // The clock stands still, so there is no sweep.
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => {
      return broker.publish(`c${n % 50}`, { payload: Payload.of("x".repeat(200)) }, { keep });
    }));
    sizes.push(pages());
  }
  // A round writes about 60 pages. The file has 80 at most, also after 300 rounds; when it gets there differs.
  assert.ok(sizes.at(-1)! <= sizes[1]! * 2, `pages after each round: ${sizes}`);
  const n = rowsIn(store);
  assert.ok(n < 50 * keep.size * 3 + 500 * 2, `${n} publications are kept`);
});

Deno.test("the SQLite broker forgets unused histories, and their positions are not valid in new ones", async () => {
  await using under = await sqlite(":memory:", { forgetAfterMs: 10_000 });
  const { broker, clock, store } = under;
  const before = await broker.publish("a", { payload: Payload.of(1) }, { keep: { size: 5, ageMs: 1_000 } });
  clock.advance(20_000);
  await until("the history to be forgotten", () => {
    clock.advance(1_000);
    return store.all("SELECT * FROM channel_logs").length === 0;
  });
  const after = await broker.publish("a", { payload: Payload.of(2) }, { keep });
  assert.equal(after.offset, 1);
  assert.notEqual(after.epoch, before.epoch);
});

Deno.test("the SQLite broker keeps a publication that is written while its history is about to be forgotten", async () => {
  await using under = await sqlite(":memory:", { forgetAfterMs: 600_000 });
  const { broker, clock, store } = under;
  const rows = () => rowsIn(store);
  const publish = () => broker.publish("a", { payload: Payload.of("kept") }, { keep });
  // Afterwards, the end of the history is known, and a publish does not update the row of the history.
  for (let n = 0; n < 2; n++) await publish();
  clock.advance(keep.ageMs);
  await until("the removal", () => {
    clock.advance(250);
    return rows() === 0;
  });
  // The write waits for its transaction while the sweep reads.
  const publishing = publish();
  clock.advance(600_000);
  const { offset, epoch } = await publishing;
  await store.write(() => {}); // after what the sweep writes
  const { publications, top } = await broker.history("a", {}, { ...keep, ageMs: 3_600_000 });
  assert.deepEqual([publications.map(({ payload }) => payload.text), top], [['"kept"'], { offset, epoch }]);
});

Deno.test("the SQLite broker keeps an unused history until it has expired", async () => {
  await using under = await sqlite(":memory:", { forgetAfterMs: 10_000 });
  const { broker, clock, store } = under;
  const long = { size: 5, ageMs: 3_600_000 };
  await broker.publish("a", { payload: Payload.of(1) }, { keep: long });
  await broker.publish("b", { payload: Payload.of(1) }, { keep });
  clock.advance(keep.ageMs);
  await until("the other history to be forgotten", () => {
    clock.advance(1_000);
    return store.all("SELECT * FROM channel_logs").length === 1;
  });
  assert.equal((await broker.history("a", {}, long)).publications.length, 1);
  assert.equal((await broker.publish("a", { payload: Payload.of(2) }, { keep: long })).offset, 2);
});

Deno.test("the SQLite broker shortens a long history step by step", async () => {
  await using under = await sqlite();
  const { broker, clock, store } = under;
  const rows = () => rowsIn(store);
  const publish = (count: number, size: number) =>
    Promise.all(
      Array.from({ length: count }, () =>
        broker.publish("a", { payload: Payload.of(1) }, { keep: { ...keep, size } })),
    );
  await publish(3_200, 10_000);
  await publish(8, 5);
  assert.ok(rows() > 2_000, "no publish waits for the whole removal");
  assert.equal(
    (await broker.history("a", {}, keep)).publications.length,
    5,
    "readers do not see the surplus",
  );
  await until("the removal", () => {
    clock.advance(250);
    return rows() === 5;
  });
});

Deno.test("B04 a publication that was not stored is not confirmed, not delivered, and has no offset", async () => {
  const server = new Server({ port: false });
  const store = server.use(persistence({ path: ":memory:" }));
  const bus = server.use(channels({ broker: sqliteBroker({ store }) }));
  await server.start();
  const heard: unknown[] = [];
  bus.subscribe("a", (data) => heard.push(data));
  await bus.publish("a", 1);
  await store.exec(
    "CREATE TRIGGER full BEFORE INSERT ON channel_tail BEGIN SELECT raise(ABORT, 'no room'); END",
  );
  await assert.rejects(bus.publish("a", 2));
  await store.exec("DROP TRIGGER full");
  assert.equal((await bus.publish("a", 3)).offset, 2);
  await until("both callbacks", () => heard.length === 2);
  assert.deepEqual(heard, [1, 3]);
  await server.stop();
});

Deno.test("offsets have no gap and no duplicate after writes that were undone, beside another process, and after a restart", async () => {
  const path = await Deno.makeTempFile();
  const payload = Payload.of(1);
  {
    await using under = await sqlite(path);
    const { broker, store } = under;
    const publish = () => broker.publish("a", { payload }, { keep: { size: 100, ageMs: 60_000 } });
    await store.exec("CREATE TABLE others (x)");
    for (const offset of [1, 2]) assert.equal((await publish()).offset, offset);
    const broken = () =>
      store.write((tx) => {
        tx.run("INSERT INTO others VALUES (1)");
        throw new Error("undone, together with the publications of the same transaction");
      });
    const settled = await Promise.allSettled([publish(), publish(), broken(), publish()]);
    assert.deepEqual(
      settled.map((each) =>
        each.status === "fulfilled" && "offset" in each.value ? each.value.offset : "failed"
      ),
      [3, 4, "failed", 5],
    );
    using other = new DatabaseSync(path);
    other.exec("INSERT INTO channel_publications VALUES (1, 6, 0, '2', NULL, NULL, NULL)");
    assert.equal((await publish()).offset, 7);
    await broker.removeHistory("a");
    assert.equal((await broker.history("a", {}, keep)).top.offset, 7);
  }
  {
    await using under = await sqlite(path);
    const { broker, clock, store } = under;
    assert.equal(
      (await broker.publish("a", { payload }, { keep })).offset,
      8,
      "after the removal and a restart",
    );
    await until("the expiry", () => {
      clock.advance(keep.ageMs);
      return store.all("SELECT * FROM channel_publications").length === 0;
    });
  }
  await using under = await sqlite(path);
  assert.equal(
    (await under.broker.publish("a", { payload }, { keep })).offset,
    9,
    "after the expiry and a restart",
  );
  await Deno.remove(path);
});
