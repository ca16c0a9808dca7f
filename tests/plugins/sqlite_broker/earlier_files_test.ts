import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Payload } from "../../../plugins/channels.ts";
import { FakeClock, until } from "../../kit/mod.ts";
import { openBroker } from "./kit.ts";

const keep = { size: 5, ageMs: 60_000 };

/** The tables of a file that an earlier version has written, with one history. */
const EARLIER = `
  CREATE TABLE plugboard_migrations (
    owner TEXT NOT NULL, version INTEGER NOT NULL, applied_at INTEGER NOT NULL, PRIMARY KEY (owner, version)
  ) WITHOUT ROWID;
  INSERT INTO plugboard_migrations VALUES ('channels', 1, 0), ('channels', 2, 0), ('channels', 3, 0);
  CREATE TABLE channel_logs (
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL, top INTEGER NOT NULL,
    size INTEGER NOT NULL, age_ms INTEGER NOT NULL, used_at INTEGER NOT NULL, version INTEGER, version_epoch TEXT
  ) STRICT;
  CREATE TABLE channel_publications (
    log INTEGER NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL, json TEXT NOT NULL, info TEXT, tags TEXT,
    bytes BLOB, PRIMARY KEY (log, offset)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE channel_epoch (epoch TEXT NOT NULL) STRICT;
  INSERT INTO channel_epoch VALUES ('newer');
  INSERT INTO channel_logs VALUES (7, 'full', 'older', 42, 5, 60000, 1000, NULL, NULL), (8, 'empty', 'older', 9, 5, 60000, 1000, 3, 'v');
  INSERT INTO channel_publications VALUES
    (7, 41, $time, '{"n":41}', NULL, '{"t":"x"}', NULL), (7, 42, $time, '', NULL, NULL, x'00ff');
`;

/** Later, the ends of logs were kept in memory, so that `top` lags behind. */
const LAGGING = `
  INSERT INTO plugboard_migrations VALUES ('channels', 4, 0);
  UPDATE channel_logs SET top = 30 WHERE channel = 'full';
`;

for (const [version, sql] of [["that updated each log", EARLIER], ["without a tail", EARLIER + LAGGING]]) {
  Deno.test(`the SQLite broker continues the histories of a file written by a version ${version}`, () =>
    migrate(sql!));
}

async function migrate(sql: string): Promise<void> {
  const path = await Deno.makeTempFile();
  using earlier = new DatabaseSync(path);
  earlier.exec(`PRAGMA journal_mode = WAL; ${sql.replaceAll("$time", String(new FakeClock().wallTime()))}`);
  earlier.close();
  {
    const clock = new FakeClock();
    const under = await openBroker(path, clock);
    const { broker, store } = under;
    const { publications, top } = await broker.history("full", {}, keep);
    assert.deepEqual(top, { offset: 42, epoch: "older" });
    assert.deepEqual(publications.map(({ offset }) => offset), [41, 42]);
    assert.equal(publications[0]!.payload.text, '{"n":41}');
    assert.deepEqual(publications[0]!.tags, { t: "x" });
    assert.deepEqual(publications[1]!.payload.bytes, Uint8Array.of(0, 255));
    const payload = Payload.of("new");
    const next = await broker.publish("full", { payload }, { keep });
    assert.deepEqual([next.offset, next.epoch], [43, "older"]);
    const version = { number: 3, epoch: "v" };
    const stale = await broker.publish("empty", { payload }, { keep, version });
    assert.deepEqual([stale.offset, stale.suppressed], [9, "version"]);
    assert.equal((await broker.publish("empty", { payload }, { keep })).offset, 10);
    const offsets = async () =>
      (await broker.history("full", {}, keep)).publications.map(({ offset }) => offset);
    assert.deepEqual(await offsets(), [41, 42, 43]);
    await until("the move", () => {
      clock.advance(250);
      return store.get("SELECT 1 FROM channel_tail") === undefined;
    });
    assert.deepEqual(await offsets(), [41, 42, 43]);
    assert.equal((await broker.publish("full", { payload }, { keep })).offset, 44);
    await under.close();
  }
  const again = await openBroker(path);
  assert.deepEqual((await again.broker.history("full", {}, keep)).publications.map(({ offset }) => offset), [
    41,
    42,
    43,
    44,
  ]);
  assert.equal((await again.broker.history("empty", {}, keep)).top.offset, 10);
  await again.close();
  await Deno.remove(path);
}
