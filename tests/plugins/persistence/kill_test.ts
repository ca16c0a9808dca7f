import assert from "node:assert/strict";
import type { Durability } from "../../../plugins/persistence.ts";
import { folder, opened, value } from "./kit.ts";

const ROUNDS = 50;
/** How many writes are acknowledged in a round, at least. */
const MIN_LINES = 25;
const CHILD = new URL("kill_child.ts", import.meta.url).pathname;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

/** Kills the child after some of its acknowledgements; returns the last one of each writer. */
async function runAndKill(path: string, durability: Durability): Promise<Map<number, number>> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", "--config", CONFIG, CHILD, path, durability],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let lines = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  // The moment depends on the work, and a little on a clock.
  const enough = MIN_LINES + Math.random() * 200;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    lines += text;
    if (lines.split("\n").length <= enough) continue;
    timer ??= setTimeout(() => child.kill("SIGKILL"), Math.random() * 10);
  }
  clearTimeout(timer);
  assert.equal((await child.status).signal, "SIGKILL");
  const acknowledged = new Map<number, number>();
  // The last line may have been cut off.
  for (const line of lines.split("\n").slice(0, -1)) {
    const [writer, n] = line.split(" ").map(Number) as [number, number];
    acknowledged.set(writer, Math.max(n, acknowledged.get(writer) ?? 0));
  }
  return acknowledged;
}

Deno.test(`B04 every acknowledged write survives SIGKILL, ${ROUNDS} times in a row on one file`, async () => {
  using dir = folder();
  const path = dir.file("a.db");
  let rows = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const acknowledged = await runAndKill(path, round % 2 === 0 ? "normal" : "full");
    await using db = await opened({ path });
    const writers = db.store.all<{ writer: number; most: number; count: number }>(
      "SELECT writer, max(n) AS most, count(*) AS count FROM acks GROUP BY writer",
    );
    const kept = new Map(writers.map(({ writer, most }) => [writer, most]));
    for (const [writer, n] of acknowledged) {
      assert.ok(
        kept.get(writer)! >= n,
        `round ${round}: writer ${writer} got ${n} acknowledged, has ${kept.get(writer)}`,
      );
    }
    for (const { writer, most, count } of writers) assert.equal(count, most, `writer ${writer} has a gap`);
    const now = value(db.store, "SELECT count(*) FROM acks") as number;
    assert.ok(now > rows, "nothing was written in this round");
    rows = now;
    assert.deepEqual(db.store.all("PRAGMA quick_check").map((row) => Object.values(row)[0]), ["ok"]);
  }
  assert.ok(rows >= ROUNDS * MIN_LINES, `only ${rows} rows: this tests too little`);
});
