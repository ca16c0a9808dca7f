/**
 * Durable channels, and others, in Centrifuge's protocol. Arguments: the folder of the database, and the namespace that
 * 100 publishers of this process are busy with, if any: `kept` or `free`.
 */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { presence } from "../../../../plugins/presence.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { sqliteBroker } from "../../../../plugins/sqlite_broker.ts";
import { announce } from "../../contenders/announce.ts";

const PUBLISHERS = 100;
/** How often each of them publishes: 2,000 publications a second, which a disk has to keep up with. */
const PAUSE_MS = 50;

const [folder, busy] = Deno.args;
const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
const store = server.use(persistence({ path: `${folder}/plugboard.db` }));
const kept = { broker: sqliteBroker({ store }), historySize: 1_000, historyMs: 86_400_000 };
const bus = server.use(channels({ namespaces: { kept } }));
server.use(centrifuge({ channels: bus, presence: server.use(presence({ channels: bus })) }));
await server.start();

async function publish(publisher: number): Promise<never> {
  for (let n = 0;; n++) {
    await bus.publish(`${busy}:busy ${publisher}`, `publication ${n} of ${publisher}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (0.5 + Math.random())));
  }
}

for (let i = 0; busy !== undefined && i < PUBLISHERS; i++) void publish(i);
announce(server.address.port);
