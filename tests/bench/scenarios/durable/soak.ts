/**
 * Publishes 1,000,000 times to 10,000 durable channels with ten publications each, with 100 concurrent publishers. Prints
 * the sizes of the file, its write-ahead log and the memory in KiB for each 100,000 publications, as JSON.
 */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../../plugins/sqlite_broker.ts";
import { memoryKilobytes } from "../../os.ts";

const CHANNELS = 10_000;
const PUBLISHERS = 100;
const STEP = 100_000;
const STEPS = 10;

const folder = Deno.makeTempDirSync();
const path = `${folder}/plugboard.db`;
const server = new Server({ port: false });
const store = server.use(persistence({ path }));
const bus = server.use(channels({ broker: sqliteBroker({ store }), defaults: { historySize: 10 } }));
const kilobytes = (file: string) => Deno.statSync(file).size / 1024;

let published = 0;
const text = "x".repeat(100);

async function publishUntil(end: number): Promise<void> {
  // A step without a common factor visits all channels, in no local order.
  while (published < end) await bus.publish(`soak ${published++ * 7_919 % CHANNELS}`, text);
}

try {
  await server.start();
  const samples: Record<"file" | "log" | "memory", number>[] = [];
  for (let step = 1; step <= STEPS; step++) {
    await Promise.all(Array.from({ length: PUBLISHERS }, () => publishUntil(step * STEP)));
    (globalThis as unknown as { gc(): void }).gc();
    samples.push({
      file: kilobytes(path),
      log: kilobytes(`${path}-wal`),
      memory: memoryKilobytes(Deno.pid),
    });
  }
  await server.stop();
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(samples)));
} finally {
  Deno.removeSync(folder, { recursive: true });
}
