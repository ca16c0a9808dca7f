/**
 * Durable and memory channels over the centrifuge protocol. The argument is the folder of the database. `GET /busy/kept`
 * lets 100 publishers of this process publish to durable channels, `GET /busy/free` to memory channels.
 */

import { Server } from "../../../../core/mod.ts";
import { channels } from "../../../../plugins/channels.ts";
import { persistence } from "../../../../plugins/persistence.ts";
import { presence } from "../../../../plugins/presence.ts";
import { centrifuge } from "../../../../plugins/protocols/centrifuge.ts";
import { sqliteBroker } from "../../../../plugins/sqlite_broker.ts";
import { announce } from "../../contenders/announce.ts";
import { busyPublishers } from "../busy_publishers.ts";

const folder = Deno.args[0]!;
const server = new Server({ port: 0, maxConnections: 1_000_000, maxConnectionsPerIp: 1_000_000 });
const store = server.use(persistence({ path: `${folder}/plugboard.db` }));
const kept = { broker: sqliteBroker({ store }), historySize: 1_000, historyMs: 86_400_000 };
const bus = server.use(channels({ namespaces: { kept } }));
server.use(centrifuge({ channels: bus, presence: server.use(presence({ channels: bus })) }));
server.use(busyPublishers(bus));
await server.start();
announce(server.address.port);
