/** Publishes much more than a small disk holds, to channels that keep little. Argument: the folder. */

import assert from "node:assert/strict";
import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";

const server = new Server({ port: 0 });
const store = server.use(persistence({ path: `${Deno.args[0]}/log.db` }));
const kept = { broker: sqliteBroker({ store }), historySize: 100, historyMs: 86_400_000 };
const bus = server.use(channels({ namespaces: { kept } }));
await server.start();
for (let n = 0; n < 1_000; n++) {
  await Promise.all(Array.from({ length: 8 }, (_, i) => bus.publish(`kept:${i}`, "x".repeat(500))));
  // The log's size is checked from time to time. On a fast machine, more than the disk holds could be written meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 4));
}
assert.equal(store.problem, undefined);
await server.stop();
