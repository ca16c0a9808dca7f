/**
 * Writes as fast as it can from 20 writers and prints a line for each acknowledged write, until it is killed.
 * Arguments: the file and the durability.
 */

import type { Durability } from "../../../plugins/persistence.ts";
import { opened } from "./kit.ts";

const [path, durability] = Deno.args as [string, Durability];
const { store } = await opened({ path, durability, checkpointBytes: 262_144 });
await store.migrate("test", [
  "CREATE TABLE acks (writer INTEGER, n INTEGER, data TEXT, PRIMARY KEY (writer, n)) WITHOUT ROWID",
]);
const encoder = new TextEncoder();

async function writer(id: number): Promise<never> {
  let { n } = store.get<{ n: number }>("SELECT coalesce(max(n), 0) AS n FROM acks WHERE writer = ?", [id])!;
  for (;;) {
    await store.run("INSERT INTO acks VALUES (?, ?, ?)", [id, ++n, "x".repeat(n % 1_000)]);
    // Synchronous, so that the line is in the pipe before the next write.
    Deno.stdout.writeSync(encoder.encode(`${id} ${n}\n`));
  }
}

await Promise.all(Array.from({ length: 20 }, (_, id) => writer(id)));
