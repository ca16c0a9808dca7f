import assert from "node:assert/strict";
import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { Child } from "../../kit/child.ts";

const WRITERS = 10;
const ROUNDS = 8;
/** How far behind the last acknowledgement a writer begins again. */
const OVERLAP = 5;
const CHILD = new URL("idempotency_child.ts", import.meta.url);

Deno.test("B11 publications that are repeated after kill -9 are published once, and keep their positions", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a.db`;
  /** By writer: the offset of each acknowledged number. */
  const acknowledged = Array.from({ length: WRITERS }, () => new Map<number, number>());
  const starts = new Array<number>(WRITERS).fill(0);
  for (let round = 0; round < ROUNDS; round++) {
    await using child = new Child(CHILD, { args: [path, ...starts.map(String)] });
    // The moment of the kill depends on the work, not on a clock.
    for (let left = 200 + Math.floor(Math.random() * 200); left > 0; left--) note(await child.line());
    child.kill("SIGKILL");
    await child.end();
    for await (const line of rest(child)) note(line);
    for (const [id, known] of acknowledged.entries()) starts[id] = Math.max(0, known.size - OVERLAP);
  }

  function note(line: string): void {
    const [id, n, offset] = line.split(" ").map(Number) as [number, number, number];
    assert.equal(offset, acknowledged[id]!.get(n) ?? offset, "a repeated publish has another position");
    acknowledged[id]!.set(n, offset);
  }

  const server = new Server({ port: false });
  const store = server.use(persistence({ path }));
  const bus = server.use(channels({ broker: sqliteBroker({ store }), defaults: { historySize: 1_000_000 } }));
  await server.start();
  for (const [id, known] of acknowledged.entries()) {
    const { publications } = await bus.history(`c${id}`);
    const numbers = publications.map(({ payload }) => Number(payload.text));
    assert.deepEqual(numbers, numbers.map((_, n) => n), "each once, in order");
    assert.ok(numbers.length >= known.size);
    for (const [n, offset] of known) assert.equal(offset, n + 1);
  }
  await server.stop();
  await Deno.remove(folder, { recursive: true });
});

/** The lines that a killed child has printed. The last one may be cut off. */
async function* rest(child: Child): AsyncGenerator<string> {
  try {
    for (;;) yield await child.line();
  } catch { /* no more lines */ }
}
