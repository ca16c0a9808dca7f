import assert from "node:assert/strict";
import { Payload } from "../../../plugins/channels.ts";
import { FakeClock, until } from "../../kit/mod.ts";
import { type OpenBroker, openBroker, SMALL } from "./kit.ts";

const keep = { size: 20, ageMs: 60_000 };

function publish({ broker }: OpenBroker, channel: string, text: string) {
  return broker.publish(channel, { payload: Payload.of(text) }, { keep });
}

async function texts({ broker }: OpenBroker, channel: string): Promise<string[]> {
  const { publications } = await broker.history(channel, {}, keep);
  return publications.map(({ payload }) => JSON.parse(payload.text));
}

/** The rows in each table. */
function rowsIn({ store }: OpenBroker): { tail: number; logs: number } {
  return {
    ...store.get<{ tail: number; logs: number }>(
      "SELECT (SELECT count(*) FROM channel_tail) AS tail, (SELECT count(*) FROM channel_publications) AS logs",
    )!,
  };
}

Deno.test("publications are in the tail at first, and some seconds later in their logs", async () => {
  const clock = new FakeClock();
  const under = await openBroker(":memory:", clock, { ...SMALL, rows: 1_000 });
  await Promise.all(Array.from({ length: 40 }, (_, n) => publish(under, `c${n % 4}`, `${n}`)));
  assert.deepEqual(rowsIn(under), { tail: 40, logs: 0 });
  clock.advance(4_000);
  await under.store.write(() => {}); // after what the sweep writes
  assert.deepEqual(rowsIn(under), { tail: 40, logs: 0 });
  await until("the move", () => {
    clock.advance(250);
    return under.ends.tail.length === 0;
  });
  assert.deepEqual(rowsIn(under), { tail: 0, logs: 40 });
  assert.equal(under.ends.tail.logs().length, 0);
  assert.deepEqual(await texts(under, "c1"), Array.from({ length: 10 }, (_, n) => `${n * 4 + 1}`));
  await under.close();
});

Deno.test("a copy of the file after any step of a move has each publication once", async () => {
  const folder = await Deno.makeTempDir();
  const under = await openBroker(`${folder}/a.db`, new FakeClock(), { ...SMALL, rows: 1_000 });
  for (let n = 0; n < 30; n++) await publish(under, `c${n % 3}`, `${n}`);
  await under.broker.removeHistory("c2");
  await publish(under, "c2", "later");
  const all = (channel: number) => Array.from({ length: 10 }, (_, n) => `${n * 3 + channel}`);
  for (let step = 0, moving = true; moving; step++) {
    await under.store.backup(`${folder}/${step}.db`);
    const copy = await openBroker(`${folder}/${step}.db`, new FakeClock(), { ...SMALL, rows: 1_000 });
    assert.deepEqual(
      [await texts(copy, "c0"), await texts(copy, "c1"), await texts(copy, "c2")],
      [all(0), all(1), ["later"]],
    );
    assert.equal((await publish(copy, "c1", "next")).offset, 11);
    await copy.close();
    await under.store.write((tx) => under.ends.step(tx));
    moving = under.ends.moves.urgent;
  }
  assert.deepEqual(rowsIn(under), { tail: 0, logs: 21 });
  await under.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a step of a move that is undone loses nothing", async () => {
  const under = await openBroker(":memory:", new FakeClock(), { ...SMALL, rows: 1_000 });
  for (let n = 0; n < 30; n++) await publish(under, `c${n % 3}`, `${n}`);
  let steps = 0;
  do {
    await assert.rejects(under.store.write((tx) => {
      under.ends.step(tx);
      tx.run("INSERT INTO plugboard_probe VALUES (x'00')");
      throw new Error("undone");
    }));
    steps++;
  } while (under.ends.moves.urgent);
  assert.ok(steps > 10, `${steps} steps`);
  assert.deepEqual(rowsIn(under), { tail: 30, logs: 0 });
  assert.equal((await texts(under, "c1")).length, 10);
  assert.equal((await publish(under, "c1", "next")).offset, 11);
  await under.close();
});

Deno.test("the tail stays short while thousands publish without a pause", async () => {
  const sizes = { rows: 500, every: 64, moved: 128, deleted: 500 };
  const under = await openBroker(":memory:", new FakeClock(), sizes);
  let longest = 0;
  for (let round = 0; round < 10; round++) {
    // Two histories get many, the others one or two.
    await Promise.all(Array.from({ length: 1_000 }, async (_, n) => {
      await publish(under, n % 2 === 0 ? `hot${n % 4}` : `c${round % 2}:${n}`, "x");
      longest = Math.max(longest, under.ends.tail.length);
    }));
  }
  assert.ok(longest > 500 && longest < 1_500, `${longest} rows`);
  assert.ok(rowsIn(under).tail < 1_500, "and in the file");
  await under.close();
});

Deno.test("a forgotten history does not come back as that of another channel", async () => {
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock();
  const sizes = { ...SMALL, rows: 1_000 };
  const first = await openBroker(`${folder}/a.db`, clock, sizes, 1);
  await publish(first, "a", "of a");
  await first.broker.removeHistory("a");
  clock.advance(500); // it is unused, but its row is in the tail
  await first.store.write(() => {});
  const { epoch, offset } = await publish(first, "b", "of b");
  await first.close();
  const again = await openBroker(`${folder}/a.db`, clock, sizes, 1);
  assert.deepEqual([await texts(again, "a"), await texts(again, "b")], [[], ["of b"]]);
  assert.deepEqual((await again.broker.history("b", {}, keep)).top, { epoch, offset });
  await until("the history to be forgotten", () => {
    clock.advance(250);
    return again.store.get("SELECT 1 FROM channel_logs WHERE channel = 'a'") === undefined;
  });
  await again.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("two servers on one file, whose lock was removed, lose no publication and use no offset twice", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a.db`;
  const sizes = { ...SMALL, rows: 1_000 };
  const first = await openBroker(path, new FakeClock(), sizes);
  await publish(first, "a", "0");
  await first.store.write((tx) => first.ends.step(tx));
  while (first.ends.moves.urgent) await first.store.write((tx) => first.ends.step(tx));
  await Deno.remove(`${path}.lock`);
  const second = await openBroker(path, new FakeClock(), sizes);
  const servers = [second, first, first, second, second, first, second];
  const offsets: number[] = [];
  for (const [n, server] of servers.entries()) offsets.push((await publish(server, "a", `${n + 1}`)).offset);
  assert.deepEqual(offsets, [2, 3, 4, 5, 6, 7, 8]);
  await first.close();
  do await second.store.write((tx) => second.ends.step(tx)); while (second.ends.moves.urgent);
  assert.deepEqual(await texts(second, "a"), ["0", "1", "2", "3", "4", "5", "6", "7"]);
  await second.close();
  await Deno.remove(folder, { recursive: true });
});
