/**
 * Publishes with idempotency keys from ten writers, as fast as it can, and prints a line for each acknowledged one, until
 * it is killed. Arguments: the file, and the number at which each writer begins.
 */

import { Server } from "../../../core/mod.ts";
import { channels } from "../../../plugins/channels.ts";
import { persistence } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";

const [path, ...starts] = Deno.args as [string, ...string[]];
const server = new Server({ port: false });
const store = server.use(persistence({ path }));
const bus = server.use(channels({ broker: sqliteBroker({ store }), defaults: { historySize: 1_000_000 } }));
await server.start();
const encoder = new TextEncoder();

async function writer(id: number): Promise<never> {
  for (let n = Number(starts[id]);; n++) {
    const { offset } = await bus.publish(`c${id}`, n, { idempotencyKey: `k${n}` });
    Deno.stdout.writeSync(encoder.encode(`${id} ${n} ${offset}\n`));
  }
}

await Promise.all(starts.map((_, id) => writer(id)));
