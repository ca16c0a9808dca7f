/**
 * Publishes what is scheduled to durable channels, and prints a line for each publication, until it is killed or everything is
 * published. Arguments: the file, how many publications to schedule first, for an hour later, and how far its clock is ahead.
 */

import { Server, systemClock } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { schedule } from "../../../plugins/schedule.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";

const HOUR_MS = 3_600_000;
const [path, count, aheadMs] = Deno.args as [string, string, string];
const clock = { ...systemClock, wallTime: () => systemClock.wallTime() + Number(aheadMs) };
const server = new Server({ port: false, clock });
const store = server.use(persistence({ path }));
const bus = server.use(channels({ broker: sqliteBroker({ store }), defaults: { historySize: 1_000_000 } }));
const later = server.use(schedule({ channels: bus, store }));
const encoder = new TextEncoder();
// Long lines fill the pipe, so this process is never far ahead of the one that kills it.
const print = (line: string) => Deno.stdout.writeSync(encoder.encode(`${line.padEnd(4_000)}\n`));
for (let c = 0; c < 4; c++) bus.subscribe(`c${c}`, (n) => print(`published ${n}`));
await server.start();
await Promise.all(
  Array.from({ length: Number(count) }, (_, n) => {
    return later.publish(`c${n % 4}`, n, { delay: HOUR_MS + n, id: `${n}` });
  }),
);
print("scheduled");
while ((await later.list({ limit: 1 })).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
await server.stop();
