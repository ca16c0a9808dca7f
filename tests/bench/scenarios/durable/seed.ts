/**
 * Fills durable channels. Arguments: the folder of the database, the number of channels, the number of publications in
 * each, and `killed` to kill the process at the end.
 */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../../plugins/sqlite_broker.ts";

const AT_ONCE = 1_000;

const [folder, channelCount, publicationCount, end] = Deno.args;
const server = new Server({ port: false });
const store = server.use(persistence({ path: `${folder}/plugboard.db` }));
const kept = { broker: sqliteBroker({ store }), historySize: 1_000, historyMs: 86_400_000 };
const bus = server.use(channels({ namespaces: { kept } }));
await server.start();
const text = "x".repeat(100);
for (let channel = 0; channel < Number(channelCount); channel++) {
  for (let left = Number(publicationCount); left > 0; left -= AT_ONCE) {
    const some = Array.from({ length: Math.min(left, AT_ONCE) }, () => bus.publish(`kept:${channel}`, text));
    await Promise.all(some);
  }
}
if (end === "killed") Deno.kill(Deno.pid, "SIGKILL");
await server.stop();
